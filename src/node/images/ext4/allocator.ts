import { UserError } from "../../../base/errors.ts";
import { BLOCKS_PER_GROUP, type Layout } from "./layout.ts";

/** A run of blocks that follow each other. */
export interface Run {
  readonly start: number;
  readonly count: number;
}

/** The longest run that one extent can describe. */
const LONGEST_RUN = 32768;

/** Which blocks of a file system are in use; new ones are given out in rising order. */
export class BlockAllocator {
  readonly #layout: Layout;
  readonly #used: Uint8Array;
  #next: number;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#used = new Uint8Array(layout.groups.length * (BLOCKS_PER_GROUP / 8));
    for (const group of layout.groups) {
      for (let block = group.first; block < group.firstData; block++) this.#mark(block, true);
      // What the last group lacks counts as used.
      for (let block = group.first + group.blocks; block < group.first + BLOCKS_PER_GROUP; block++) {
        this.#mark(block, true);
      }
    }
    this.#next = layout.groups[0]!.firstData;
  }

  /** The bitmap of one group. */
  bitmap(group: number): Uint8Array {
    const bytes = BLOCKS_PER_GROUP / 8;
    return this.#used.subarray(group * bytes, (group + 1) * bytes);
  }

  /** Blocks that are not in use, in one group. */
  free(group: number): number {
    let free = 0;
    for (const byte of this.bitmap(group)) free += 8 - populationCount(byte);
    return free;
  }

  /** `count` blocks in as few runs as the file system's own tables allow. */
  allocate(count: number): Run[] {
    const runs: Run[] = [];
    for (let left = count; left > 0; ) {
      while (this.#next < this.#layout.blocks && this.#isUsed(this.#next)) this.#next++;
      const start = this.#next;
      while (
        this.#next < this.#layout.blocks &&
        !this.#isUsed(this.#next) &&
        this.#next - start < Math.min(left, LONGEST_RUN)
      ) {
        this.#mark(this.#next++, true);
      }
      const length = this.#next - start;
      if (length === 0) {
        throw new UserError("The disk is too small for what goes onto it; give a larger one.");
      }
      runs.push({ start, count: length });
      left -= length;
    }
    return runs;
  }

  release(runs: readonly Run[]): void {
    for (const { start, count } of runs) {
      for (let block = start; block < start + count; block++) this.#mark(block, false);
    }
  }

  #isUsed(block: number): boolean {
    return ((this.#used[block >> 3]! >> (block & 7)) & 1) === 1;
  }

  #mark(block: number, used: boolean): void {
    if (used) this.#used[block >> 3]! |= 1 << (block & 7);
    else this.#used[block >> 3]! &= ~(1 << (block & 7));
  }
}

function populationCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  return count;
}
