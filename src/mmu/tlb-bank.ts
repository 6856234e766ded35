import type { FrameTable } from "../memory/frame-table.ts";
import type { MachineMemory } from "../memory/machine-memory.ts";
import { FRAME_SHIFT } from "../memory/machine-memory.ts";
import { SOFT_TLB, TLB_BANK_FACTS, TLB_BANK_STATE } from "../memory/pe-layout.ts";
import { PERMISSION } from "./walk-request.ts";

const { ENTRIES, ENTRY_SIZE, BANK_SIZE } = SOFT_TLB;
const ENTRY_SHIFT = 5;
const INDEX_MASK = ENTRIES - 1;
const PAGE_MASK = ~0xfff;
const INVALID = -1;

/** Word offsets inside an entry. */
const READ = SOFT_TLB.READ_TAG >> 2;
const WRITE = SOFT_TLB.WRITE_TAG >> 2;
const EXECUTE = SOFT_TLB.EXECUTE_TAG >> 2;
const ADDEND = SOFT_TLB.ADDEND >> 2;
const ENTRY_WORDS = ENTRY_SIZE >> 2;

/** Up to this many entries are dropped singly; a fill of the bank costs about as much. */
const FEW_ENTRIES = 1024;

/** Entries of lower and of upper addresses are invalidated apart: bit 55, in the high word. */
const UPPER = 0x0080_0000;
const WITHOUT_TAG = 0x00ff_ffff;

/**
 * One bank of the soft TLB (SOFT_TLB in memory/pe-layout.ts), with what generated code does not need: how
 * large each entry's mapping is and whether any entry belongs to one ASID only.
 */
export class TlbBank {
  /** Byte address of the first entry. */
  readonly address: number;
  readonly #words: Int32Array;
  readonly #frames: FrameTable;
  readonly #first: number;
  /** log2 of each entry's stage 1 mapping. */
  readonly #shifts: Uint8Array;
  /** Word index of the bank's TLB_BANK_STATE. */
  readonly #state: number;
  /** Entries claimed since the last flush, while they are few; then the bank is cleared one by one. */
  readonly #claimed = new Uint16Array(FEW_ENTRIES);
  #claims = 0;
  /** Mappings larger than a page of which an entry was installed since the last flush, by {@link blockKey}. */
  readonly #blocks = new Set<number>();
  readonly #blockShifts = new Set<number>();
  #largestLower = FRAME_SHIFT;
  #largestUpper = FRAME_SHIFT;

  constructor(memory: MachineMemory, frames: FrameTable) {
    this.address = memory.allocate(BANK_SIZE + TLB_BANK_FACTS.SIZE, 64);
    this.#state = (this.address + TLB_BANK_FACTS.STATE) >>> 2;
    const shifts = this.address + TLB_BANK_FACTS.SHIFTS;
    this.#shifts = memory.bytes.subarray(shifts, shifts + ENTRIES);
    this.#words = memory.words;
    this.#frames = frames;
    this.#first = this.address >>> 2;
    this.#words.fill(INVALID, this.#first, this.#first + (BANK_SIZE >> 2));
  }

  /** An entry without nG may be in the bank. */
  get hasGlobal(): boolean {
    return (this.#words[this.#state]! & TLB_BANK_STATE.GLOBAL) !== 0;
  }

  /** An entry with nG may be in the bank. */
  get hasNonGlobal(): boolean {
    return (this.#words[this.#state]! & TLB_BANK_STATE.NOT_GLOBAL) !== 0;
  }

  /** An entry of the lower half of addresses may be in the bank. */
  get hasLower(): boolean {
    return (this.#words[this.#state]! & TLB_BANK_STATE.LOWER) !== 0;
  }

  /**
   * Changes of the tables that every entry was made from become known by themselves, so that TLBI has nothing to
   * do here.
   */
  get coherent(): boolean {
    return (this.#words[this.#state]! & TLB_BANK_STATE.NOT_COHERENT) === 0;
  }

  /** The tables that entries were made from may be forgotten. */
  loseCoherence(): void {
    this.#words[this.#state] = this.#words[this.#state]! | TLB_BANK_STATE.NOT_COHERENT;
  }

  get isEmpty(): boolean {
    return this.#words[this.#state] === 0;
  }

  /** Byte address of the entry for a virtual address. */
  slot(low: number): number {
    return this.address + (((low >>> FRAME_SHIFT) & INDEX_MASK) << ENTRY_SHIFT);
  }

  /**
   * Sets the read and write tags of a page to what `permissions` says; an execute tag of the same page stays.
   * `frameHost` is the host address of the page's frame.
   */
  install(low: number, high: number, frameHost: number, permissions: number): void {
    const slot = this.#claim(low, high, frameHost);
    const index = slot >>> 2;
    const words = this.#words;
    const page = low & PAGE_MASK;
    const readable = (permissions & PERMISSION.READ) !== 0;
    words[index + READ] = readable ? page : INVALID;
    words[index + READ + 1] = readable ? high : INVALID;
    const writable = (permissions & PERMISSION.WRITE) !== 0;
    if (writable) this.#noteWritable(frameHost >>> FRAME_SHIFT, slot);
    words[index + WRITE] = writable ? page : INVALID;
    words[index + WRITE + 1] = writable ? high : INVALID;
  }

  /** Makes the page's entry hold no other page, so that an engine may add its records and the execute tag. */
  prepareExecute(low: number, high: number, frameHost: number): void {
    this.#claim(low, high, frameHost);
  }

  /** What TLBI needs to know about the page installed last; call it beside each install. */
  describe(low: number, high: number, shift: number, global: boolean, coherent = false): void {
    this.#shifts[(low >>> FRAME_SHIFT) & INDEX_MASK] = shift;
    this.#words[this.#state] =
      this.#words[this.#state]! |
      (global ? TLB_BANK_STATE.GLOBAL : TLB_BANK_STATE.NOT_GLOBAL) |
      ((high & UPPER) === 0 ? TLB_BANK_STATE.LOWER : 0) |
      (coherent ? 0 : TLB_BANK_STATE.NOT_COHERENT);
    if (shift > FRAME_SHIFT) {
      this.#blocks.add(blockKey(low, high, shift));
      this.#blockShifts.add(shift);
    }
    if ((high & UPPER) !== 0) this.#largestUpper = Math.max(this.#largestUpper, shift);
    else this.#largestLower = Math.max(this.#largestLower, shift);
  }

  /** Drops everything. Returns whether there was anything. */
  flush(): boolean {
    if (this.isEmpty) return false;
    if (this.#claims > FEW_ENTRIES || (this.#words[this.#state]! & TLB_BANK_STATE.MANY) !== 0) {
      this.#words.fill(INVALID, this.#first, this.#first + (BANK_SIZE >> 2));
    } else {
      for (let index = 0; index < this.#claims; index++) {
        this.#drop(this.#first + this.#claimed[index]! * ENTRY_WORDS);
      }
    }
    this.#claims = 0;
    this.#words[this.#state] = 0;
    this.#largestLower = FRAME_SHIFT;
    this.#largestUpper = FRAME_SHIFT;
    this.#blocks.clear();
    this.#blockShifts.clear();
    return true;
  }

  /** Drops every entry whose mapping, block or page, holds the address; possibly more. The top byte is ignored. */
  flushAddress(low: number, high: number): void {
    if (this.isEmpty) return;
    if (this.coherent) {
      // Where a block changes, its entries go without being asked for.
      this.dropPage(low, high);
      return;
    }
    const unlisted = (this.#words[this.#state]! & TLB_BANK_STATE.BLOCKS) !== 0;
    const largest = (high & UPPER) !== 0 ? this.#largestUpper : this.#largestLower;
    if (!unlisted && (largest === FRAME_SHIFT || !this.#mayBeInBlock(low, high)))
      this.#drop(this.slot(low) >>> 2);
    else this.#flushBlocks(low, high);
  }

  /** Drops the entry of exactly one page, if it is here. The top byte is ignored. */
  dropPage(low: number, high: number): void {
    const words = this.#words;
    const index = this.slot(low) >>> 2;
    const tag = firstTag(words, index);
    if (tag === 0 || words[index + tag - 1] !== (low & PAGE_MASK)) return;
    if (((words[index + tag]! ^ high) & WITHOUT_TAG) === 0) this.#drop(index);
  }

  /** Removes the write tags of a frame. */
  revokeWrites(frame: number): void {
    if (this.isEmpty) return;
    const words = this.#words;
    const end = this.#first + ENTRIES * ENTRY_WORDS;
    for (let index = this.#first; index < end; index += ENTRY_WORDS) {
      if (writableFrame(words, index) === frame) dropTag(words, index + WRITE);
    }
  }

  /** Removes the execute tags of a frame. */
  revokeExecution(frame: number): void {
    if (this.isEmpty) return;
    const words = this.#words;
    const end = this.#first + ENTRIES * ENTRY_WORDS;
    for (let index = this.#first; index < end; index += ENTRY_WORDS) {
      const tag = words[index + EXECUTE]!;
      if (tag !== INVALID && (tag + words[index + ADDEND]!) >>> FRAME_SHIFT === frame) {
        dropTag(words, index + EXECUTE);
      }
    }
  }

  /** The entry's byte address, with tags of other pages or frames removed and the addend set. */
  #claim(low: number, high: number, frameHost: number): number {
    const slot = this.slot(low);
    const index = slot >>> 2;
    const words = this.#words;
    const page = low & PAGE_MASK;
    const addend = (frameHost - page) | 0;
    if (this.#claims <= FEW_ENTRIES && firstTag(words, index) === 0) {
      if (this.#claims < FEW_ENTRIES) this.#claimed[this.#claims] = (low >>> FRAME_SHIFT) & INDEX_MASK;
      this.#claims++;
    }
    if (words[index + ADDEND] !== addend) this.#drop(index);
    else {
      for (let tag = READ; tag <= EXECUTE; tag += 2) {
        if (words[index + tag] !== page || words[index + tag + 1] !== high) dropTag(words, index + tag);
      }
    }
    words[index + ADDEND] = addend;
    this.#words[this.#state] = this.#words[this.#state]! | TLB_BANK_STATE.FILLED;
    return slot;
  }

  #noteWritable(frame: number, slot: number): void {
    const known = this.#frames.writableSlot(frame);
    if ((known & ~1) === slot || (known & 1) !== 0) return;
    const stillThere = known !== 0 && writableFrame(this.#words, known >>> 2) === frame;
    this.#frames.setWritableSlot(frame, stillThere ? known | 1 : slot);
  }

  #mayBeInBlock(low: number, high: number): boolean {
    for (const shift of this.#blockShifts) if (this.#blocks.has(blockKey(low, high, shift))) return true;
    return false;
  }

  #flushBlocks(low: number, high: number): void {
    const words = this.#words;
    for (let entry = 0; entry < ENTRIES; entry++) {
      const index = this.#first + entry * ENTRY_WORDS;
      const tag = firstTag(words, index);
      if (tag === 0) continue;
      const shift = this.#shifts[entry]!;
      const differentLow = words[index + tag - 1]! ^ low;
      const differentHigh = (words[index + tag]! ^ high) & WITHOUT_TAG;
      const outside = shift >= 32 ? differentHigh >>> (shift - 32) : differentHigh | (differentLow >>> shift);
      if (outside === 0) this.#drop(index);
    }
  }

  #drop(index: number): void {
    const words = this.#words;
    for (let word = 0; word < ADDEND; word++) words[index + word] = INVALID;
  }
}

/**
 * Removes one frame's write tags from wherever they are. `scan` is called when the frame's known slot is not
 * the whole truth.
 */
export function revokeWritable(
  memory: MachineMemory,
  frames: FrameTable,
  frame: number,
  scan: () => void,
): void {
  const known = frames.writableSlot(frame);
  if (known === 0) return;
  const index = known >>> 2;
  if ((known & 1) !== 0) scan();
  else if (writableFrame(memory.words, index) === frame) dropTag(memory.words, index + WRITE);
  frames.setWritableSlot(frame, 0);
}

/** Names the block of 2^shift bytes (shift above 12) that holds the address, its top byte aside. */
function blockKey(low: number, high: number, shift: number): number {
  const address = (high & WITHOUT_TAG) * 2 ** 32 + (low >>> 0);
  return Math.floor(address / 2 ** shift) * 64 + shift;
}

/** Frame that an entry's write tag leads to, or -1. */
function writableFrame(words: Int32Array, index: number): number {
  const tag = words[index + WRITE]!;
  return tag === INVALID ? -1 : (tag + words[index + ADDEND]!) >>> FRAME_SHIFT;
}

function dropTag(words: Int32Array, index: number): void {
  words[index] = INVALID;
  words[index + 1] = INVALID;
}

/** Word offset of the high half of any valid tag; 0 when the entry is empty. */
function firstTag(words: Int32Array, index: number): number {
  if (words[index + READ] !== INVALID) return READ + 1;
  if (words[index + EXECUTE] !== INVALID) return EXECUTE + 1;
  return words[index + WRITE] !== INVALID ? WRITE + 1 : 0;
}
