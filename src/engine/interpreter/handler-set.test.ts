import { describe, expect, test } from "vitest";
import { assembleInstruction } from "../../isa/assembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { type Handler, HandlerSet } from "./handler-set.ts";
import { FIRST_HANDLER } from "./record.ts";

const decode = (line: string) => DECODER.decode(assembleInstruction(line), IMPLEMENTED_FEATURES)!;

function handlersOf(...lines: string[]): Handler[] {
  const set = new HandlerSet();
  return lines.map((line) => set.handlerOf(decode(line)).handler);
}

const shareOne = (...lines: string[]): boolean => new Set(handlersOf(...lines)).size === 1;

describe("HandlerSet", () => {
  test("one handler serves all registers and constants", () => {
    expect(shareOne("add x0, x1, #1", "add x7, x9, #4095", "add x3, x3, #0, lsl #12")).toBe(true);
    expect(shareOne("ldr x0, [x1, #8]", "ldr x5, [x6, #32760]")).toBe(true);
    expect(shareOne("movk x0, #1, lsl #16", "movk x9, #0xffff, lsl #16")).toBe(true);
  });

  test("what selects another meaning has another handler", () => {
    const different = [
      ["add x0, x1, #1", "add w0, w1, #1"],
      ["b.eq . + 8", "b.ne . + 8"],
      ["ldr x0, [x1]", "ldr w0, [x1]"],
      ["ldr x0, [x1]", "ldr x0, [sp]"],
      ["ldr x0, [x1, x2]", "ldr x0, [x1, w2, sxtw]"],
    ] as const;
    for (const [one, other] of different) expect(shareOne(one, other), `${one} and ${other}`).toBe(false);
  });

  test("says once that a handler is new, and numbers them in order", () => {
    const set = new HandlerSet();
    const one = set.handlerOf(decode("add x0, x1, #1"));
    const other = set.handlerOf(decode("subs x0, x1, #1"));
    const again = set.handlerOf(decode("add x2, x3, #4"));
    expect([one.isNew, other.isNew, again.isNew]).toEqual([true, true, false]);
    expect([one.handler.number, other.handler.number]).toEqual([FIRST_HANDLER, FIRST_HANDLER + 1]);
    expect(set.reserveNumber()).toBe(FIRST_HANDLER + 2);
    expect(set.handlerOf(decode("and x0, x1, #1")).handler.number).toBe(FIRST_HANDLER + 3);
    expect(set.size).toBe(3);
  });

  test("knows who uses and who writes the flags", () => {
    const flags = (line: string) => {
      const [{ usesFlags, writesFlags }] = handlersOf(line) as [Handler];
      return `${usesFlags ? "uses" : ""} ${writesFlags ? "writes" : ""}`.trim();
    };
    expect(flags("add x0, x1, x2")).toBe("");
    expect(flags("adds x0, x1, x2")).toBe("writes");
    expect(flags("adc x0, x1, x2")).toBe("uses");
    expect(flags("ccmp x0, x1, #3, eq")).toBe("uses writes");
    expect(flags("b.lt . + 8")).toBe("uses");
    expect(flags("csel x0, x1, x2, hi")).toBe("uses");
    expect(flags("fcmp d0, d1")).toBe("writes");
  });

  test("knows branches to PC-relative targets, and the SIMD rows", () => {
    const [b, conditional, call, indirect, vector] = handlersOf(
      "b . + 8",
      "cbz x0, . + 8",
      "bl . + 8",
      "br x0",
      "add v0.4s, v1.4s, v2.4s",
    );
    expect([b, conditional, call, indirect].map((handler) => handler!.branchesRelatively)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(vector!.simd).toBe(true);
    expect(b!.simd).toBe(false);
  });
});
