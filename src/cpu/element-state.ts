import { MASK64 } from "../base/bits.ts";
import { indexOf, type StoredRegisterName, SYSTEM_REGISTERS } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";

/** The two views of linear memory that the processor uses. */
export interface ElementMemory {
  /** Indexed by byte address >>> 2. */
  readonly words: Int32Array;
  /** Indexed by byte address >>> 3. */
  readonly doubleWords: BigUint64Array;
}

/** Index of each stored system register, by name: the argument of {@link ElementState.read}. */
export const SLOT: Readonly<Record<StoredRegisterName, number>> = Object.fromEntries(
  SYSTEM_REGISTERS.flatMap((row) => {
    const index = indexOf(row);
    return index === undefined ? [] : [[row.name, index] as const];
  }),
  // The table's names are what SYSTEM_REGISTERS was made of.
) as Record<StoredRegisterName, number>;

/** Offsets of u32 fields of the block. */
export type StateWord = (typeof PE_LAYOUT)[
  | "FPCR"
  | "FPSR"
  | "EL"
  | "SPSEL"
  | "DAIF"
  | "PAN"
  | "UAO"
  | "SSBS"
  | "EVENT"
  | "SS"
  | "IL"
  | "NON_SECURE"
  | "ATTENTION"
  | "BIG_ENDIAN"
  | "FP_ENABLED"
  | "EXCLUSIVE_ADDRESS"
  | "FAST_REGISTERS"];

type DoubleWord = (typeof PE_LAYOUT)[
  | "COUNTER_FROM"
  | "COUNTER_FACTOR"
  | "COUNTER_PHYSICAL_START"
  | "COUNTER_VIRTUAL_START"];

/** Bits of PSTATE.DAIF as PE_LAYOUT.DAIF keeps them. */
export const DAIF = { D: 8, A: 4, I: 2, F: 1, ALL: 15 } as const;

/** The processing element's block in linear memory, in the processor's words. */
export class ElementState {
  /** Byte address of the block, a multiple of 8. */
  readonly base: number;
  readonly words: Int32Array;
  readonly doubleWords: BigUint64Array;
  readonly #firstSlot: number;
  readonly #firstWord: number;

  constructor(memory: ElementMemory, base: number) {
    this.base = base;
    this.words = memory.words;
    this.doubleWords = memory.doubleWords;
    this.#firstSlot = (base + PE_LAYOUT.SYSTEM_REGISTERS) >>> 3;
    this.#firstWord = (base + PE_LAYOUT.SYSTEM_REGISTERS) >>> 2;
  }

  /** A u32 field, as an unsigned number. */
  word(offset: StateWord): number {
    return this.words[(this.base + offset) >>> 2]! >>> 0;
  }

  setWord(offset: StateWord, value: number): void {
    this.words[(this.base + offset) >>> 2] = value;
  }

  /** A u64 field of PE_LAYOUT; values wider than 64 bits are cut. */
  setDoubleWord(offset: DoubleWord, value: bigint): void {
    this.doubleWords[(this.base + offset) >>> 3] = value & MASK64;
  }

  /** The current exception level. */
  get el(): 0 | 1 | 2 | 3 {
    return (this.words[(this.base + PE_LAYOUT.EL) >>> 2]! & 3) as 0 | 1 | 2 | 3;
  }

  get pc(): bigint {
    return this.doubleWords[(this.base + PE_LAYOUT.PC) >>> 3]!;
  }

  set pc(value: bigint) {
    this.doubleWords[(this.base + PE_LAYOUT.PC) >>> 3] = value;
  }

  /** General-purpose register `index`, 31 being XZR. */
  x(index: number): bigint {
    return index === 31 ? 0n : this.doubleWords[(this.base + PE_LAYOUT.X + 8 * index) >>> 3]!;
  }

  setX(index: number, value: bigint): void {
    if (index !== 31) this.doubleWords[(this.base + PE_LAYOUT.X + 8 * index) >>> 3] = value;
  }

  /** A stored system register. `slot` comes from {@link SLOT}. */
  read(slot: number): bigint {
    return this.doubleWords[this.#firstSlot + slot]!;
  }

  /** Values wider than 64 bits are cut. */
  write(slot: number, value: bigint): void {
    this.doubleWords[this.#firstSlot + slot] = value & MASK64;
  }

  /** Bit `bit` (0 to 63) of a stored system register: 0 or 1. */
  bit(slot: number, bit: number): number {
    return (this.words[this.#firstWord + 2 * slot + (bit >>> 5)]! >>> (bit & 31)) & 1;
  }

  /** Bits 31:0, unsigned. */
  low(slot: number): number {
    return this.words[this.#firstWord + 2 * slot]! >>> 0;
  }

  /** Bits 63:32, unsigned. */
  high(slot: number): number {
    return this.words[this.#firstWord + 2 * slot + 1]! >>> 0;
  }

  /** PSTATE.NZCV as bits 3:0. */
  get nzcv(): number {
    const { base, doubleWords } = this;
    const n = doubleWords[(base + PE_LAYOUT.FLAG_N) >>> 3]! >> 63n ? 8 : 0;
    const z = doubleWords[(base + PE_LAYOUT.FLAG_Z) >>> 3] === 0n ? 4 : 0;
    const c = doubleWords[(base + PE_LAYOUT.FLAG_C) >>> 3]! & 1n ? 2 : 0;
    const v = doubleWords[(base + PE_LAYOUT.FLAG_V) >>> 3]! >> 63n ? 1 : 0;
    return n | z | c | v;
  }

  set nzcv(flags: number) {
    const { base, doubleWords } = this;
    doubleWords[(base + PE_LAYOUT.FLAG_N) >>> 3] = flags & 8 ? 1n << 63n : 0n;
    doubleWords[(base + PE_LAYOUT.FLAG_Z) >>> 3] = flags & 4 ? 0n : 1n;
    doubleWords[(base + PE_LAYOUT.FLAG_C) >>> 3] = flags & 2 ? 1n : 0n;
    doubleWords[(base + PE_LAYOUT.FLAG_V) >>> 3] = flags & 1 ? 1n << 63n : 0n;
  }

  /** Stack pointer of a level, wherever it is kept just now. */
  stackPointer(el: number): bigint {
    const inUse = this.word(PE_LAYOUT.SPSEL) === 1 ? this.el : 0;
    return this.doubleWords[this.#stackPointerIndex(el, inUse)]!;
  }

  setStackPointer(el: number, value: bigint): void {
    const inUse = this.word(PE_LAYOUT.SPSEL) === 1 ? this.el : 0;
    this.doubleWords[this.#stackPointerIndex(el, inUse)] = value;
  }

  #stackPointerIndex(el: number, inUse: number): number {
    return (this.base + (el === inUse ? PE_LAYOUT.SP : PE_LAYOUT.SP_BANK + 8 * el)) >>> 3;
  }

  /** Changes PSTATE.EL and PSTATE.SP, and with them the stack pointer in use. */
  selectLevel(el: number, spsel: number): void {
    const { base, doubleWords } = this;
    const before = this.word(PE_LAYOUT.SPSEL) === 1 ? this.el : 0;
    const after = spsel === 1 ? el : 0;
    if (before !== after) {
      doubleWords[(base + PE_LAYOUT.SP_BANK + 8 * before) >>> 3] = doubleWords[(base + PE_LAYOUT.SP) >>> 3]!;
      doubleWords[(base + PE_LAYOUT.SP) >>> 3] = doubleWords[(base + PE_LAYOUT.SP_BANK + 8 * after) >>> 3]!;
    }
    this.setWord(PE_LAYOUT.EL, el);
    this.setWord(PE_LAYOUT.SPSEL, spsel);
  }
}
