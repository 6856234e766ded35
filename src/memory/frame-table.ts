import { FRAME_SHIFT, FRAME_SIZE, type MachineMemory } from "./machine-memory.ts";

/** Bits of a frame's word (spec S1). */
export const FRAME_FLAGS = {
  KIND_RAM: 1 << 0,
  KIND_ROM: 1 << 1,
  KIND_MMIO: 1 << 2,
  SECRET: 1 << 3,
  PINNED: 1 << 4,
  SHARED: 1 << 5,
  RESIDENT: 1 << 6,
  /** Holds guest translation tables: every write is recorded. */
  TR_PT: 1 << 8,
  /** Dirty logging: the first write of an epoch is recorded. */
  TR_DIRTY: 1 << 9,
  /** Has predecoded or translated code: told after the write. */
  TR_CODE: 1 << 10,
  /** Monitored: asked before the write. */
  TR_MON: 1 << 11,
  /** Watched by a debugger: told after the write. */
  TR_WATCH: 1 << 12,
  /** Bits 18:16, highest table level seen. */
  TABLE_LEVEL_SHIFT: 16,
} as const;

/** Any of these bits keeps a frame out of every writable soft-TLB entry. */
export const TRACE_MASK =
  FRAME_FLAGS.TR_PT | FRAME_FLAGS.TR_DIRTY | FRAME_FLAGS.TR_CODE | FRAME_FLAGS.TR_MON | FRAME_FLAGS.TR_WATCH;

/** Why writes to a frame are traced; see {@link FRAME_FLAGS}. */
export type TraceKind = "TR_PT" | "TR_DIRTY" | "TR_CODE" | "TR_MON" | "TR_WATCH";

/** Bytes of one code granule: a frame's 64 granules are the bits of a 64-bit map. */
const CODE_GRANULE_SHIFT = 6;

/**
 * What is known about each 4 KiB frame of a machine memory. A frame is named by its number, host byte
 * address >>> 12. One u32 of flags a frame, and side records of the same index, all in linear memory so that
 * generated code and other workers can read them.
 */
export class FrameTable {
  /** Byte addresses of the arrays. */
  readonly flagsAddress: number;
  readonly pagesAddress: number;
  readonly granulesAddress: number;
  readonly writableSlotsAddress: number;
  readonly count: number;
  readonly #words: Int32Array;
  readonly #flags: number;
  readonly #pages: number;
  readonly #granules: number;
  readonly #slots: number;

  constructor(memory: MachineMemory) {
    this.count = memory.size / FRAME_SIZE;
    this.#words = memory.words;
    this.flagsAddress = memory.allocate(this.count * 4, FRAME_SIZE);
    this.pagesAddress = memory.allocate(this.count * 4, FRAME_SIZE);
    this.granulesAddress = memory.allocate(this.count * 8, FRAME_SIZE);
    this.writableSlotsAddress = memory.allocate(this.count * 4, FRAME_SIZE);
    this.#flags = this.flagsAddress >>> 2;
    this.#pages = this.pagesAddress >>> 2;
    this.#granules = this.granulesAddress >>> 2;
    this.#slots = this.writableSlotsAddress >>> 2;
  }

  flags(frame: number): number {
    return this.#words[this.#flags + frame]!;
  }

  /** Flags of the frame that holds host byte address `host`. */
  flagsAt(host: number): number {
    return this.#words[this.#flags + (host >>> FRAME_SHIFT)]!;
  }

  setFlags(frame: number, mask: number): void {
    Atomics.or(this.#words, this.#flags + frame, mask);
  }

  clearFlags(frame: number, mask: number): void {
    Atomics.and(this.#words, this.#flags + frame, ~mask);
  }

  /** Guest-physical page number (address / 4096) that the frame was mapped at last, unsigned. */
  page(frame: number): number {
    return this.#words[this.#pages + frame]! >>> 0;
  }

  setPage(frame: number, page: number): void {
    this.#words[this.#pages + frame] = page | 0;
  }

  /** Marks the granules of bytes [first, first + length) of the frame as code. */
  addCodeGranules(frame: number, first: number, length: number): void {
    const index = this.#granules + frame * 2;
    this.#words[index] = this.#words[index]! | granuleMask(first, length, 0);
    this.#words[index + 1] = this.#words[index + 1]! | granuleMask(first, length, 32);
  }

  clearCodeGranules(frame: number): void {
    const index = this.#granules + frame * 2;
    this.#words[index] = 0;
    this.#words[index + 1] = 0;
  }

  /** True when bytes [first, first + length) of the frame touch a code granule. */
  hasCode(frame: number, first: number, length: number): boolean {
    const index = this.#granules + frame * 2;
    return (
      (this.#words[index]! & granuleMask(first, length, 0)) !== 0 ||
      (this.#words[index + 1]! & granuleMask(first, length, 32)) !== 0
    );
  }

  /**
   * Where writable soft-TLB entries of the frame may be: 0 for nowhere, a slot's byte address for at most
   * that one, with bit 0 set for that one and others. Kept by the soft TLB.
   */
  writableSlot(frame: number): number {
    return this.#words[this.#slots + frame]!;
  }

  setWritableSlot(frame: number, slot: number): void {
    this.#words[this.#slots + frame] = slot;
  }
}

/** Bits of granules [base, base + 32) that [first, first + length) touches. */
function granuleMask(first: number, length: number, base: number): number {
  const from = Math.max((first >> CODE_GRANULE_SHIFT) - base, 0);
  const to = Math.min(((first + length - 1) >> CODE_GRANULE_SHIFT) - base, 31);
  if (to < from) return 0;
  return (-1 >>> (31 - (to - from))) << from;
}
