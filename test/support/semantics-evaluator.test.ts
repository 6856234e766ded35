import { describe, expect, test } from "vitest";
import { instruction } from "../../src/isa/instruction.ts";
import { imm32, v, x, xsp } from "../../src/isa/operands.ts";
import { LANE_OPERATORS, OPERATORS } from "../../src/wasm/opcodes.ts";
import { SemanticsEvaluator } from "./semantics-evaluator.ts";
import { WasmOperators } from "./wasm-operators.ts";

describe("SemanticsEvaluator", () => {
  test("computes every operator of the table", () => {
    const operators = new WasmOperators();
    for (const [name, shape] of Object.entries({ ...OPERATORS, ...LANE_OPERATORS })) {
      const full = "lanes" in shape ? `${name} 0` : name;
      const operands = shape.operands.map((type) => {
        if (type === "v128") return new Uint8Array(16).fill(1);
        return type === "i32" || type === "f32" ? 0x3f800000 : 0x3ff0000000000000n;
      });
      expect(operators.run(full, operands), full).toBeDefined();
    }
  });

  test("keeps signalling NaNs as they are", () => {
    const s = new SemanticsEvaluator();
    s.state.v[1]!.set([1, 0, 0xa0, 0x7f]);
    s.writeS(v(2), s.readS(v(1)));
    expect([...s.state.v[2]!.subarray(0, 4)]).toEqual([1, 0, 0xa0, 0x7f]);
  });

  test("executes a row, writes registers, advances the PC", () => {
    const row = instruction({
      name: "TEST_add",
      encoding: "0000000000 imm:12 Rn:5 Rd:5",
      assembly: "",
      manual: "none",
      operands: ({ imm, Rn, Rd }) => ({ d: x(Rd), n: xsp(Rn), imm: imm32(imm) }),
      execute: (o, s) => {
        s.writeX(o.d, s.op("i64.add", s.readX(o.n), s.imm64(o.imm)));
        s.setFlags(s.i64(-1), s.i64(1), s.i64(1), s.i64(0));
      },
    });
    const s = new SemanticsEvaluator();
    s.state.x[31] = 0xffffffffffffffffn;
    expect(s.execute(row, { imm: 5, Rn: 31, Rd: 3 })).toBe(true);
    expect(s.state.x[3]).toBe(4n);
    expect(s.state.nzcv).toBe(0b1010);
    expect(s.state.pc).toBe(4n);
    expect([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15].map((c) => s.rawNumber(s.condition(c)))).toEqual([
      0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 1, 1, 1,
    ]);
  });
});
