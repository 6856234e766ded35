import { Bug } from "../../base/errors.ts";
import type { InstructionWords, KnownWord } from "./instruction-words.ts";
import type { BasicBlock, CodePage, Edge, Region, Terminator } from "./region.ts";
import type { RegionJob } from "./region-module.ts";

/**
 * A region as data that can be sent to another thread: instructions are their words, which the other side looks up by
 * itself.
 */
export interface RegionDescription {
  readonly entry: number;
  readonly entries: readonly number[];
  readonly pages: readonly CodePage[];
  /** FIELDS numbers for each block: many small objects would take longer to send than to write. */
  readonly blocks: Float64Array;
  /** Of all blocks, one after the other. */
  readonly words: Uint32Array;
}

/** A {@link RegionJob} with descriptions in place of regions. */
export interface JobDescription extends Omit<RegionJob, "regions"> {
  readonly regions: readonly { readonly region: RegionDescription; readonly element: number | undefined }[];
}

/** What the numbers of a block are: its name, where it begins, the index of its page, and how it ends. */
export const FIELDS = 9;
const TERMINATORS = ["leave", "indirect", "return", "goto", "conditional"] as const;
const NO_EDGE: Edge = { block: 0, offset: 0 };

export function describeJob({ regions, ...rest }: RegionJob): JobDescription {
  return {
    ...rest,
    regions: regions.map(({ region, element }) => ({ region: describeRegion(region), element })),
  };
}

export function jobOf({ regions, ...rest }: JobDescription, words: InstructionWords): RegionJob {
  return {
    ...rest,
    regions: regions.map(({ region, element }) => ({ region: regionOf(region, words), element })),
  };
}

export function describeRegion({ entry, entries, blocks }: Region): RegionDescription {
  const pages: CodePage[] = [];
  const words: number[] = [];
  const fields: number[] = [];
  for (const { name, start, page, instructions, terminator } of blocks.values()) {
    let index = pages.indexOf(page);
    if (index < 0) index = pages.push(page) - 1;
    for (const { known } of instructions) words.push(known.word);
    const [first, second] = edgesOf(terminator);
    fields.push(name, start, index, instructions.length, TERMINATORS.indexOf(terminator.kind));
    fields.push(first.block, first.offset, second.block, second.offset);
  }
  return { entry, entries, pages, blocks: Float64Array.from(fields), words: Uint32Array.from(words) };
}

/** Where control goes, as {@link terminatorOf} takes it. */
function edgesOf(terminator: Terminator): readonly [Edge, Edge] {
  switch (terminator.kind) {
    case "leave":
      return [{ block: 0, offset: terminator.offset }, NO_EDGE];
    case "indirect":
      return [NO_EDGE, NO_EDGE];
    case "return":
    case "goto":
      return [terminator.to, NO_EDGE];
    case "conditional":
      return [terminator.taken, terminator.next];
  }
}

function terminatorOf(kind: Terminator["kind"], first: Edge, second: Edge): Terminator {
  switch (kind) {
    case "leave":
      return { kind, offset: first.offset };
    case "indirect":
      return { kind };
    case "return":
    case "goto":
      return { kind, to: first };
    case "conditional":
      return { kind, taken: first, next: second };
  }
}

function regionOf(
  { entry, entries, pages, blocks: fields, words }: RegionDescription,
  known: InstructionWords,
): Region {
  const blocks = new Map<number, BasicBlock>();
  let next = 0;
  const lookUp = (word: number | undefined): KnownWord => {
    const found = word === undefined ? undefined : known.of(word);
    if (found === undefined) throw new Bug(`a region has the word ${word}, which is undefined`);
    return found;
  };
  for (let at = 0; at < fields.length; at += FIELDS) {
    const [name = 0, start = 0, index = 0, count = 0, ...end] = fields.subarray(at, at + FIELDS);
    const [kind = 0, block = 0, offset = 0, otherBlock = 0, otherOffset = 0] = end;
    const [page, how] = [pages[index], TERMINATORS[kind]];
    if (page === undefined || how === undefined) throw new Bug("the description of a region is damaged");
    const instructions = Array.from(words.subarray(next, next + count), (word, position) => ({
      offset: start + position * 4,
      known: lookUp(word),
    }));
    next += count;
    const terminator = terminatorOf(how, { block, offset }, { block: otherBlock, offset: otherOffset });
    blocks.set(name, { name, start, page, instructions, terminator });
  }
  return { entry, entries, blocks };
}
