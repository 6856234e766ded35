import { describe, expect, test } from "vitest";
import { assemble } from "../../isa/assembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { type Handler, HandlerSet } from "../interpreter/handler-set.ts";
import { InstructionWords } from "./instruction-words.ts";
import {
  type CodePage,
  type Edge,
  findRegion,
  MAXIMUM_INSTRUCTIONS,
  type Region,
  type RegionSource,
  type Terminator,
} from "./region.ts";

const UNDEFINED = 0;

/** A page with a program at its start, else undefined words. */
function pageOf(
  source: string,
  at = 0,
): RegionSource & { readonly made: Handler[]; readonly handlers: HandlerSet } {
  const { bytes } = assemble(source, { origin: BigInt(at * 4) });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const made: Handler[] = [];
  const handlers = new HandlerSet();
  return {
    made,
    handlers,
    words: new InstructionWords({
      decode: (word) => DECODER.decode(word, IMPLEMENTED_FEATURES),
      handlers,
      onNewHandler: (handler) => made.push(handler),
    }),
    page: (delta) => (delta === 0 ? PAGE : undefined),
    word: (_, index) =>
      index >= at && index < at + bytes.length / 4 ? view.getUint32((index - at) * 4, true) : UNDEFINED,
    isKnown: () => true,
    isUsed: () => true,
    isCalledOften: () => false,
    oftenJumpedTo: () => [],
  };
}

const PAGE: CodePage = { delta: 0, frame: 1, records: 0 };

/** Each block as "start +length terminator", in words from the page's start. */
function shape({ blocks }: Region): string[] {
  return [...blocks.values()]
    .sort((a, b) => a.start - b.start)
    .map(({ start, instructions, terminator }) => {
      const where = targets(terminator).map((offset) => offset / 4);
      return [start / 4, `+${instructions.length}`, terminator.kind, ...where].join(" ");
    });
}

function targets(terminator: Terminator): number[] {
  const offset = (edge: Edge): number => edge.offset;
  switch (terminator.kind) {
    case "leave":
      return [terminator.offset];
    case "indirect":
      return [];
    case "goto":
    case "return":
      return [offset(terminator.to)];
    case "conditional":
      return [offset(terminator.taken), offset(terminator.next)];
  }
}

describe("findRegion", () => {
  test("ends straight code before what the interpreter must do", () => {
    expect(shape(findRegion(pageOf("add x0, x0, #1\nsub x1, x1, #1\nsvc #0"), 0))).toEqual(["0 +2 leave 2"]);
    expect(shape(findRegion(pageOf("add x0, x0, #1\nmrs x0, nzcv"), 0))).toEqual(["0 +1 leave 1"]);
  });

  test("ends straight code before an undefined word", () => {
    expect(shape(findRegion(pageOf("add x0, x0, #1"), 0))).toEqual(["0 +1 leave 1"]);
  });

  test("is empty where its first instruction is the interpreter's", () => {
    expect(shape(findRegion(pageOf("svc #0"), 0))).toEqual(["0 +0 leave 0"]);
  });

  test("follows both ways of a conditional branch, and splits what is branched into", () => {
    const page = pageOf("1: add x0, x0, #1\n cbz x0, 2f\n sub x1, x1, #1\n2: sub x2, x2, #1\n b 1b");
    expect(shape(findRegion(page, 0))).toEqual(["0 +2 conditional 3 2", "2 +1 goto 3", "3 +2 goto 0"]);
  });

  test("splits a block that a later branch goes back into", () => {
    const page = pageOf("add x0, x0, #1\n1: add x0, x0, #2\n cbnz x0, 1b\n ret");
    expect(shape(findRegion(page, 0))).toEqual(["0 +1 goto 1", "1 +2 conditional 1 3", "3 +1 indirect"]);
  });

  test("begins in the middle of a loop", () => {
    const page = pageOf("1: add x0, x0, #1\n add x0, x0, #2\n cbnz x0, 1b\n ret");
    expect(shape(findRegion(page, 4))).toEqual(["0 +1 goto 1", "1 +2 conditional 0 3", "3 +1 indirect"]);
  });

  test("a branch to the next instruction is one edge", () => {
    expect(shape(findRegion(pageOf("b.eq 1f\n1: tbz w0, #3, 1f\n1: ret"), 0))).toEqual([
      "0 +1 goto 1",
      "1 +1 goto 2",
      "2 +1 indirect",
    ]);
  });

  test("stays linear in a chain of branches to the next instruction", () => {
    const { blocks } = findRegion(pageOf("b.eq . + 4\n".repeat(60)), 0);
    expect(blocks.size).toBeLessThanOrEqual(61);
  });

  test("a branch to itself is a loop of one block", () => {
    expect(shape(findRegion(pageOf("b ."), 0))).toEqual(["0 +1 goto 0"]);
  });

  test("calls and returns leave it", () => {
    expect(shape(findRegion(pageOf("add x0, x0, #1\n bl . + 40"), 0))).toEqual(["0 +2 leave 11"]);
    expect(shape(findRegion(pageOf("blr x3"), 0))).toEqual(["0 +1 indirect"]);
    expect(shape(findRegion(pageOf("br x3"), 0))).toEqual(["0 +1 indirect"]);
  });

  test("ends with its page, on both sides", () => {
    expect(shape(findRegion(pageOf("add x0, x0, #1", 1023), 4092))).toEqual(["1023 +1 goto 1024"]);
    expect(shape(findRegion(pageOf("b.eq . - 8"), 0))).toEqual(["0 +1 conditional -2 1", "1 +0 leave 1"]);
    expect(shape(findRegion(pageOf("b . + 8", 1023), 4092))).toEqual(["1023 +1 goto 1025"]);
  });

  test("is bounded in instructions and blocks", () => {
    const long = findRegion(pageOf("add x0, x0, #1\n".repeat(1000)), 0);
    expect([...long.blocks.values()][0]!.instructions.length).toBe(MAXIMUM_INSTRUCTIONS);
    const wide = findRegion(pageOf("cbz x0, . + 8\n".repeat(1000)), 0);
    expect(wide.blocks.size).toBeLessThanOrEqual(96);
    const count = [...wide.blocks.values()].reduce((sum, { instructions }) => sum + instructions.length, 0);
    expect(count).toBeLessThanOrEqual(MAXIMUM_INSTRUCTIONS);
  });

  test("takes in functions that are called often, once for each call", () => {
    const source = "bl f\n bl f\n ret\n f: add x0, x0, #1\n cbz x0, 1f\n ret\n 1: ret";
    const page = { ...pageOf(source), isCalledOften: () => true };
    const lines = shape(findRegion(page, 0));
    expect(lines.filter((line) => line === "3 +2 conditional 6 5")).toHaveLength(2);
    expect(lines.filter((line) => line === "6 +1 return 1")).toHaveLength(1);
    expect(lines.filter((line) => line === "5 +1 return 2")).toHaveLength(1);
    expect(lines.filter((line) => line === "2 +1 indirect")).toHaveLength(1);
  });

  test("calls that leave it come back to one of its entries, computed jumps go to some", () => {
    const page = {
      ...pageOf("bl . + 400\n nop\n br x3\n nop\n ret"),
      isCalledOften: (_: CodePage, index: number) => index < 50,
      oftenJumpedTo: () => [3],
    };
    const far = { ...page, isKnown: (_: unknown, index: number) => index < 50 };
    const { entries, blocks } = findRegion(far, 0);
    expect(entries.map((name) => (blocks.get(name)?.start ?? -1) / 4)).toEqual([0, 1, 3]);
  });

  test("larger functions that are called often belong to it once, and return to one of its entries", () => {
    const source = `bl f\n bl f\n ret\n f: cbz x0, 1f\n ${"nop\n".repeat(60)} 1: ret`;
    const page = pageOf(source);
    const often = { ...page, isCalledOften: (_: CodePage, index: number) => index < 4 };
    const region = findRegion(often, 0);
    expect(shape(region)).toEqual([
      "0 +1 goto 3",
      "1 +1 goto 3",
      "2 +1 indirect",
      "3 +1 conditional 64 4",
      "4 +60 goto 64",
      "64 +1 indirect",
    ]);
    expect(region.entries.map((name) => (region.blocks.get(name)?.start ?? -1) / 4)).toEqual([0, 1, 2]);
    // Nobody has come back from there: the call leaves.
    const away = { ...page, isCalledOften: (_: CodePage, index: number) => index === 3 };
    expect(shape(findRegion(away, 0))).toEqual(["0 +1 leave 3"]);
  });

  test("a call of itself is a jump to its beginning", () => {
    const page = { ...pageOf("f: cbz x0, 1f\n bl f\n 1: ret"), isCalledOften: () => true };
    expect(shape(findRegion(page, 0))).toEqual(["0 +1 conditional 2 1", "1 +1 goto 0", "2 +1 indirect"]);
  });

  test("leaves out what was never executed, and ways of a branch that are hardly gone", () => {
    const page = pageOf("cbz x0, 1f\n cbz x1, 2f\n ret\n 1: nop\n 2: ret");
    const notTaken = { ...page, isUsed: (_: CodePage, index: number) => index < 3 };
    expect(shape(findRegion(notTaken, 0))).toEqual([
      "0 +1 conditional 3 1",
      "1 +1 conditional 4 2",
      "2 +1 indirect",
    ]);
    const taken = { ...page, isUsed: (_: CodePage, index: number) => index > 2 };
    expect(shape(findRegion(taken, 0))).toEqual(["0 +1 conditional 3 1", "3 +1 goto 4", "4 +1 indirect"]);
    const unknown = { ...page, isKnown: (_: CodePage, index: number) => index < 2 };
    expect(shape(findRegion(unknown, 0))).toEqual([
      "0 +1 conditional 3 1",
      "1 +1 conditional 4 2",
      "2 +0 leave 2",
      "3 +0 leave 3",
      "4 +0 leave 4",
    ]);
  });

  test("goes on in the next page where that is known", () => {
    const near = pageOf("add x0, x0, #1", 1023);
    const next: CodePage = { delta: 4096, frame: 9, records: 64 };
    const both = {
      ...near,
      page: (delta: number) => (delta === 4096 ? next : near.page(delta)),
      word: (page: CodePage, index: number) => near.word(page, page === next ? index + 1023 : index),
    };
    const region = findRegion(both, 1023 * 4);
    expect(shape(region)).toEqual(["1023 +1 goto 1024", "1024 +1 leave 1025"]);
    expect([...region.blocks.values()].map(({ page }) => page.frame)).toEqual([1, 9]);
  });

  test("tells of each handler once", () => {
    const page = pageOf("add x0, x0, #1\n add x1, x1, #1\n sub x2, x2, #3");
    findRegion(page, 0);
    findRegion(page, 4);
    expect(page.made.length).toBe(new Set(page.made).size);
    expect(page.made.length).toBe(page.handlers.size);
  });
});
