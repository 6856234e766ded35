import { isTimeScale } from "../../base/time-scale.ts";
import { TOOLS_ORDERS, type ToolsOrder } from "../../hypervisor/vmware/guest-tools.ts";
import type { NetworkCard } from "../../hypervisor/vmware/nic-info.ts";
import {
  isProtectionRequest,
  type ProtectionRequest,
} from "../../introspection/protection/protection-document.ts";
import type { ScanRequest } from "../../introspection/scan/scan-document.ts";
import type { MachineStatistics } from "../../machine/virtual-machine-interface.ts";

/** What a process asks of the one in which a machine runs: the first line of a connection, in JSON. */
export type ControlRequest =
  /** A stream to a port of the guest; after the answer the connection is that stream. */
  | { readonly kind: "connect"; readonly port: number }
  /** Answered once the guest's agent has come. */
  | { readonly kind: "ready" }
  /** After the answer the connection is the guest's console. */
  | { readonly kind: "console" }
  | { readonly kind: "resize"; readonly columns: number; readonly rows: number }
  | { readonly kind: "statistics" }
  /** After the answer the connection brings an Inspection in JSON, and ends. */
  | { readonly kind: "inspect" }
  /** The guest's pace; with `scale`, it is changed first. */
  | { readonly kind: "pace"; readonly scale?: number | undefined }
  /** What the guest has told of itself. */
  | { readonly kind: "guest" }
  | { readonly kind: "set"; readonly key: string; readonly value: string }
  /** Gives the guest's tools an order. */
  | { readonly kind: "order"; readonly order: ToolsOrder }
  | { readonly kind: "syncTime"; readonly wanted: boolean }
  /** The same with a ProtectionDocument. */
  | {
      readonly kind: "protect";
      readonly request: ProtectionRequest;
      /** A URL for writes with the action "callback", and a whole path for the snapshot of "snapshot+pause". */
      readonly callback?: string | undefined;
      readonly snapshot?: string | undefined;
    }
  /** The same with a ScanDocument. */
  | { readonly kind: "scan"; readonly request: ScanRequest }
  /** Keeps its state in this file, by its whole path; answered when that is done. With `end`, it ends then. */
  | { readonly kind: "snapshot"; readonly path: string; readonly end: boolean }
  /** Ends the machine at once. */
  | { readonly kind: "end" };

/** The line that answers. */
export interface ControlAnswer {
  readonly error?: string;
  readonly statistics?: MachineStatistics;
  readonly scale?: number;
  readonly guest?: GuestDescription;
}

/** What a guest has told of itself, by its tools (`tools`) and under names of its own (`values`). */
export interface GuestDescription {
  readonly tools: {
    readonly running: boolean;
    /** ISO 8601, of when they last asked for orders. */
    readonly lastHeartbeat: string | undefined;
    readonly capabilities: Readonly<Record<string, string>>;
    readonly syncsTime: boolean;
  };
  readonly facts: Readonly<Record<string, string>>;
  readonly cards: readonly NetworkCard[];
  readonly values: Readonly<Record<string, string>>;
}

/** The request in a line; undefined where it is none. */
export function parseRequest(line: string): ControlRequest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
  switch (value.kind) {
    case "connect":
      return "port" in value && typeof value.port === "number"
        ? { kind: "connect", port: value.port }
        : undefined;
    case "resize":
      return "columns" in value &&
        "rows" in value &&
        typeof value.columns === "number" &&
        typeof value.rows === "number"
        ? { kind: "resize", columns: value.columns, rows: value.rows }
        : undefined;
    case "pace": {
      const scale = "scale" in value ? value.scale : undefined;
      if (scale === undefined) return { kind: "pace" };
      return typeof scale === "number" && isTimeScale(scale) ? { kind: "pace", scale } : undefined;
    }
    case "set":
      return "key" in value &&
        "value" in value &&
        typeof value.key === "string" &&
        typeof value.value === "string"
        ? { kind: "set", key: value.key, value: value.value }
        : undefined;
    case "order": {
      const wanted = "order" in value ? value.order : undefined;
      const order = TOOLS_ORDERS.find((known) => known === wanted);
      return order === undefined ? undefined : { kind: "order", order };
    }
    case "syncTime":
      return "wanted" in value && typeof value.wanted === "boolean"
        ? { kind: "syncTime", wanted: value.wanted }
        : undefined;
    case "snapshot":
      return "path" in value &&
        typeof value.path === "string" &&
        "end" in value &&
        typeof value.end === "boolean"
        ? { kind: "snapshot", path: value.path, end: value.end }
        : undefined;
    case "protect":
      if (!("request" in value && isProtectionRequest(value.request))) return undefined;
      return {
        kind: "protect",
        request: value.request,
        callback: "callback" in value && typeof value.callback === "string" ? value.callback : undefined,
        snapshot: "snapshot" in value && typeof value.snapshot === "string" ? value.snapshot : undefined,
      };
    case "scan":
      return "request" in value && isScanRequest(value.request)
        ? { kind: "scan", request: value.request }
        : undefined;
    case "guest":
    case "ready":
    case "console":
    case "statistics":
    case "inspect":
    case "end":
      return { kind: value.kind };
    default:
      return undefined;
  }
}

function isScanRequest(value: unknown): value is ScanRequest {
  if (typeof value !== "object" || value === null || !("space" in value && "half" in value)) return false;
  const { space, half } = value;
  if (half !== "user" && half !== "kernel" && half !== "both") return false;
  if (space === "current" || space === "all") return true;
  if (typeof space !== "object" || space === null) return false;
  return ("pid" in space && Number.isInteger(space.pid)) || ("asid" in space && Number.isInteger(space.asid));
}
