import { hex } from "../../base/bits.ts";
import type { StateSink } from "../../base/state-sink.ts";
import type { Address } from "../inspection.ts";
import type { LinuxKernel } from "../kernel/linux-kernel.ts";
import type { MonitoredTree, MonitoredWrite } from "./monitor.ts";
import { ACTIONS, type ProtectionAction } from "./page-tree.ts";

/** What the owner of a machine asks of the monitor. */
export type ProtectionRequest =
  | { readonly kind: "state"; readonly since?: number | undefined }
  /** Protects the kernel's code and read-only data. Functions of `allow` may write there. */
  | { readonly kind: "kernel"; readonly action: ProtectionAction; readonly allow: readonly string[] }
  /** All trees, unless one is named. */
  | { readonly kind: "remove"; readonly handle?: number | undefined }
  /** Lets a machine go on that "pause" has stopped. */
  | { readonly kind: "resume" };

export interface TreeDocument {
  readonly handle: number;
  readonly owner: "host" | "guest";
  readonly pages: number;
  readonly nodes: number;
}

/** A write to a monitored page in JSON. */
export interface WriteDocument {
  readonly sequence: number;
  readonly seconds: number;
  readonly kind: MonitoredWrite["kind"];
  readonly tree: number;
  readonly cookie: number;
  readonly action: ProtectionAction;
  /** Guest-physical. */
  readonly address: Address;
  /** Place in the kernel's image, and its name. */
  readonly virtual: Address | undefined;
  readonly symbol: string | undefined;
  /** Bytes in hexadecimal, in memory's order. */
  readonly before: string;
  readonly after: string;
  /** Undefined where a device wrote. */
  readonly element: number | undefined;
  readonly pc: Address | undefined;
  readonly writer: string | undefined;
  readonly count: number;
}

export interface ProtectionDocument {
  readonly trees: readonly TreeDocument[];
  readonly writes: readonly WriteDocument[];
  readonly paused: boolean;
  /** What became of the snapshot that the last write with the action "snapshot+pause" asked for. */
  readonly snapshot?: string | undefined;
}

/** What the owner of a machine does about writes with some actions; what is left out is only told of. */
export interface ProtectionHandlers {
  /**
   * "callback": hears of writes, several at once where they come fast. The guest does not wait; while a returned promise
   * is pending, writes are collected, and beyond a thousand only counted: `dropped`.
   */
  written?(writes: readonly WriteDocument[], dropped: number): void | Promise<void>;
  /** "snapshot+pause": keeps the machine, which stands still, by a call of `take`; the result says where, in a sentence. */
  keep?(take: (sink: StateSink) => Promise<void>): Promise<string>;
}

export function treeDocument({ handle, owner, pages, sealed }: MonitoredTree): TreeDocument {
  return { handle, owner, pages, nodes: sealed.nodes.size };
}

export function writeDocument(
  write: MonitoredWrite,
  kernel: LinuxKernel | undefined,
  virtualOf: (address: number) => bigint | undefined,
): WriteDocument {
  const { sequence, seconds, kind, tree, cookie, action, address, before, after, writer, count } = write;
  const virtual = virtualOf(address);
  return {
    ...{ sequence, seconds, kind, tree, cookie, action, count, address: hex(address) },
    virtual: virtual === undefined ? undefined : hex(virtual),
    symbol: virtual === undefined ? undefined : kernel?.symbolise(virtual),
    ...{ before: hexBytes(before), after: hexBytes(after) },
    element: writer?.element,
    pc: writer === undefined ? undefined : hex(writer.pc),
    writer: writer === undefined ? undefined : kernel?.symbolise(writer.pc),
  };
}

function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function isProtectionRequest(value: unknown): value is ProtectionRequest {
  if (typeof value !== "object" || value === null || !("kind" in value)) return false;
  const isNumber = (name: string) => {
    const field: unknown = Object.entries(value).find(([key]) => key === name)?.[1];
    return field === undefined || Number.isInteger(field);
  };
  switch (value.kind) {
    case "state":
      return isNumber("since");
    case "remove":
      return isNumber("handle");
    case "resume":
      return true;
    case "kernel":
      return (
        "action" in value &&
        ACTIONS.some((action) => action === value.action) &&
        "allow" in value &&
        Array.isArray(value.allow) &&
        value.allow.every((name: unknown) => typeof name === "string")
      );
    default:
      return false;
  }
}
