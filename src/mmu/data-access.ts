import { ACCESS_FLAGS } from "../memory/access-flags.ts";
import type { Bus } from "../memory/bus.ts";
import type { MachineMemory } from "../memory/machine-memory.ts";
import { FRAME_SIZE } from "../memory/machine-memory.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { MAP_ENTRY, type PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import { isDevice } from "./memory-attributes.ts";
import { FAULT_STATUS, faultOutsideWalk, type MemoryFault, NO_FAULT } from "./memory-fault.ts";
import type { TableWalk } from "./table-walk.ts";
import type { AccessView, TranslationContext } from "./translation-context.ts";
import { doubleWord } from "./translation-registers.ts";
import { PERMISSION, REQUEST } from "./walk-request.ts";
import { accessOf, Walker } from "./walker.ts";

const OFFSET_MASK = FRAME_SIZE - 1;
const PAGE_MASK = ~OFFSET_MASK;

/** What {@link DataAccess.store} returns. */
export const STORE_RESULT = {
  DONE: 0,
  /** Nothing was written; `fault` says why. */
  FAULT: 1,
  /** Done, and a device or predecoded code was touched: leave at the next instruction boundary. */
  DONE_AND_LEAVE: 2,
} as const;

/**
 * Asked before each access that takes the slow path while the context is slow-only. True makes the access
 * fail with a "debug" fault. The range is inside one page.
 */
export type WatchpointCheck = (
  low: number,
  high: number,
  size: number,
  isWrite: boolean,
  unprivileged: boolean,
) => boolean;

/** What data accesses work on. */
export interface AccessOptions {
  readonly memory: MachineMemory;
  readonly map: PhysicalMap;
  readonly store: TracedStore;
  readonly bus: Bus;
  readonly context: TranslationContext;
  /** How descriptors are found; the guest's tables are read unless it is given. */
  readonly walk?: TableWalk | undefined;
  /** Byte address of the processing element's block. */
  readonly base: number;
}

/**
 * Every access of instructions that the soft TLB does not answer. Addresses come as halves, `low` and `high`,
 * both i32; sizes are 1 to 64 bytes. What may go the fast way next time is installed in the soft TLB.
 */
export class DataAccess {
  /** Why the last call failed. */
  fault: MemoryFault | undefined;
  watchpoints: WatchpointCheck | undefined;
  /** Translations made since the start, and how many of them failed. */
  walks = 0;
  faults = 0;
  readonly walker: Walker;
  readonly #memory: MachineMemory;
  readonly #map: PhysicalMap;
  readonly #store: TracedStore;
  readonly #bus: Bus;
  readonly #context: TranslationContext;
  readonly #scratch: number;
  /** Physical-map entry of the page translated last. */
  #entry = 0;

  constructor(options: AccessOptions) {
    const { map, store } = options;
    this.#memory = options.memory;
    this.#map = map;
    this.#store = store;
    this.#bus = options.bus;
    this.#context = options.context;
    this.#scratch = options.base + PE_LAYOUT.SCRATCH;
    const { walk } = options;
    this.walker = walk === undefined ? new Walker(map, store) : new Walker(map, store, walk);
  }

  /** Host address where the bytes can be read: in RAM, ROM or SCRATCH. 0 for a fault. */
  load(low: number, high: number, size: number, flags: number): number {
    const view = this.#view(flags);
    const request = this.#request(view, low, high, size, flags);
    if (request < 0) return 0;
    const first = FRAME_SIZE - (low & OFFSET_MASK);
    if (size <= first) {
      if (!this.#translate(view, low, high, size, request)) return 0;
      return this.#loadPart(view, low, high, size, flags);
    }
    if (!this.#translate(view, low, high, first, request)) return 0;
    if (!this.#gather(low, high, first, this.#scratch, request)) return 0;
    const nextLow = (low + first) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    if (!this.#translate(view, nextLow, nextHigh, size - first, request)) return 0;
    if (!this.#gather(nextLow, nextHigh, size - first, this.#scratch + first, request)) return 0;
    if (view.bigEndian) this.#reverseElements(size, flags);
    return this.#scratch;
  }

  /** Stores `size` bytes from SCRATCH. Returns a STORE_RESULT. */
  store(low: number, high: number, size: number, flags: number): number {
    const view = this.#view(flags);
    const request = this.#request(view, low, high, size, flags);
    if (request < 0) return STORE_RESULT.FAULT;
    const write = request | REQUEST.WRITE;
    const first = FRAME_SIZE - (low & OFFSET_MASK);
    const length = Math.min(size, first);
    if (!this.#translate(view, low, high, length, write)) return STORE_RESULT.FAULT;
    const entry = this.#entry;
    const { outLow, outHigh, outSecure } = this.walker;
    if (size <= first) {
      if (view.bigEndian) this.#reverseElements(size, flags);
      const result = this.#put(entry, outLow, outHigh, outSecure, this.#scratch, size);
      if (result === STORE_RESULT.FAULT) this.#abort(low, high, write);
      else if (result === STORE_RESULT.DONE && view.fastData) this.#install(view, low, high);
      return result;
    }
    const rest = size - first;
    const nextLow = (low + first) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    if (!this.#translate(view, nextLow, nextHigh, rest, write)) return STORE_RESULT.FAULT;
    if (view.bigEndian) this.#reverseElements(size, flags);
    const nextEntry = this.#entry;
    const { outLow: secondLow, outHigh: secondHigh, outSecure: secondSecure } = this.walker;
    const one = this.#put(entry, outLow, outHigh, outSecure, this.#scratch, first);
    if (one === STORE_RESULT.FAULT) {
      this.#abort(low, high, write);
      return one;
    }
    const two = this.#put(nextEntry, secondLow, secondHigh, secondSecure, this.#scratch + first, rest);
    if (two === STORE_RESULT.FAULT) this.#abort(nextLow, nextHigh, write);
    return this.#worse(one, two);
  }

  /**
   * For a read-modify-write: checks both permissions and returns where the bytes can be read and written in
   * place, or SCRATCH with the old bytes, then to be followed by `store`; 0 for a fault.
   */
  prepareWrite(low: number, high: number, size: number, flags: number): number {
    const view = this.#view(flags);
    const request = this.#request(view, low, high, size, flags);
    if (request < 0) return 0;
    if ((low & OFFSET_MASK) + size > FRAME_SIZE) return this.#prepareCrossing(low, high, size, flags);
    if (!this.#translate(view, low, high, size, request)) return 0;
    if ((this.walker.permissions & PERMISSION.WRITE) === 0 || this.walker.writeNeedsUpdate) {
      if (!this.#translate(view, low, high, size, request | REQUEST.WRITE)) return 0;
    }
    const isRam = (this.#entry & MAP_ENTRY.KIND_MASK) === MAP_ENTRY.RAM;
    const host = this.#hostOf(this.#entry, low);
    if (!isRam || view.bigEndian || this.#store.isTraced(host)) {
      if (!this.#gather(low, high, size, this.#scratch, request)) return 0;
      if (view.bigEndian) this.#reverseElements(size, flags);
      return this.#scratch;
    }
    if (view.fastData) this.#install(view, low, high);
    return host;
  }

  /**
   * Host address of the frame from which the page's instructions can be fetched; 0 for a fault. The page's
   * entry in the ordinary bank is then ready for the engine to write RECORDS and EXECUTE_TAG into it.
   */
  fetch(low: number, high: number): number {
    const view = this.#context.ordinary;
    const request = (view.request & ~REQUEST.PAN) | REQUEST.EXECUTE;
    this.walks++;
    const status = this.walker.translate(view.stage1, view.stage2, low, high, request);
    if (status !== NO_FAULT) {
      this.#fail(status, low, high, request);
      return 0;
    }
    const { outLow, outHigh, outSecure } = this.walker;
    const entry = this.#map.entry(outLow, outHigh, outSecure);
    const kind = entry & MAP_ENTRY.KIND_MASK;
    if (kind !== MAP_ENTRY.RAM && kind !== MAP_ENTRY.ROM) {
      this.#abort(low, high, request);
      return 0;
    }
    const frameHost = (entry & PAGE_MASK) >>> 0;
    const bank = this.#context.bankOf(view);
    bank.prepareExecute(low, high, frameHost);
    bank.describe(low, high, this.walker.shift, this.walker.global, this.walker.coherent);
    return frameHost;
  }

  /** DC ZVA: zeroes `size` (at most 64) bytes from an address aligned to it. Device memory faults. A STORE_RESULT. */
  zeroBlock(low: number, high: number, size: number): number {
    const view = this.#context.ordinary;
    const request = view.request | REQUEST.WRITE | REQUEST.UNALIGNED;
    if (!this.#translate(view, low, high, size, request)) return STORE_RESULT.FAULT;
    this.#memory.bytes.fill(0, this.#scratch, this.#scratch + size);
    const { outLow, outHigh, outSecure } = this.walker;
    const result = this.#put(this.#entry, outLow, outHigh, outSecure, this.#scratch, size);
    if (result === STORE_RESULT.FAULT) this.#abort(low, high, request);
    else if (result === STORE_RESULT.DONE && view.fastData) this.#install(view, low, high);
    return result;
  }

  /**
   * Cache maintenance by address: checks the translation only. `needsRead` where missing read permission
   * faults (EL0), `needsWrite` for DC IVAC. False for a fault.
   */
  maintain(low: number, high: number, options: { needsRead: boolean; needsWrite: boolean }): boolean {
    const view = this.#context.ordinary;
    const request =
      (view.request & ~REQUEST.PAN) | (options.needsWrite ? REQUEST.WRITE : 0) | REQUEST.ADDRESS_TRANSLATION;
    this.walks++;
    const status = this.walker.translate(view.stage1, view.stage2, low, high, request);
    if (status === NO_FAULT) return true;
    const isPermission = (status & ~3) === FAULT_STATUS.PERMISSION;
    const fault = this.walker.describeFault(status, low, high, request);
    if (isPermission && fault.stage === 1 && !options.needsRead && !options.needsWrite) return true;
    this.fault = { ...fault, access: "write" };
    this.faults++;
    return false;
  }

  #view(flags: number): AccessView {
    return (flags & ACCESS_FLAGS.UNPRIVILEGED) !== 0 ? this.#context.unprivileged : this.#context.ordinary;
  }

  /** The walk request of an access, or -1 after an alignment fault that no memory type can excuse. */
  #request(view: AccessView, low: number, high: number, size: number, flags: number): number {
    const unaligned = (low & (elementSizeOf(size, flags) - 1)) !== 0;
    const mustAlign = (flags & ACCESS_FLAGS.ALIGNED) !== 0;
    if ((unaligned && view.stage1.alignmentChecks) || (mustAlign && (low & (size - 1)) !== 0)) {
      this.#describeOwn(FAULT_STATUS.ALIGNMENT, low, high, view.request);
      return -1;
    }
    return unaligned ? view.request | REQUEST.UNALIGNED : view.request;
  }

  /** Translates the page part that starts at the address. False for a fault. */
  #translate(view: AccessView, low: number, high: number, size: number, request: number): boolean {
    this.walks++;
    const { walker } = this;
    const status = walker.translate(view.stage1, view.stage2, low, high, request);
    if (status !== NO_FAULT) return this.#fail(status, low, high, request);
    if (this.#context.slowOnly && this.watchpoints !== undefined) {
      const isWrite = (request & REQUEST.WRITE) !== 0;
      const unprivileged = (request & REQUEST.PRIVILEGED) === 0;
      if (this.watchpoints(low, high, size, isWrite, unprivileged)) {
        this.#describeOwn(FAULT_STATUS.DEBUG, low, high, request);
        return false;
      }
    }
    this.#entry = this.#map.entry(walker.outLow, walker.outHigh, walker.outSecure);
    return true;
  }

  #fail(status: number, low: number, high: number, request: number): false {
    this.faults++;
    this.fault = this.walker.describeFault(status, low, high, request);
    return false;
  }

  #describeOwn(status: number, low: number, high: number, request: number): void {
    this.faults++;
    this.fault = faultOutsideWalk(status, doubleWord(low, high), accessOf(request));
  }

  #abort(low: number, high: number, request: number): void {
    this.#describeOwn(FAULT_STATUS.EXTERNAL_ABORT, low, high, request);
  }

  #loadPart(view: AccessView, low: number, high: number, size: number, flags: number): number {
    const kind = this.#entry & MAP_ENTRY.KIND_MASK;
    const isMemory = kind === MAP_ENTRY.RAM || kind === MAP_ENTRY.ROM;
    if (isMemory && !view.bigEndian) {
      if (view.fastData) this.#install(view, low, high);
      return this.#hostOf(this.#entry, low);
    }
    if (!this.#gather(low, high, size, this.#scratch, view.request)) return 0;
    if (view.bigEndian) this.#reverseElements(size, flags);
    return this.#scratch;
  }

  /** Copies bytes of the page translated last to `target`. */
  #gather(low: number, high: number, size: number, target: number, request: number): boolean {
    const kind = this.#entry & MAP_ENTRY.KIND_MASK;
    if (kind === MAP_ENTRY.RAM || kind === MAP_ENTRY.ROM) {
      const host = this.#hostOf(this.#entry, low);
      this.#memory.bytes.copyWithin(target, host, host + size);
      return true;
    }
    const { outLow, outHigh, outSecure } = this.walker;
    const address = outHigh * 2 ** 32 + (outLow >>> 0);
    if (kind === MAP_ENTRY.DEVICE && this.#bus.readTo(address, size, outSecure, target)) return true;
    this.#abort(low, high, request);
    return false;
  }

  /** Writes bytes inside one page, wherever its entry says. */
  #put(entry: number, low: number, high: number, secure: boolean, source: number, size: number): number {
    const kind = entry & MAP_ENTRY.KIND_MASK;
    if (kind === MAP_ENTRY.RAM) {
      const { codeWrites } = this.#store;
      this.#store.byInstruction = true;
      this.#store.copy(this.#hostOf(entry, low), source, size);
      this.#store.byInstruction = false;
      if (this.#store.aborted) {
        this.#store.aborted = false;
        return STORE_RESULT.FAULT;
      }
      return codeWrites === this.#store.codeWrites ? STORE_RESULT.DONE : STORE_RESULT.DONE_AND_LEAVE;
    }
    if (kind === MAP_ENTRY.ABSENT) return STORE_RESULT.FAULT;
    const address = high * 2 ** 32 + (low >>> 0);
    if (this.#bus.writeFrom(address, size, secure, source)) return STORE_RESULT.DONE_AND_LEAVE;
    return STORE_RESULT.FAULT;
  }

  #worse(one: number, two: number): number {
    if (one === STORE_RESULT.FAULT || two === STORE_RESULT.FAULT) return STORE_RESULT.FAULT;
    return Math.max(one, two);
  }

  #hostOf(entry: number, low: number): number {
    return ((entry & PAGE_MASK) | (low & OFFSET_MASK)) >>> 0;
  }

  /** Installs the page translated last for data, as far as its memory allows the fast path. */
  #install(view: AccessView, low: number, high: number): void {
    const { walker } = this;
    const kind = this.#entry & MAP_ENTRY.KIND_MASK;
    if ((kind !== MAP_ENTRY.RAM && kind !== MAP_ENTRY.ROM) || isDevice(walker.attributes)) return;
    const frameHost = (this.#entry & PAGE_MASK) >>> 0;
    const writable = kind === MAP_ENTRY.RAM && !walker.writeNeedsUpdate && !this.#store.isTraced(frameHost);
    const permissions = walker.permissions & (writable ? PERMISSION.ALL : ~PERMISSION.WRITE);
    const bank = this.#context.bankOf(view);
    if (walker.coherent) this.#context.publishRoots();
    bank.install(low, high, frameHost, permissions);
    bank.describe(low, high, walker.shift, walker.global, walker.coherent);
  }

  #prepareCrossing(low: number, high: number, size: number, flags: number): number {
    const view = this.#view(flags);
    const request = this.#request(view, low, high, size, flags);
    const first = FRAME_SIZE - (low & OFFSET_MASK);
    const nextLow = (low + first) | 0;
    const nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
    if (this.load(low, high, size, flags) === 0) return 0;
    const write = request | REQUEST.WRITE;
    if (!this.#translate(view, low, high, first, write)) return 0;
    return this.#translate(view, nextLow, nextHigh, size - first, write) ? this.#scratch : 0;
  }

  #reverseElements(size: number, flags: number): void {
    const elementSize = elementSizeOf(size, flags);
    for (let offset = 0; offset < size; offset += elementSize) {
      const start = this.#scratch + offset;
      this.#memory.bytes.subarray(start, start + elementSize).reverse();
    }
  }
}

/** Bytes of one element of an access. */
function elementSizeOf(size: number, flags: number): number {
  const element = flags >>> ACCESS_FLAGS.ELEMENT_SHIFT;
  return element === 0 ? size : 1 << (element - 1);
}
