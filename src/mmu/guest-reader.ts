import { Bug } from "../base/errors.ts";
import { FRAME_FLAGS } from "../memory/frame-table.ts";
import { FRAME_SIZE } from "../memory/machine-memory.ts";
import { MAP_ENTRY, type PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import {
  FAULT_STATUS,
  type FaultKind,
  faultOutsideWalk,
  type MemoryFault,
  NO_FAULT,
} from "./memory-fault.ts";
import type { Stage1Configuration, Stage2Configuration } from "./regime.ts";
import { highWord, lowWord } from "./translation-registers.ts";
import { REQUEST } from "./walk-request.ts";
import { accessOf, Walker } from "./walker.ts";

/** An address space of the guest: what its translation registers say, decoded, and with whose rights it is read. */
export interface ReadingSpace {
  readonly stage1: Stage1Configuration;
  readonly stage2: Stage2Configuration | undefined;
  /** REQUEST bits of the rights; {@link HYPERVISOR_RIGHTS} for the hypervisor's own, which nothing refuses. */
  readonly request: number;
}

/** No permission and no access flag is looked at. */
export const HYPERVISOR_RIGHTS: number = REQUEST.PEEK | REQUEST.PRIVILEGED;

export type ReadFaultCause =
  | FaultKind
  /** A device is there; readers never touch devices. */
  | "device"
  /** The hypervisor's own, see FRAME_FLAGS.SECRET. */
  | "secret"
  /** More was asked for than {@link LONGEST_READ}, or the range goes beyond the last address. */
  | "length";

/** Why a read ended early. */
export interface ReadFault {
  readonly cause: ReadFaultCause;
  /** First byte that could not be read. */
  readonly address: bigint;
  /** Bytes read before it. */
  readonly done: number;
  /** The fault that the guest's own load would have taken there. */
  readonly guest: MemoryFault;
}

/** What is done about a fault, decided before anything is read (row M8). */
export type FaultPolicy =
  /** The read ends and says why. */
  | { readonly kind: "error" }
  /** The handler decides; bytes of pages that are skipped are zero. A page is tried {@link MOST_RETRIES} times. */
  | { readonly kind: "handler"; onFault(fault: ReadFault): "stop" | "retry" | "skip page" }
  /** Nothing is read; `guest` of the fault is for the guest to take. */
  | { readonly kind: "forward" };

export const REPORT_FAULTS: FaultPolicy = { kind: "error" };

/** What was read: all, or the bytes before a fault. */
export interface ReadResult {
  readonly bytes: Uint8Array;
  readonly fault: ReadFault | undefined;
}

/** Bytes that can be read at once. */
export const LONGEST_READ: number = 16 << 20;
const MOST_RETRIES = 8;
const OFFSET_MASK = BigInt(FRAME_SIZE - 1);
const ADDRESSES = 1n << 64n;

/**
 * The hypervisor's reads of guest memory (row M8): they never fault in the host, never touch a device, and have no
 * effect on the guest. No access flag is set, no translation is cached, nothing is injected.
 */
export class GuestReader {
  readonly #map: PhysicalMap;
  readonly #walker: Walker;
  #cause: ReadFaultCause = "translation";
  #fault: MemoryFault | undefined;

  constructor(map: PhysicalMap, store: TracedStore) {
    this.#map = map;
    // One that finds descriptors in the guest's tables: shadow tables would be filled by a look.
    this.#walker = new Walker(map, store);
  }

  /** `length` bytes from a virtual address on. */
  read(
    space: ReadingSpace,
    address: bigint,
    length: number,
    policy: FaultPolicy = REPORT_FAULTS,
  ): ReadResult {
    if (length < 0 || length > LONGEST_READ || address + BigInt(length) > ADDRESSES) {
      const guest = faultOutsideWalk(FAULT_STATUS.ADDRESS_SIZE, address, "read");
      return { bytes: new Uint8Array(0), fault: { cause: "length", address, done: 0, guest } };
    }
    const bytes = new Uint8Array(length);
    let tries = 0;
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const run = Math.min(length - done, FRAME_SIZE - Number(at & OFFSET_MASK));
      const host = this.#locate(space, at);
      if (host !== 0) {
        bytes.set(this.#map.memory.bytes.subarray(host, host + run), done);
        done += run;
        tries = 0;
        continue;
      }
      const fault = this.#describe(at, done);
      const answer = policy.kind === "handler" ? policy.onFault(fault) : "stop";
      if (answer === "retry" && ++tries < MOST_RETRIES) continue;
      if (answer !== "skip page") {
        return { bytes: policy.kind === "forward" ? new Uint8Array(0) : bytes.subarray(0, done), fault };
      }
      done += run;
      tries = 0;
    }
    return { bytes, fault: undefined };
  }

  /** Several ranges; each says for itself how far it could be read. */
  gather(
    space: ReadingSpace,
    ranges: readonly { readonly address: bigint; readonly length: number }[],
    policy: FaultPolicy = REPORT_FAULTS,
  ): ReadResult[] {
    return ranges.map(({ address, length }) => this.read(space, address, length, policy));
  }

  /** Four bytes, little-endian; undefined where one of them cannot be read. */
  u32(space: ReadingSpace, address: bigint): number | undefined {
    const bytes = this.#whole(space, address, 4);
    return bytes === undefined ? undefined : new DataView(bytes.buffer).getUint32(0, true);
  }

  /** Eight bytes, little-endian. */
  u64(space: ReadingSpace, address: bigint): bigint | undefined {
    const bytes = this.#whole(space, address, 8);
    return bytes === undefined ? undefined : new DataView(bytes.buffer).getBigUint64(0, true);
  }

  /** Bytes up to the first zero, at most `most`; as far as they can be read. */
  string(space: ReadingSpace, address: bigint, most: number): string {
    const { bytes } = this.read(space, address, most);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }

  /** Physical address and world of a virtual address; undefined where nothing is mapped. */
  translate(space: ReadingSpace, address: bigint): { address: number; secure: boolean } | undefined {
    const [low, high] = [lowWord(address), highWord(address)];
    const status = this.#walker.translate(space.stage1, space.stage2, low, high, space.request);
    return status === NO_FAULT ? this.#walker.describe() : undefined;
  }

  /** Guest-physical memory; as many bytes as there are. */
  readPhysical(address: number, length: number, secure = false): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, LONGEST_READ));
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const run = Math.min(bytes.length - done, FRAME_SIZE - (at % FRAME_SIZE));
      const host = at < 2 ** 48 ? this.#memoryAt(at | 0, Math.floor(at / 2 ** 32), secure) : 0;
      if (host === 0) return bytes.subarray(0, done);
      bytes.set(this.#map.memory.bytes.subarray(host, host + run), done);
      done += run;
    }
    return bytes;
  }

  #whole(space: ReadingSpace, address: bigint, length: number): Uint8Array | undefined {
    const { bytes, fault } = this.read(space, address, length);
    return fault === undefined ? bytes : undefined;
  }

  /** Host address of the byte; 0 where it cannot be read, for the reason that {@link #describe} tells. */
  #locate(space: ReadingSpace, address: bigint): number {
    const [low, high] = [lowWord(address), highWord(address)];
    const walker = this.#walker;
    this.#fault = undefined;
    const status = walker.translate(space.stage1, space.stage2, low, high, space.request);
    if (status !== NO_FAULT) {
      this.#fault = walker.describeFault(status, low, high, space.request);
      this.#cause = this.#fault.kind;
      return 0;
    }
    const host = this.#memoryAt(walker.outLow, walker.outHigh, walker.outSecure);
    if (host === 0) {
      this.#fault = faultOutsideWalk(FAULT_STATUS.EXTERNAL_ABORT, address, accessOf(space.request));
    }
    return host;
  }

  #memoryAt(low: number, high: number, secure: boolean): number {
    const host = this.#map.hostAddress(low, high, secure);
    if (host === 0) {
      const kind = this.#map.entry(low, high, secure) & MAP_ENTRY.KIND_MASK;
      this.#cause = kind === MAP_ENTRY.DEVICE ? "device" : "externalAbort";
      return 0;
    }
    if ((this.#map.frames.flagsAt(host) & FRAME_FLAGS.SECRET) === 0) return host;
    this.#cause = "secret";
    return 0;
  }

  #describe(address: bigint, done: number): ReadFault {
    if (this.#fault === undefined) throw new Bug("there was no fault");
    return { cause: this.#cause, address, done, guest: this.#fault };
  }
}
