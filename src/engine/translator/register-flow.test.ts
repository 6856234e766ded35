import { describe, expect, test } from "vitest";
import { assemble } from "../../isa/assembler.ts";
import { INSTRUCTION_SET } from "../instruction-set.ts";
import { FastDecoder } from "../interpreter/fast-decoder.ts";
import { HandlerSet } from "../interpreter/handler-set.ts";
import { analyse } from "./control-flow.ts";
import { InstructionWords } from "./instruction-words.ts";
import { type CodePage, findRegion } from "./region.ts";
import { RegisterFlow, TRACKED_LOOP } from "./register-flow.ts";
import { bitsOf, FLAGS_SET } from "./register-use.ts";

const PAGE: CodePage = { delta: 0, frame: 1, records: 16 };

/** For each block by the index of its first instruction: general registers that are valid, and that are unsaved. */
function flowOf(source: string): Record<number, string> {
  const { bytes } = assemble(source);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new FastDecoder(INSTRUCTION_SET);
  const region = findRegion(
    {
      words: new InstructionWords({
        decode: (word) => decoder.decode(word),
        handlers: new HandlerSet(),
        onNewHandler: () => {},
      }),
      page: (delta) => (delta === 0 ? PAGE : undefined),
      word: (_, index) => (index < bytes.length / 4 ? view.getUint32(index * 4, true) : 0),
      isKnown: () => true,
      isUsed: () => true,
      isCalledOften: () => false,
      oftenJumpedTo: () => [],
    },
    0,
  );
  const registers = new RegisterFlow(region, analyse(region), true);
  const names = (set: bigint): string => [...bitsOf(set & ~FLAGS_SET)].map((bit) => `x${bit}`).join(" ");
  return Object.fromEntries(
    [...region.blocks.values()].map(({ name, start }) => {
      const { valid, unsaved } = registers.entry(name);
      return [start / 4, `${names(valid)}/${names(unsaved)}`];
    }),
  );
}

describe("RegisterFlow", () => {
  test("outside loops registers are known until paths meet, and nothing is unsaved", () => {
    expect(flowOf("add x0, x1, #1\n cbz x0, 1f\n add x2, x1, #1\n1: ret")).toEqual({
      0: "/",
      2: "x0 x1/",
      3: "/",
    });
  });

  test("a small loop is entered with what it uses, and leaves what it wrote to be stored", () => {
    expect(flowOf("mov x0, #9\n1: sub x0, x0, #1\n add x2, x2, x3\n cbnz x0, 1b\n ret")).toEqual({
      0: "/",
      1: "x0 x2 x3/x0 x2",
      4: "x0 x2 x3/",
    });
  });

  test("a large loop keeps its registers in memory", () => {
    const body = "add x2, x2, x3\n".repeat(TRACKED_LOOP);
    expect(flowOf(`1: sub x0, x0, #1\n ${body} cbnz x0, 1b\n ret`)).toEqual({
      0: "/",
      [TRACKED_LOOP + 2]: "x0 x2 x3/",
    });
  });
});
