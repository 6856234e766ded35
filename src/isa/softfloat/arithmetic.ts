import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPSR } from "./control.ts";
import { bitLength, type FloatFormat, infinity, zero } from "./format.ts";
import { round, signOfExactZero } from "./round.ts";
import { invalid, processNaN, processNaNs, type Unpacked, unpack } from "./unpacked.ts";

/** Sign flipped, NaNs included. */
export function negate(format: FloatFormat, a: bigint): bigint {
  return a ^ format.signBit;
}

/** `a + b`, rounded as FPCR says. Operands and results are the numbers' bits, here and below. */
export function add(format: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext): bigint {
  return sum(format, a, b, false, context);
}

export function subtract(format: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext): bigint {
  return sum(format, a, b, true, context);
}

function sum(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  negateSecond: boolean,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, aBits, context);
  const b = unpack(format, bBits, context);
  // NaN operands keep their sign even when the second one is subtracted.
  const nan = processNaNs(format, context, a, b);
  if (nan !== undefined) return nan;
  const bSign = b.sign !== negateSecond;
  if (a.kind === "infinity" || b.kind === "infinity") {
    if (a.kind === b.kind && a.sign !== bSign) return invalid(format, context);
    return infinity(format, a.kind === "infinity" ? a.sign : bSign);
  }
  if (a.kind === "zero" && b.kind === "zero" && a.sign === bSign) return zero(format, a.sign);
  return roundSum(format, signed(a), { ...b, sign: bSign }, context);
}

interface SignedReal {
  readonly sign: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

function signed(value: Unpacked): SignedReal {
  return value;
}

/** Distance of exponents beyond which a smaller term is only a sticky bit below every rounding position. */
const FAR = 192;

/** The rounded sum of two exact reals that are not both zero with equal signs. */
export function roundSum(
  format: FloatFormat,
  first: SignedReal,
  second: SignedReal,
  context: FloatingPointContext,
): bigint {
  let a = first;
  let b = second;
  if (a.significand === 0n && b.significand !== 0n) [a, b] = [b, a];
  if (b.significand !== 0n) {
    const aTop = a.exponent + bitLength(a.significand);
    const bTop = b.exponent + bitLength(b.significand);
    if (aTop < bTop) [a, b] = [b, a];
    // Significands have at most 106 bits, so `a` is far above one place of 2^(its exponent - 64).
    if (Math.abs(aTop - bTop) > FAR) b = { sign: b.sign, significand: 1n, exponent: a.exponent - 64 };
  }
  const exponent = b.significand === 0n ? a.exponent : Math.min(a.exponent, b.exponent);
  const aligned = (value: SignedReal) => {
    if (value.significand === 0n) return 0n;
    const magnitude = value.significand << BigInt(value.exponent - exponent);
    return value.sign ? -magnitude : magnitude;
  };
  const total = aligned(a) + aligned(b);
  if (total === 0n) return zero(format, signOfExactZero(context));
  return round(format, total < 0n, total < 0n ? -total : total, exponent, context);
}

export function multiply(format: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext): bigint {
  return product(format, a, b, false, context);
}

/** FMULX: infinity times zero is 2, with the product's sign. */
export function multiplyExtended(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  context: FloatingPointContext,
): bigint {
  return product(format, a, b, true, context);
}

function product(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  extended: boolean,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, aBits, context);
  const b = unpack(format, bBits, context);
  const nan = processNaNs(format, context, a, b);
  if (nan !== undefined) return nan;
  const sign = a.sign !== b.sign;
  const anyZero = a.kind === "zero" || b.kind === "zero";
  if (a.kind === "infinity" || b.kind === "infinity") {
    if (!anyZero) return infinity(format, sign);
    return extended ? zero(format, sign) | two(format) : invalid(format, context);
  }
  if (anyZero) return zero(format, sign);
  return round(format, sign, a.significand * b.significand, a.exponent + b.exponent, context);
}

/** The representation of 2. */
export function two(format: FloatFormat): bigint {
  return 1n << BigInt(format.width - 2);
}

export function divide(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, aBits, context);
  const b = unpack(format, bBits, context);
  const nan = processNaNs(format, context, a, b);
  if (nan !== undefined) return nan;
  const sign = a.sign !== b.sign;
  if (a.kind === "infinity") return b.kind === "infinity" ? invalid(format, context) : infinity(format, sign);
  if (b.kind === "zero") {
    if (a.kind === "zero") return invalid(format, context);
    context.raise(FPSR.DZC);
    return infinity(format, sign);
  }
  if (a.kind === "zero" || b.kind === "infinity") return zero(format, sign);
  const extra = format.fractionBits + 3 + Math.max(0, bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(extra);
  const quotient = dividend / b.significand;
  const sticky = quotient * b.significand === dividend ? 0n : 1n;
  return round(format, sign, (quotient << 1n) | sticky, a.exponent - b.exponent - extra - 1, context);
}

export function squareRoot(format: FloatFormat, bits: bigint, context: FloatingPointContext): bigint {
  const a = unpack(format, bits, context);
  switch (a.kind) {
    case "quiet":
    case "signalling":
      return processNaN(format, a, context);
    case "zero":
      return zero(format, a.sign);
    case "infinity":
      return a.sign ? invalid(format, context) : infinity(format, false);
    case "finite": {
      if (a.sign) return invalid(format, context);
      const wanted = 2 * (format.fractionBits + 3);
      let shift = Math.max(0, wanted - bitLength(a.significand));
      if (((a.exponent - shift) & 1) !== 0) shift += 1;
      const radicand = a.significand << BigInt(shift);
      const root = integerSquareRoot(radicand);
      const sticky = root * root === radicand ? 0n : 1n;
      return round(format, false, (root << 1n) | sticky, (a.exponent - shift) / 2 - 1, context);
    }
  }
}

/** The largest integer whose square is at most `value`, which is positive and below 2^128. */
function integerSquareRoot(value: bigint): bigint {
  // A double's root is right to about 52 bits; Newton's step squares that, the loops remove the last unit.
  let root = BigInt(Math.floor(Math.sqrt(Number(value))));
  root = (root + value / root) >> 1n;
  while (root * root > value) root -= 1n;
  while ((root + 1n) * (root + 1n) <= value) root += 1n;
  return root;
}
