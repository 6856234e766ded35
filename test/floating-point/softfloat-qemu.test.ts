import { expect, test } from "vitest";
import type { FloatingPointContext } from "../../src/isa/runtime-functions.ts";
import * as arithmetic from "../../src/isa/softfloat/arithmetic.ts";
import * as comparing from "../../src/isa/softfloat/compare.ts";
import { ROUNDING, roundingOf } from "../../src/isa/softfloat/control.ts";
import { convert } from "../../src/isa/softfloat/convert.ts";
import * as estimates from "../../src/isa/softfloat/estimate.ts";
import { DOUBLE, type FloatFormat, HALF, SINGLE } from "../../src/isa/softfloat/format.ts";
import * as fused from "../../src/isa/softfloat/fused.ts";
import { fromFixed, roundToIntegral, toFixed } from "../../src/isa/softfloat/integral.ts";
import { type OracleCase, QemuOracle } from "../support/qemu-oracle.ts";
import { Random } from "../support/random.ts";
import { randomControl, randomFloat } from "../support/random-floats.ts";

const VECTORS_PER_OPERATION = 1500;

interface Operation {
  /** Operands in V1, V2, V3 or X1; result in V0, X0 or the flags. */
  readonly line: string;
  readonly operand: FloatFormat | "integer";
  readonly result: "v" | "x" | "flags";
  compute(context: FloatingPointContext, a: bigint, b: bigint, c: bigint): bigint;
}

const operations: Operation[] = [];

for (const [format, r] of [
  [SINGLE, "s"],
  [DOUBLE, "d"],
] as const) {
  const add = (line: string, compute: Operation["compute"], result: Operation["result"] = "v") =>
    operations.push({ line, operand: format, result, compute });
  type Binary = (f: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext) => bigint;
  type Unary = (f: FloatFormat, a: bigint, context: FloatingPointContext) => bigint;
  const binary: Record<string, Binary> = {
    fadd: arithmetic.add,
    fsub: arithmetic.subtract,
    fmul: arithmetic.multiply,
    fmulx: arithmetic.multiplyExtended,
    fdiv: arithmetic.divide,
    fmax: comparing.maximum,
    fmin: comparing.minimum,
    fmaxnm: comparing.maximumNumber,
    fminnm: comparing.minimumNumber,
    frecps: fused.reciprocalStep,
    frsqrts: fused.reciprocalSquareRootStep,
  };
  for (const [name, run] of Object.entries(binary))
    add(`${name} ${r}0, ${r}1, ${r}2`, (context, a, b) => run(format, a, b, context));
  const unary: Record<string, Unary> = {
    fsqrt: arithmetic.squareRoot,
    frecpe: estimates.reciprocalEstimate,
    frsqrte: estimates.reciprocalSquareRootEstimate,
    frecpx: estimates.reciprocalExponent,
  };
  for (const [name, run] of Object.entries(unary))
    add(`${name} ${r}0, ${r}1`, (context, a) => run(format, a, context));
  const n = (value: bigint) => arithmetic.negate(format, value);
  add(`fmadd ${r}0, ${r}1, ${r}2, ${r}3`, (x, a, b, c) => fused.multiplyAdd(format, c, a, b, x));
  add(`fmsub ${r}0, ${r}1, ${r}2, ${r}3`, (x, a, b, c) => fused.multiplyAdd(format, c, n(a), b, x));
  add(`fnmadd ${r}0, ${r}1, ${r}2, ${r}3`, (x, a, b, c) => fused.multiplyAdd(format, n(c), n(a), b, x));
  add(`fcmp ${r}1, ${r}2`, (x, a, b) => BigInt(comparing.compare(format, a, b, false, x)), "flags");
  add(`fcmpe ${r}1, ${r}2`, (x, a, b) => BigInt(comparing.compare(format, a, b, true, x)), "flags");
  const roundings = {
    n: ROUNDING.TIES_TO_EVEN,
    p: ROUNDING.TOWARDS_POSITIVE,
    m: ROUNDING.TOWARDS_NEGATIVE,
    z: ROUNDING.TOWARDS_ZERO,
    a: ROUNDING.TIES_AWAY,
  };
  for (const [letter, rounding] of Object.entries(roundings)) {
    add(`frint${letter} ${r}0, ${r}1`, (x, a) => roundToIntegral(format, a, rounding, false, x));
    for (const unsigned of [false, true]) {
      for (const width of [32, 64] as const) {
        const line = `fcvt${letter}${unsigned ? "u" : "s"} ${width === 64 ? "x" : "w"}0, ${r}1`;
        const fixed = { width, unsigned, fractionBits: 0 };
        add(line, (x, a) => toFixed(format, a, fixed, rounding, x), "x");
      }
    }
  }
  add(`frintx ${r}0, ${r}1`, (x, a) => roundToIntegral(format, a, roundingOf(x.control), true, x));
  add(`frinti ${r}0, ${r}1`, (x, a) => roundToIntegral(format, a, roundingOf(x.control), false, x));
  for (const fractionBits of [1, 13, 32]) {
    for (const unsigned of [false, true]) {
      const letter = unsigned ? "u" : "s";
      for (const width of [32, 64] as const) {
        const x = width === 64 ? "x" : "w";
        const fixed = { width, unsigned, fractionBits };
        const to = `fcvtz${letter} ${x}0, ${r}1, #${fractionBits}`;
        add(to, (context, a) => toFixed(format, a, fixed, ROUNDING.TOWARDS_ZERO, context), "x");
        for (const bits of [fractionBits, 0]) {
          const from = `${letter}cvtf ${r}0, ${x}1${bits === 0 ? "" : `, #${bits}`}`;
          operations.push({
            line: from,
            operand: "integer",
            result: "v",
            compute: (context, a) => fromFixed(format, a, { ...fixed, fractionBits: bits }, context),
          });
        }
      }
    }
  }
}
const formats = { h: HALF, s: SINGLE, d: DOUBLE } as const;
for (const [to, toFormat] of Object.entries(formats)) {
  for (const [from, fromFormat] of Object.entries(formats)) {
    if (to === from) continue;
    operations.push({
      line: `fcvt ${to}0, ${from}1`,
      operand: fromFormat,
      result: "v",
      compute: (context, a) => convert(fromFormat, toFormat, a, context),
    });
  }
}
operations.push({
  line: "fcvtxn s0, d1",
  operand: DOUBLE,
  result: "v",
  compute: (context, a) => convert(DOUBLE, SINGLE, a, context, ROUNDING.TO_ODD),
});
operations.push({
  line: "urecpe v0.2s, v1.2s",
  operand: "integer",
  result: "v",
  compute: (_context, a) => BigInt(estimates.unsignedReciprocalEstimate(Number(a & 0xffffffffn))),
});
operations.push({
  line: "ursqrte v0.2s, v1.2s",
  operand: "integer",
  result: "v",
  compute: (_context, a) => BigInt(estimates.unsignedReciprocalSquareRootEstimate(Number(a & 0xffffffffn))),
});

function randomInteger(random: Random): bigint {
  const value = random.u64() >> BigInt(random.below(64));
  return BigInt.asUintN(64, random.below(2) === 1 ? -value : value);
}

test("every operation gives QEMU's results and exceptions in all modes", () => {
  const random = Random.ofThisRun();
  const oracle = new QemuOracle(operations.map((operation) => operation.line));
  try {
    const cases: OracleCase[] = [];
    operations.forEach((operation, instruction) => {
      for (let count = 0; count < VECTORS_PER_OPERATION; count++) {
        const operand = () =>
          operation.operand === "integer" ? randomInteger(random) : randomFloat(random, operation.operand);
        const values = [operand(), operand(), operand()];
        // Operands that cancel or nearly so.
        if (random.below(8) === 0) values[2] = values[1]! ^ BigInt(random.below(4));
        if (random.below(8) === 0) values[1] = values[0]! ^ BigInt(random.below(4));
        const wide = [0n, ...values, 0n, 0n, 0n, 0n];
        cases.push({ instruction, fpcr: randomControl(random), fpsr: 0, nzcv: 0, x: wide, v: wide });
      }
    });
    const answers = oracle.run(cases);
    const differences: string[] = [];
    cases.forEach((one, index) => {
      const operation = operations[one.instruction]!;
      let flags = 0;
      const context = {
        control: one.fpcr,
        raise(more: number) {
          flags |= more;
        },
      };
      const [, a, b, c] = one.v as [bigint, bigint, bigint, bigint];
      const ours = operation.compute(context, a, b, c);
      const answer = answers[index]!;
      const low = answer.v[0]!;
      const isWord = operation.line.startsWith("ur");
      const theirs = { v: isWord ? low & 0xffffffffn : low, x: answer.x[0]!, flags: BigInt(answer.nzcv) };
      if (ours !== theirs[operation.result] || flags !== answer.fpsr) {
        const inputs = [a, b, c].map((value) => value.toString(16)).join(" ");
        const texts = [ours, theirs[operation.result]].map((value) => value.toString(16));
        differences.push(
          `${operation.line}: ${inputs} fpcr ${one.fpcr.toString(16)}: ` +
            `ours ${texts[0]} ${flags.toString(16)}, QEMU ${texts[1]} ${answer.fpsr.toString(16)}`,
        );
      }
    });
    expect(cases.length).toBeGreaterThanOrEqual(100_000);
    expect(differences.slice(0, 40), `seed ${random.seed}, ${differences.length} differences`).toEqual([]);
  } finally {
    oracle.dispose();
  }
});
