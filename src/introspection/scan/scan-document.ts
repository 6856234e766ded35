import { hex } from "../../base/bits.ts";
import { UserError } from "../../base/errors.ts";
import type { Address } from "../inspection.ts";
import { isWritableAndExecutable, type RangeNote, rightsText, type ScanRange } from "./scan-range.ts";
import type { ScanCounts, ScanResult } from "./scanner.ts";

/** What to scan: as `elvisor scan` has it. */
export interface ScanRequest {
  /**
   * "current": what the first element translates through; "all": every address space that is in use. A process or an
   * ASID names its own.
   */
  readonly space: "current" | "all" | { readonly pid: number } | { readonly asid: number };
  readonly half: "user" | "kernel" | "both";
  /** Only what somebody may both write and execute. */
  readonly writableAndExecutable?: boolean | undefined;
  /** Skips empty entries without AT; true unless given. */
  readonly usingTables?: boolean | undefined;
}

/** A range of a scan in JSON. */
export interface RangeDocument {
  readonly start: Address;
  /** Address of the byte after the last. */
  readonly end: Address;
  readonly size: number;
  readonly physical: Address | undefined;
  /** Bytes that one descriptor maps. */
  readonly leaf: number;
  /** Rights of EL1 and EL0, such as "r-x". */
  readonly kernel: string;
  readonly user: string;
  /** Memory type as in MAIR_EL1. */
  readonly attributes: Address;
  readonly global: boolean;
  readonly note: RangeNote | undefined;
}

/** One half of one address space. */
export interface HalfDocument {
  readonly half: "user" | "kernel";
  /** Guest-physical address of its tables. */
  readonly tables: Address;
  /** Processes that use it, "name (pid)". */
  readonly processes: readonly string[];
  /** Milliseconds that the scan took. */
  readonly milliseconds: number;
  readonly complete: boolean;
  readonly counts: ScanCounts;
  readonly ranges: readonly RangeDocument[];
}

export interface ScanDocument {
  readonly scans: readonly HalfDocument[];
}

export function rangeDocument(range: ScanRange): RangeDocument {
  const { start, end, physical, leaf, kernel, user, attributes, global, note } = range;
  return {
    ...{ start: hex(start), end: hex(end), size: Number(end - start) },
    physical: physical === undefined ? undefined : hex(physical),
    ...{ leaf, kernel: rightsText(kernel), user: rightsText(user) },
    ...{ attributes: hex(attributes, 2), global, note },
  };
}

export function halfDocument(
  result: ScanResult,
  about: Pick<HalfDocument, "half" | "tables" | "processes" | "milliseconds">,
  request: ScanRequest,
): HalfDocument {
  const { complete, counts } = result;
  const ranges = result.ranges.filter(
    (range) => request.writableAndExecutable !== true || isWritableAndExecutable(range),
  );
  return { ...about, complete, counts, ranges: ranges.map(rangeDocument) };
}

/** A change between two scans of the same half. */
export interface RangeChange {
  readonly kind: "added" | "removed" | "changed";
  readonly start: Address;
  readonly end: Address;
  readonly before: RangeDocument | undefined;
  readonly after: RangeDocument | undefined;
}

/** What is mapped otherwise in `after` than in `before`; both in the order of addresses. */
export function difference(before: readonly RangeDocument[], after: readonly RangeDocument[]): RangeChange[] {
  const edges = new Set<bigint>();
  for (const { start, end } of [...before, ...after]) edges.add(BigInt(start)).add(BigInt(end));
  const places = [...edges].sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  const changes: RangeChange[] = [];
  const [old, young] = [new Cursor(before), new Cursor(after)];
  for (let index = 0; index + 1 < places.length; index++) {
    const [start, end] = [places[index]!, places[index + 1]!];
    const [was, is] = [old.at(start), young.at(start)];
    if (was === undefined && is === undefined) continue;
    if (was !== undefined && is !== undefined && meaning(was, start) === meaning(is, start)) continue;
    const kind = was === undefined ? "added" : is === undefined ? "removed" : "changed";
    const last = changes.at(-1);
    const goesOn = last?.end === hex(start) && last.before === was && last.after === is;
    if (goesOn) changes[changes.length - 1] = { ...last, end: hex(end) };
    else changes.push({ kind, start: hex(start), end: hex(end), before: was, after: is });
  }
  return changes;
}

/** Finds ranges at addresses that only grow. */
class Cursor {
  readonly #ranges: readonly RangeDocument[];
  #next = 0;

  constructor(ranges: readonly RangeDocument[]) {
    this.#ranges = ranges;
  }

  at(address: bigint): RangeDocument | undefined {
    while (this.#next < this.#ranges.length && BigInt(this.#ranges[this.#next]!.end) <= address) this.#next++;
    const range = this.#ranges[this.#next];
    return range !== undefined && BigInt(range.start) <= address ? range : undefined;
  }
}

/** What a range says about one address; the leaf's size does not matter. */
function meaning(range: RangeDocument, address: bigint): string {
  const { physical, kernel, user, attributes, note } = range;
  const place = physical === undefined ? undefined : hex(BigInt(physical) + address - BigInt(range.start));
  return [place, kernel, user, attributes, note].join();
}

/** A scan that was written as JSON, as far as differences need it; a sentence where it is none. */
export function parseScan(text: string, name: string): ScanDocument {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (isScan(value)) return value;
  throw new UserError(`${name} is not a scan; write one with: elvisor scan NAME --json > ${name}`);
}

function isScan(value: unknown): value is ScanDocument {
  if (typeof value !== "object" || value === null || !("scans" in value)) return false;
  return Array.isArray(value.scans) && value.scans.every(isHalf);
}

const ADDRESS = /^0x[0-9a-f]{1,17}$/;

function isHalf(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("ranges" in value && "half" in value)) return false;
  if (!Array.isArray(value.ranges)) return false;
  return value.ranges.every(
    (range: unknown) =>
      typeof range === "object" &&
      range !== null &&
      "start" in range &&
      "end" in range &&
      ADDRESS.test(String(range.start)) &&
      ADDRESS.test(String(range.end)),
  );
}
