import { ENTRY_TABLES_SIZE } from "./region-memory.ts";

const UNIT = 64;

/**
 * A region's entries in their order, the first of which has number 1: words from the start of the requested entry's
 * page, undefined for entries that only the region itself goes to.
 */
export type EntryWords = readonly (number | undefined)[];

/** The words that a table has bytes for; undefined where there is none. */
export function spanOf(words: EntryWords): { readonly low: number; readonly count: number } | undefined {
  const known = words.filter((word) => word !== undefined);
  if (known.length === 0) return undefined;
  const low = Math.min(...known);
  return { low, count: Math.max(...known) - low + 1 };
}

/** Where one region's entries are: a byte for each word of its code from `low` on, 0 or the entry's number from 1. */
export interface EntryTable {
  /** Address in linear memory. */
  readonly address: number;
  /** Words from the start of the requested entry's page to the first that has a byte; may be negative. */
  readonly low: number;
  /** Words that have a byte. */
  readonly count: number;
}

/** Space for entry tables in linear memory: pieces of the same size are used again. */
export class EntryTables {
  readonly #bytes: Uint8Array;
  readonly #base: number;
  readonly #free = new Map<number, number[]>();
  #next = 0;

  /** `base`: address of ENTRY_TABLES_SIZE zeroed bytes. */
  constructor(buffer: ArrayBufferLike, base: number) {
    this.#bytes = new Uint8Array(buffer);
    this.#base = base;
  }

  /** Undefined where there is no space left, or nothing to tell. */
  make(words: EntryWords): EntryTable | undefined {
    const span = spanOf(words);
    if (span === undefined) return undefined;
    const { low, count } = span;
    const address = this.#allocate(sizeOf(count));
    if (address === undefined) return undefined;
    words.forEach((word, index) => {
      if (word !== undefined) this.#bytes[address + word - low] = index + 1;
    });
    return { address, low, count };
  }

  /** The number of the entry at a word of the table. */
  numberOf({ address, low }: EntryTable, word: number): number {
    return this.#bytes[address + word - low] ?? 0;
  }

  remove({ address, count }: EntryTable): void {
    const size = sizeOf(count);
    this.#bytes.fill(0, address, address + size);
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [address]);
    else free.push(address);
  }

  #allocate(size: number): number | undefined {
    const free = this.#free.get(size)?.pop();
    if (free !== undefined) return free;
    if (this.#next + size > ENTRY_TABLES_SIZE) return undefined;
    this.#next += size;
    return this.#base + this.#next - size;
  }
}

function sizeOf(count: number): number {
  return Math.ceil(count / UNIT) * UNIT;
}
