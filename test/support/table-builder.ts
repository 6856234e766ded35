import { RAM_BASE, type TranslationMachine } from "./translation-machine.ts";

/** A page that is valid, accessed, inner shareable Normal memory (MAIR index 0), readable and writable at EL1. */
export const PAGE = 0x703n;
export const BLOCK = 0x701n;
export const TABLE = 0x3n;

/** Builds translation tables of one granule in a machine's RAM. */
export class TableBuilder {
  readonly root: number;
  readonly #machine: TranslationMachine;
  readonly #granuleShift: 12 | 14 | 16;
  readonly #startLevel: number;
  #next: number;

  /** Tables are taken from guest-physical `area` upwards; the root is the first. */
  constructor(
    machine: TranslationMachine,
    options: { granuleShift?: 12 | 14 | 16; startLevel?: number; area?: number } = {},
  ) {
    this.#machine = machine;
    this.#granuleShift = options.granuleShift ?? 12;
    this.#startLevel = options.startLevel ?? (this.#granuleShift === 16 ? 1 : 0);
    this.#next = options.area ?? RAM_BASE + 0x20_0000;
    this.root = this.#take();
  }

  /** Address of the descriptor at `level` for an input address, making the tables above it. */
  descriptorAddress(address: bigint, level: number): number {
    let table = this.root;
    for (let at = this.#startLevel; ; at++) {
      const shift = BigInt((3 - at) * (this.#granuleShift - 3) + this.#granuleShift);
      const mask = at === this.#startLevel ? 0xffffn : (1n << BigInt(this.#granuleShift - 3)) - 1n;
      const slot = table + Number(((address & 0x0000_ffff_ffff_ffffn) >> shift) & mask) * 8;
      if (at === level) return slot;
      const present = this.#machine.read64(slot);
      if ((present & 3n) === 3n) table = Number(present & 0xffff_ffff_f000n);
      else {
        table = this.#take();
        this.#machine.write64(slot, BigInt(table) | TABLE);
      }
    }
  }

  /** Maps with a descriptor at `level` (default 3). `bits` hold everything but the address. */
  map(address: bigint, target: number, bits: bigint, level = 3): number {
    const slot = this.descriptorAddress(address, level);
    this.#machine.write64(slot, BigInt(target) | bits);
    return slot;
  }

  #take(): number {
    const table = this.#next;
    this.#next += 2 ** this.#granuleShift;
    return table;
  }
}
