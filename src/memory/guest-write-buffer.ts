import type { FrameTable } from "./frame-table.ts";
import { FRAME_SHIFT, FRAME_SIZE, type MachineMemory } from "./machine-memory.ts";
import { PE_LAYOUT } from "./pe-layout.ts";
import type { FrameWrite } from "./traced-store.ts";

/**
 * One record of a write to a translation table (row M1). All but range records describe one aligned double
 * word, a table's entry, whatever the width of the store: 16 bytes make two records, a byte makes one.
 */
export const GWB_RECORD = {
  SIZE: 32,
  /** u64: guest-physical address of the entry, with log2 of the bytes in bits 2:0; see RANGE_SIZE. */
  ADDRESS: 0,
  /** u64 each, in the memory's order of bytes: the entry before and after. Zero in a range record. */
  OLD: 8,
  NEW: 16,
  /** u32 that counts a machine's records, so that those of several rings have an order. */
  SEQUENCE: 24,
  /** u32: host frame number of the table. */
  FRAME: 28,
} as const;

/** log2 of the bytes of an ordinary record, and of one that says "64 bytes became zero" (DC ZVA). */
export const ENTRY_SIZE_CODE = 3;
/** An ordinary record whose store may not have happened yet: generated code records just before. */
export const DEFERRED_SIZE_CODE = 7;
export const RANGE_SIZE_CODE = 6;
const RANGE_BYTES = 1 << RANGE_SIZE_CODE;

/** Records of one ring, unless other is asked for. */
export const WRITE_BUFFER_RECORDS = 4096;

/** A record taken from a buffer. `address` has no size code; old and new are meaningful for ordinary records. */
export interface TableWrite {
  readonly frame: number;
  /** Offset in the frame and bytes: 8, or 64 for a range that became zero. */
  readonly first: number;
  readonly length: number;
  readonly oldLow: number;
  readonly oldHigh: number;
  readonly newLow: number;
  readonly newHigh: number;
}

/**
 * The guest write buffers of a machine's processing elements: rings in linear memory to which every write into
 * a frame with TR_PT appends, and from which {@link drain} takes in the order of the writes. Writers that are
 * no element's (DMA between turns, loader, debugger) use the first one's.
 */
export class GuestWriteBuffers {
  /** Element on whose behalf memory is written at present. */
  #writer = 0;
  /** Records that found no room. */
  overflows = 0;
  /** A record was lost since the last drain: what was derived from tables must be forgotten. */
  overflowed = false;
  /** Called after a store that left a ring three quarters full. */
  onHigh: () => void = () => {};
  /** Records in one ring, a power of two. */
  readonly capacity: number;
  readonly #memory: MachineMemory;
  readonly #frames: FrameTable;
  readonly #words: Int32Array;
  /** Word index of each element's GWB_RING. */
  readonly #elements: number[] = [];
  readonly #reporters: (((record: number) => void) | undefined)[] = [];
  /** Address of the u32 that counts records. */
  readonly sequenceAddress: number;

  constructor(memory: MachineMemory, frames: FrameTable, capacity = WRITE_BUFFER_RECORDS) {
    this.#memory = memory;
    this.#frames = frames;
    this.#words = memory.words;
    this.capacity = capacity;
    this.sequenceAddress = memory.allocate(8);
  }

  /** Gives an element a ring; `base` is the address of its block. Returns the element's number. */
  add(base: number): number {
    const ring = this.#memory.allocate(this.capacity * GWB_RECORD.SIZE, 64);
    this.#words[(base + PE_LAYOUT.GWB_RING) >>> 2] = ring;
    this.#words[(base + PE_LAYOUT.GWB_DIRECT) >>> 2] = 1;
    return this.#elements.push((base + PE_LAYOUT.GWB_RING) >>> 2) - 1;
  }

  /** Hands each record of an element, by its address, to somebody else too. Generated code makes none then. */
  report(element: number, to: ((record: number) => void) | undefined): void {
    this.complete();
    this.#reporters[element] = to;
    this.#words[this.#elements[element]! + 3] = to === undefined ? 1 : 0;
  }

  /** From now on memory is written on behalf of this element. */
  turnOf(element: number): void {
    if (element === this.#writer) return;
    this.complete();
    this.#writer = element;
  }

  /** Records ever made. */
  get records(): number {
    return (this.#words[this.sequenceAddress >>> 2]! >>> 0) + this.overflows;
  }

  /** Some ring has records, or one was lost. */
  get pending(): boolean {
    const words = this.#words;
    for (const at of this.#elements) if (words[at + 1] !== words[at + 2]) return true;
    return this.overflowed;
  }

  /** For TraceHooks.onTableWrite: makes the records of a write that has happened. `old` are the bytes before it. */
  note({ frame, first, length }: FrameWrite, old: Uint8Array): void {
    const { view } = this.#memory;
    const host = frame * FRAME_SIZE;
    this.#complete(host + first, old);
    if (length === RANGE_BYTES && (first & (RANGE_BYTES - 1)) === 0 && this.#isZero(host + first)) {
      this.#append(frame, first | RANGE_SIZE_CODE, 0, 0, 0, 0);
    } else {
      const end = first + length;
      for (let entry = first & ~7; entry < end; entry += 8) {
        const at = host + entry;
        const newLow = view.getInt32(at, true);
        const newHigh = view.getInt32(at + 4, true);
        const whole = new DataView(new ArrayBuffer(8));
        whole.setInt32(0, newLow, true);
        whole.setInt32(4, newHigh, true);
        for (let byte = Math.max(entry, first); byte < Math.min(entry + 8, end); byte++) {
          whole.setUint8(byte - entry, old[byte - first]!);
        }
        this.#append(
          frame,
          entry | ENTRY_SIZE_CODE,
          whole.getInt32(0, true),
          whole.getInt32(4, true),
          newLow,
          newHigh,
        );
      }
    }
    const at = this.#ringOfWriter();
    if (((this.#words[at + 1]! - this.#words[at + 2]!) | 0) > this.capacity * 0.75) this.onHigh();
  }

  /** Hands over and removes all records, in the order of the writes. The callee must not write to tables. */
  drain(take: (write: TableWrite) => void): void {
    const words = this.#words;
    this.complete();
    for (;;) {
      let oldest = -1;
      let first = 0;
      for (const at of this.#elements) {
        if (words[at + 1] === words[at + 2]) continue;
        const sequence = words[(this.#recordAddress(at, words[at + 2]!) + GWB_RECORD.SEQUENCE) >>> 2]!;
        if (oldest !== -1 && ((sequence - first) | 0) > 0) continue;
        oldest = at;
        first = sequence;
      }
      if (oldest === -1) return;
      const record = this.#recordAddress(oldest, words[oldest + 2]!) >>> 2;
      words[oldest + 2] = (words[oldest + 2]! + 1) | 0;
      const address = words[record]!;
      take({
        frame: words[record + (GWB_RECORD.FRAME >> 2)]!,
        first: address & (FRAME_SIZE - 8),
        length: 1 << (address & 7),
        oldLow: words[record + 2]!,
        oldHigh: words[record + 3]!,
        newLow: words[record + 4]!,
        newHigh: words[record + 5]!,
      });
    }
  }

  /** Notes what the stores that were recorded before they happened have written. */
  complete(): void {
    for (const at of this.#elements) {
      const record = this.#deferredRecord(at);
      if (record !== 0) this.#settle(record);
    }
  }

  /** The same while a write has just happened that may have been over such a store's. `old` is from before it. */
  #complete(host: number, old: Uint8Array): void {
    for (const at of this.#elements) {
      const record = this.#deferredRecord(at);
      if (record === 0) continue;
      this.#settle(record);
      const address = this.#words[record]! & (FRAME_SIZE - 8);
      const first = this.#words[record + (GWB_RECORD.FRAME >> 2)]! * FRAME_SIZE + address - host;
      for (let byte = 0; byte < 8; byte++) {
        const was = old[first + byte];
        if (was !== undefined) this.#memory.bytes[record * 4 + GWB_RECORD.NEW + byte] = was;
      }
    }
  }

  /** Word index of the ring's last record if it waits for its store, otherwise 0. */
  #deferredRecord(at: number): number {
    const words = this.#words;
    if (words[at + 1] === words[at + 2]) return 0;
    const record = this.#recordAddress(at, words[at + 1]! - 1) >>> 2;
    return (words[record]! & 7) === DEFERRED_SIZE_CODE ? record : 0;
  }

  #settle(record: number): void {
    const words = this.#words;
    const host = words[record + (GWB_RECORD.FRAME >> 2)]! * FRAME_SIZE + (words[record]! & (FRAME_SIZE - 8));
    words[record + 4] = words[host >>> 2]!;
    words[record + 5] = words[(host >>> 2) + 1]!;
    words[record] = words[record]! ^ (DEFERRED_SIZE_CODE ^ ENTRY_SIZE_CODE);
  }

  #ringOfWriter(): number {
    return this.#elements[this.#writer] ?? this.#elements[0]!;
  }

  #recordAddress(at: number, count: number): number {
    return this.#words[at]! + (count & (this.capacity - 1)) * GWB_RECORD.SIZE;
  }

  #isZero(host: number): boolean {
    const words = this.#words;
    for (let at = host >>> 2; at < (host + RANGE_BYTES) >>> 2; at++) if (words[at] !== 0) return false;
    return true;
  }

  #append(
    frame: number,
    offset: number,
    oldLow: number,
    oldHigh: number,
    newLow: number,
    newHigh: number,
  ): void {
    if (this.#elements.length === 0) return;
    const words = this.#words;
    const at = this.#ringOfWriter();
    if (((words[at + 1]! - words[at + 2]!) | 0) >= this.capacity) {
      this.overflows++;
      this.overflowed = true;
      return;
    }
    const address = this.#recordAddress(at, words[at + 1]!);
    const record = address >>> 2;
    const page = this.#frames.page(frame);
    words[record] = (page << FRAME_SHIFT) | offset;
    words[record + 1] = page >>> (32 - FRAME_SHIFT);
    words[record + 2] = oldLow;
    words[record + 3] = oldHigh;
    words[record + 4] = newLow;
    words[record + 5] = newHigh;
    const sequence = this.sequenceAddress >>> 2;
    words[record + 6] = words[sequence]!;
    words[record + 7] = frame;
    words[sequence] = (words[sequence]! + 1) | 0;
    words[at + 1] = (words[at + 1]! + 1) | 0;
    this.#reporters[this.#writer]?.(address);
  }
}
