import { describe, expect, test } from "vitest";
import { add, divide, multiply, squareRoot, subtract } from "./arithmetic.ts";
import { COMPARISON, compare, maximum, maximumNumber } from "./compare.ts";
import { FPCR, FPSR, ROUNDING } from "./control.ts";
import { convert } from "./convert.ts";
import { DOUBLE, HALF, SINGLE } from "./format.ts";
import { multiplyAdd } from "./fused.ts";
import { fromFixed, roundToIntegral, toFixed } from "./integral.ts";

const ONE = 0x3f800000n;
const TWO = 0x40000000n;
const INFINITE = 0x7f800000n;
const LARGEST = 0x7f7fffffn;
const SMALLEST_NORMAL = 0x00800000n;
const QUIET = 0x7fc00001n;
const SIGNALLING = 0xff800002n;
const DEFAULT_NAN = 0x7fc00000n;
const SIGN = 0x80000000n;

/** The result and the exceptions that it raises. */
function observe(control: number, run: (context: { control: number; raise(flags: number): void }) => bigint) {
  let flags = 0;
  const result = run({
    control,
    raise(more) {
      flags |= more;
    },
  });
  return { result, flags };
}

describe("NaNs", () => {
  test("the first signalling operand wins over an earlier quiet one, quietened", () => {
    expect(observe(0, (x) => add(SINGLE, QUIET, SIGNALLING, x))).toEqual({
      result: 0xffc00002n,
      flags: FPSR.IOC,
    });
  });
  test("DN gives the default NaN and still no exception for quiet operands", () => {
    expect(observe(FPCR.DN, (x) => subtract(SINGLE, QUIET, ONE, x))).toEqual({
      result: DEFAULT_NAN,
      flags: 0,
    });
  });
  test("a fused sum of infinity times zero and a quiet NaN is invalid", () => {
    expect(observe(0, (x) => multiplyAdd(SINGLE, QUIET, INFINITE, 0n, x))).toEqual({
      result: DEFAULT_NAN,
      flags: FPSR.IOC,
    });
  });
  test("maximumNumber prefers the number, maximum the NaN", () => {
    expect(observe(0, (x) => maximumNumber(SINGLE, QUIET, ONE, x))).toEqual({ result: ONE, flags: 0 });
    expect(observe(0, (x) => maximum(SINGLE, QUIET, ONE, x))).toEqual({ result: QUIET, flags: 0 });
  });
  test("comparison is unordered, and signals quiet NaNs when asked to", () => {
    const run = (signal: boolean) => observe(0, (x) => BigInt(compare(SINGLE, QUIET, ONE, signal, x)));
    expect(run(false)).toEqual({ result: BigInt(COMPARISON.UNORDERED), flags: 0 });
    expect(run(true)).toEqual({ result: BigInt(COMPARISON.UNORDERED), flags: FPSR.IOC });
  });
});

describe("rounding", () => {
  test("underflow is found before rounding: a product rounded up to the smallest normal number underflows", () => {
    expect(observe(0, (x) => multiply(SINGLE, 0x3f7fffffn, SMALLEST_NORMAL, x))).toEqual({
      result: SMALLEST_NORMAL,
      flags: FPSR.UFC | FPSR.IXC,
    });
  });
  test("an exact denormal does not underflow", () => {
    expect(observe(0, (x) => divide(SINGLE, SMALLEST_NORMAL, TWO, x))).toEqual({
      result: 0x400000n,
      flags: 0,
    });
  });
  test("FZ flushes a denormal result with UFC alone, and a denormal operand with IDC", () => {
    const flushed = { result: 0n, flags: FPSR.UFC };
    expect(observe(FPCR.FZ, (x) => divide(SINGLE, SMALLEST_NORMAL, TWO, x))).toEqual(flushed);
    expect(observe(FPCR.FZ, (x) => add(SINGLE, 1n, ONE, x))).toEqual({ result: ONE, flags: FPSR.IDC });
  });
  test.each([
    [ROUNDING.TIES_TO_EVEN, INFINITE, INFINITE | SIGN],
    [ROUNDING.TOWARDS_POSITIVE, INFINITE, LARGEST | SIGN],
    [ROUNDING.TOWARDS_NEGATIVE, LARGEST, INFINITE | SIGN],
    [ROUNDING.TOWARDS_ZERO, LARGEST, LARGEST | SIGN],
  ])("overflow in mode %i", (mode, positive, negative) => {
    const flags = FPSR.OFC | FPSR.IXC;
    const control = mode << FPCR.RMODE_SHIFT;
    expect(observe(control, (x) => multiply(SINGLE, LARGEST, TWO, x))).toEqual({ result: positive, flags });
    expect(observe(control, (x) => multiply(SINGLE, LARGEST | SIGN, TWO, x))).toEqual({
      result: negative,
      flags,
    });
  });
  test("an exact difference of zero is negative only when rounding towards negative", () => {
    expect(observe(0, (x) => subtract(SINGLE, ONE, ONE, x)).result).toBe(0n);
    expect(observe(2 << FPCR.RMODE_SHIFT, (x) => subtract(SINGLE, ONE, ONE, x)).result).toBe(SIGN);
  });
  test("a root is exact or inexact", () => {
    expect(observe(0, (x) => squareRoot(DOUBLE, 0x4010000000000000n, x))).toEqual({
      result: 0x4000000000000000n,
      flags: 0,
    });
    expect(observe(0, (x) => squareRoot(DOUBLE, 0x4000000000000000n, x))).toEqual({
      result: 0x3ff6a09e667f3bcdn,
      flags: FPSR.IXC,
    });
  });
});

describe("conversion", () => {
  test("the alternative half format has no infinities", () => {
    expect(observe(FPCR.AHP, (x) => convert(SINGLE, HALF, INFINITE, x))).toEqual({
      result: 0x7fffn,
      flags: FPSR.IOC,
    });
    expect(observe(FPCR.AHP, (x) => convert(HALF, SINGLE, 0x7c00n, x))).toEqual({
      result: 0x47800000n,
      flags: 0,
    });
  });
  test("rounding to odd keeps what was lost in the last bit", () => {
    const odd = (bits: bigint) => observe(0, (x) => convert(DOUBLE, SINGLE, bits, x, ROUNDING.TO_ODD));
    expect(odd(0x3ff0000000000001n)).toEqual({ result: 0x3f800001n, flags: FPSR.IXC });
    expect(odd(0x7fefffffffffffffn)).toEqual({ result: LARGEST, flags: FPSR.OFC | FPSR.IXC });
  });
  test("integers saturate with IOC instead of IXC", () => {
    const fixed = { width: 32, unsigned: true, fractionBits: 0 } as const;
    const minusHalf = 0xbf000000n;
    const zero = ROUNDING.TOWARDS_ZERO;
    expect(observe(0, (x) => toFixed(SINGLE, minusHalf, fixed, zero, x))).toEqual({
      result: 0n,
      flags: FPSR.IXC,
    });
    expect(observe(0, (x) => toFixed(SINGLE, ONE | SIGN, fixed, zero, x))).toEqual({
      result: 0n,
      flags: FPSR.IOC,
    });
  });
  test("fixed point divides by its power of two", () => {
    const fixed = { width: 64, unsigned: false, fractionBits: 4 } as const;
    expect(observe(0, (x) => fromFixed(SINGLE, 24n, fixed, x))).toEqual({ result: 0x3fc00000n, flags: 0 });
  });
  test("rounding to integral keeps the sign of zero and raises IXC only when asked", () => {
    const minusHalf = 0xbf000000n;
    const even = ROUNDING.TIES_TO_EVEN;
    expect(observe(0, (x) => roundToIntegral(SINGLE, minusHalf, even, false, x))).toEqual({
      result: SIGN,
      flags: 0,
    });
    expect(observe(0, (x) => roundToIntegral(SINGLE, minusHalf, even, true, x)).flags).toBe(FPSR.IXC);
  });
});
