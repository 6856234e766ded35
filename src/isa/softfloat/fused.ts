import type { FloatingPointContext } from "../runtime-functions.ts";
import { negate, roundSum, two } from "./arithmetic.ts";
import { type FloatFormat, infinity, zero } from "./format.ts";
import { invalid, processNaNs, type Unpacked, unpack } from "./unpacked.ts";

function isInfinityTimesZero(a: Unpacked, b: Unpacked): boolean {
  return (a.kind === "infinity" && b.kind === "zero") || (a.kind === "zero" && b.kind === "infinity");
}

/** `addend` + `a` * `b` with one rounding. */
export function multiplyAdd(
  format: FloatFormat,
  addendBits: bigint,
  aBits: bigint,
  bBits: bigint,
  context: FloatingPointContext,
): bigint {
  const addend = unpack(format, addendBits, context);
  const a = unpack(format, aBits, context);
  const b = unpack(format, bBits, context);
  const nan = processNaNs(format, context, addend, a, b);
  const noProduct = isInfinityTimesZero(a, b);
  // An invalid product beats a quiet addend: the result is the default NaN.
  if (noProduct && addend.kind === "quiet") return invalid(format, context);
  if (nan !== undefined) return nan;
  if (noProduct) return invalid(format, context);
  const sign = a.sign !== b.sign;
  if (a.kind === "infinity" || b.kind === "infinity") {
    if (addend.kind === "infinity" && addend.sign !== sign) return invalid(format, context);
    return infinity(format, sign);
  }
  if (addend.kind === "infinity") return infinity(format, addend.sign);
  const significand = a.significand * b.significand;
  if (addend.kind === "zero" && significand === 0n && addend.sign === sign) return zero(format, sign);
  return roundSum(format, addend, { sign, significand, exponent: a.exponent + b.exponent }, context);
}

/** FRECPS: 2 - `a` * `b`, with one rounding. */
export function reciprocalStep(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  context: FloatingPointContext,
): bigint {
  return step(format, a, b, { significand: 2n, exponent: 0 }, 0, two(format), context);
}

/** FRSQRTS: (3 - `a` * `b`) / 2, with one rounding. */
export function reciprocalSquareRootStep(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  context: FloatingPointContext,
): bigint {
  const onePointFive = format.infinity >> 1n;
  return step(format, a, b, { significand: 3n, exponent: 0 }, 1, onePointFive, context);
}

/** (`constant` - a * b) / 2^`halvings`. The first operand is negated before NaNs are looked at. */
function step(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  constant: { readonly significand: bigint; readonly exponent: number },
  halvings: number,
  withoutProduct: bigint,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, negate(format, aBits), context);
  const b = unpack(format, bBits, context);
  const nan = processNaNs(format, context, a, b);
  if (nan !== undefined) return nan;
  if (isInfinityTimesZero(a, b)) return withoutProduct;
  const sign = a.sign !== b.sign;
  if (a.kind === "infinity" || b.kind === "infinity") return infinity(format, sign);
  const product = {
    sign,
    significand: a.significand * b.significand,
    exponent: a.exponent + b.exponent - halvings,
  };
  const term = { sign: false, significand: constant.significand, exponent: constant.exponent - halvings };
  return roundSum(format, term, product, context);
}
