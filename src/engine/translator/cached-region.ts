import { Bug } from "../../base/errors.ts";
import type { EntryWords } from "./entry-tables.ts";
import { type CodePage, isOwn } from "./region.ts";
import { FIELDS, type RegionDescription } from "./region-description.ts";
import type { Range } from "./translation.ts";

/** The words of one page that a region was made from. */
export interface CachedPage {
  /** Bytes from the page of the region's beginning. */
  readonly delta: number;
  /** Places in the page, 0 to 1023, and the word of each. */
  readonly indices: Uint16Array;
  readonly words: Uint32Array;
}

/** What has to be true for a region's code to be right, and how it is entered. */
export interface KeptRegion {
  /** What its module needs a table of. */
  readonly entryWords: EntryWords | undefined;
  /** Places of the first page where it may be entered. */
  readonly places: readonly number[];
  /** The page of its beginning comes first. */
  readonly pages: readonly CachedPage[];
}

/** Where the region's pages are, or why it cannot be used: a page that is not known, other code. */
export type Match =
  | { readonly kind: "same"; readonly pages: readonly CodePage[] }
  | { readonly kind: "missing"; readonly delta: number }
  | { readonly kind: "different" };

/** `entryWords`: as the region's module was written with. */
export function keptRegion(region: RegionDescription, entryWords: EntryWords | undefined): KeptRegion {
  const words = new Map<number, Map<number, number>>([[0, new Map()]]);
  const places: number[] = [];
  let beginning: number | undefined;
  let next = 0;
  for (let at = 0; at < region.blocks.length; at += FIELDS) {
    const [name = 0, start = 0, index = 0, count = 0] = region.blocks.subarray(at, at + FIELDS);
    const delta = region.pages[index]?.delta ?? 0;
    const ofPage = words.get(delta) ?? new Map<number, number>();
    words.set(delta, ofPage);
    for (let offset = start; offset < start + count * 4; offset += 4) {
      ofPage.set((offset - delta) / 4, region.words[next++] ?? 0);
    }
    if (name === region.entry) beginning = start / 4;
    if (delta === 0 && isOwn({ name }) && region.entries.includes(name)) places.push(start / 4);
  }
  if (beginning === undefined) throw new Bug("the description of a region has no beginning");
  return {
    entryWords,
    places: entryWords === undefined ? [beginning] : places,
    pages: [...words].map(([delta, ofPage]) => ({
      delta,
      indices: Uint16Array.from(ofPage.keys()),
      words: Uint32Array.from(ofPage.values()),
    })),
  };
}

/**
 * Compares the region's words with memory. `find` says where a page is by its delta; of one that is a guess, other words
 * say nothing.
 */
export function matchRegion(
  { pages }: KeptRegion,
  memory: Uint32Array,
  find: (delta: number) => { readonly page: CodePage; readonly isGuess: boolean } | undefined,
): Match {
  const found: CodePage[] = [];
  for (const { delta, indices, words } of pages) {
    const where = find(delta);
    if (where === undefined) return { kind: "missing", delta };
    const base = where.page.frame * 1024;
    for (let at = 0; at < indices.length; at++) {
      if (memory[base + (indices[at] ?? 0)] === words[at]) continue;
      return where.isGuess ? { kind: "missing", delta } : { kind: "different" };
    }
    found.push(where.page);
  }
  return { kind: "same", pages: found };
}

/** The words of each frame, as {@link Range}s, from the first to the last. */
export function cachedRanges({ pages }: KeptRegion, found: readonly CodePage[]): Range[] {
  return pages.flatMap(({ indices }, at) => {
    const frame = found[at]?.frame;
    if (frame === undefined || indices.length === 0) return [];
    const [first, last] = [Math.min(...indices), Math.max(...indices)];
    return [{ frame, first, last }];
  });
}
