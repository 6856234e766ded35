import type { EntryTable } from "./entry-tables.ts";
import { type CodePage, isOwn, type Region } from "./region.ts";

const PAGE_WORDS = 1024;

/** An entry to translate: its frame and place, the page's virtual address, and the soft-TLB bank it was reached by. */
export interface Request {
  readonly record: number;
  readonly pe: number;
  readonly frame: number;
  readonly entry: number;
  readonly low: number;
  readonly high: number;
  readonly bank: number;
}

/** The words of one frame that a region was made from. */
export interface Range {
  readonly frame: number;
  readonly first: number;
  readonly last: number;
}

/** A place in the requested entry's page where a region is entered, and its slot. */
export interface Door {
  readonly slot: number;
  readonly entry: number;
}

/** A region that is being made or in place. */
export interface Translation {
  readonly request: Request;
  /** The pages of its code. */
  readonly pages: readonly CodePage[];
  /** The words that it is made from. */
  readonly ranges: readonly Range[];
  /** Where its blocks begin, copies of what it calls aside, by {@link codePlace}. */
  readonly leaders: ReadonlySet<number>;
  /** Where it may be entered: places of the requested entry's page. */
  readonly places: readonly number[];
  /** Where it is, or is going to be, entered. */
  entries: readonly number[];
  /** Empty until it is in place. */
  doors: readonly Door[];
  table: EntryTable | undefined;
  /** Its place in the function table while it can be entered. */
  function: number | undefined;
  /** Its function, once it is in place. */
  compiled: unknown;
  /** Told when it ends. */
  readonly release: (() => void) | undefined;
  /** The code changed. */
  isGone: boolean;
}

/** A word (0 to 1023) of a frame as one number. */
export function codePlace(frame: number, index: number): number {
  return frame * PAGE_WORDS + index;
}

/** Where the blocks of the function that a region began in begin. */
export function leadersOf({ blocks }: Region): ReadonlySet<number> {
  const own = [...blocks.values()].filter(isOwn);
  return new Set(own.map(({ page, start }) => codePlace(page.frame, (start - page.delta) / 4)));
}

/** Places of the first page where the region may be entered, its beginning first. */
export function entriesOf({ entries, blocks }: Region): number[] {
  return entries.flatMap((name) => {
    const block = blocks.get(name);
    return block === undefined || block.page.delta !== 0 || !isOwn(block) ? [] : [block.start / 4];
  });
}

/** One range for each page, from its first word to its last. */
export function rangesOf(region: Region): Range[] {
  const ranges = new Map<number, Range>();
  for (const { page, instructions } of region.blocks.values()) {
    for (const { offset } of instructions) {
      const index = (offset - page.delta) / 4;
      const { first = index, last = index } = ranges.get(page.frame) ?? {};
      ranges.set(page.frame, {
        frame: page.frame,
        first: Math.min(first, index),
        last: Math.max(last, index),
      });
    }
  }
  return [...ranges.values()];
}

/** The pages of the region's code. */
export function pagesOf({ blocks }: Region): CodePage[] {
  return [...new Set([...blocks.values()].map(({ page }) => page))];
}
