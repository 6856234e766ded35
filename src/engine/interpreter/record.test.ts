import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { randomWord } from "../../../test/support/random-words.ts";
import { assembleInstruction } from "../../isa/assembler.ts";
import type { Decoded } from "../../isa/decoder.ts";
import { imm32, x } from "../../isa/operands.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import { HandlerSet } from "./handler-set.ts";
import { type Cell, fillRecord, opaqueOperands, RECORD_SIZE, registerSlot } from "./record.ts";

const SIZE: Record<Cell["kind"], number> = { read: 2, write: 2, immediate32: 4, immediate64: 8 };

function recordOf(decoded: Decoded) {
  const { handler } = new HandlerSet().handlerOf(decoded);
  const words = fillRecord(handler.number, handler.plan.cells, decoded.operands);
  return { handler, cells: handler.plan.cells, view: new DataView(words.buffer) };
}

const decode = (line: string) => DECODER.decode(assembleInstruction(line), IMPLEMENTED_FEATURES)!;

describe("registerSlot", () => {
  test("finds each register's place in the element's block", () => {
    expect(registerSlot(x(0), "read")).toBe(PE_LAYOUT.X);
    expect(registerSlot(x(30), "write")).toBe(PE_LAYOUT.X + 240);
    expect(registerSlot(x(31), "read")).toBe(PE_LAYOUT.ZERO);
    expect(registerSlot(x(31), "write")).toBe(PE_LAYOUT.SINK);
    for (const direction of ["read", "write"] as const) {
      expect(registerSlot({ kind: "register", file: "sp", index: 31 }, direction)).toBe(PE_LAYOUT.SP);
      expect(registerSlot({ kind: "register", file: "sp", index: 7 }, direction)).toBe(PE_LAYOUT.X + 56);
      expect(registerSlot({ kind: "register", file: "v", index: 31 }, direction)).toBe(PE_LAYOUT.V + 496);
    }
  });
});

describe("opaqueOperands", () => {
  test("keeps statics, hides contents", () => {
    const operands = opaqueOperands({ size: 64, d: x(3), imm: imm32(9) });
    expect(operands["size"]).toBe(64);
    expect(operands["d"]).toMatchObject({ kind: "register", file: "x" });
    expect(() => (operands["d"] as { index: number }).index).toThrow(/not static/);
    expect(() => (operands["imm"] as { value: number }).value).toThrow(/not static/);
  });
});

describe("fillRecord", () => {
  test("writes handler, registers and constants", () => {
    const { handler, cells, view } = recordOf(decode("add x3, sp, #0x123"));
    expect(view.getUint16(0, true)).toBe(handler.number);
    const values = cells.map(({ kind, position }) =>
      kind === "immediate64"
        ? view.getBigUint64(position, true)
        : BigInt(kind === "immediate32" ? view.getInt32(position, true) : view.getUint16(position, true)),
    );
    expect(values).toContain(BigInt(PE_LAYOUT.SP));
    expect(values).toContain(BigInt(PE_LAYOUT.X + 24));
    expect(values).toContain(0x123n);
  });

  test("writes go to the sink where XZR is the destination", () => {
    const { cells, view } = recordOf(decode("orr xzr, x1, x2"));
    const write = cells.find(({ kind }) => kind === "write")!;
    expect(view.getUint16(write.position, true)).toBe(PE_LAYOUT.SINK);
  });

  test("every row's operands fit without overlap, what does not is a constant of the handler", () => {
    const random = Random.ofThisRun();
    const handlers = new HandlerSet();
    for (const row of DECODER.rows) {
      for (let attempt = 0; attempt < 10; attempt++) {
        const decoded = DECODER.decode(randomWord(row, random), IMPLEMENTED_FEATURES);
        if (decoded === undefined) continue;
        const { plan } = handlers.handlerOf(decoded).handler;
        const where = `${decoded.instruction.name}, seed ${random.seed}`;
        const taken = new Set([0, 1]);
        for (const { name, kind, position } of plan.cells) {
          expect(position % Math.min(SIZE[kind], 4), where).toBe(0);
          expect(plan.baked.has(name), where).toBe(false);
          for (let byte = position; byte < position + SIZE[kind]; byte++) {
            expect(taken.has(byte), where).toBe(false);
            taken.add(byte);
          }
        }
        expect(Math.max(...taken), where).toBeLessThan(RECORD_SIZE);
        expect(fillRecord(1, plan.cells, decoded.operands).byteLength, where).toBe(RECORD_SIZE);
      }
    }
  });
});
