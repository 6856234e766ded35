import { describe, expect, test } from "vitest";
import { extractFields, insertFields, parseEncodingPattern } from "../../src/isa/encoding-pattern.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { INSTRUCTIONS } from "../../src/isa/table.ts";
import { EvaluatorState, SemanticsEvaluator } from "../support/semantics-evaluator.ts";

const IXC = 16;

/** Rows that have only an exact way, or one for their double-precision part. */
const WITHOUT_FAST_PATH = /^(FRECPE|FRSQRTE|FRECPX|FCVTXN|FCVT_(HS|HD|SH|DH))_/;
const TAKES_INTEGERS = /^[SU]CVTF_as/;
/** Their single-precision form is a conversion with halves, or does not exist. */
const DOUBLES_ONLY = /^(FCVT_SD|FCVTN_asimd|FCVTL_asimd)/;
const DOUBLES_ASK_THE_RUNTIME = /^(FN?M(ADD|SUB)|FML[AS]|FRECPS|FRSQRTS)_/;

const rows = INSTRUCTIONS.filter(
  ({ name, simd, execute }) =>
    simd && execute !== undefined && /^(F|SCVTF|UCVTF|CVTF)/.test(name) && !/H_|fp16/.test(name),
).filter(({ name }) => !WITHOUT_FAST_PATH.test(name));

/** Runs one word on the same numbers in every lane; returns the names of runtime functions it called. */
function functionsCalled(
  row: Instruction,
  isDouble: boolean,
  values: readonly number[],
  fpsr: number,
  fused: boolean,
): string[] {
  const pattern = parseEncodingPattern(row.encoding);
  const given: Record<string, number> = { Rd: 0, Rn: 1, Rm: 2, Ra: 3, Q: 1, sf: 1 };
  given["sz"] = isDouble ? 1 : 0;
  given["immh"] = isDouble ? 15 : 7;
  given["scale"] = 60;
  const fields = extractFields(pattern, insertFields(pattern, given));
  const state = new EvaluatorState();
  state.fpsr = fpsr;
  values.forEach((value, register) => {
    const view = new DataView(state.v[register]!.buffer);
    for (let at = 0; at < 16; at += isDouble ? 8 : 4) {
      if (TAKES_INTEGERS.test(row.name)) view.setUint32(at, Math.ceil(value), true);
      else if (isDouble) view.setFloat64(at, value, true);
      else view.setFloat32(at, value, true);
    }
    state.x[register] = 12n;
  });
  const called: string[] = [];
  const s = new SemanticsEvaluator(state, {}, fused);
  const call = s.call;
  s.call = (name, ...operands) => {
    called.push(name);
    return call(name, ...operands);
  };
  expect(s.execute(row, fields), row.name).toBe(true);
  return called;
}

describe("ordinary numbers take the fast path", () => {
  test.each([
    ["inexact results after IXC is set", [3.1, 2.7, 5.3, 1.9], IXC, false],
    ["exact results before", [0.5, 2.25, 4, 3], 0, false],
    ["inexact results of a host that fuses", [3.1, 2.7, 5.3, 1.9], IXC, true],
    ["exact results of a host that fuses", [0.5, 2.25, 4, 3], 0, true],
  ] as const)("%s", (_, values, fpsr, fused) => {
    const slow: string[] = [];
    for (const row of rows) {
      for (const isDouble of DOUBLES_ONLY.test(row.name) ? [true] : [false, true]) {
        const called = functionsCalled(row, isDouble, values, fpsr, fused);
        const may =
          !fused && isDouble && DOUBLES_ASK_THE_RUNTIME.test(row.name) ? "fpMulAddRegular64" : undefined;
        // 9/4 has a whole root, but 2.25 is no integer: FRINTX and conversions of it are inexact.
        const isInexact = fpsr === 0 && /^(FRINTX|FCVT[NPMZA][SU]?)_/.test(row.name);
        if (!isInexact && called.some((name) => name !== may)) slow.push(`${row.name}: ${called}`);
      }
    }
    expect(rows.length).toBeGreaterThan(100);
    expect(slow).toEqual([]);
  });
});
