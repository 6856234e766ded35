import { assertNever } from "../../base/errors.ts";
import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR, ROUNDING, type Rounding, roundingOf } from "./control.ts";
import { bitLength, type FloatFormat, HALF, infinity, largestFinite, zero } from "./format.ts";

/** What a right shift drops: less than, exactly, or more than half of the last place kept. */
export const REMAINDER = { NONE: 0, BELOW_HALF: 1, HALF: 2, ABOVE_HALF: 3 } as const;
export type Remainder = (typeof REMAINDER)[keyof typeof REMAINDER];

/** `value` divided by 2^`places`, rounded down, with what was lost. Negative places multiply. */
export function shiftRight(value: bigint, places: number): { kept: bigint; remainder: Remainder } {
  if (places <= 0) return { kept: value << BigInt(-places), remainder: REMAINDER.NONE };
  const kept = value >> BigInt(places);
  const rest = value - (kept << BigInt(places));
  if (rest === 0n) return { kept, remainder: REMAINDER.NONE };
  const half = 1n << BigInt(places - 1);
  if (rest === half) return { kept, remainder: REMAINDER.HALF };
  return { kept, remainder: rest < half ? REMAINDER.BELOW_HALF : REMAINDER.ABOVE_HALF };
}

/** Whether the magnitude `kept` goes up by one; rounding to odd is done by its caller. */
export function roundsUp(kept: bigint, remainder: Remainder, sign: boolean, rounding: Rounding): boolean {
  switch (rounding) {
    case ROUNDING.TIES_TO_EVEN:
      return remainder === REMAINDER.ABOVE_HALF || (remainder === REMAINDER.HALF && (kept & 1n) !== 0n);
    case ROUNDING.TIES_AWAY:
      return remainder >= REMAINDER.HALF;
    case ROUNDING.TOWARDS_POSITIVE:
      return remainder !== REMAINDER.NONE && !sign;
    case ROUNDING.TOWARDS_NEGATIVE:
      return remainder !== REMAINDER.NONE && sign;
    case ROUNDING.TOWARDS_ZERO:
    case ROUNDING.TO_ODD:
      return false;
    default:
      return assertNever(rounding, "rounding");
  }
}

/** Whether a result beyond the largest finite number becomes an infinity. */
export function overflowsToInfinity(sign: boolean, rounding: Rounding): boolean {
  switch (rounding) {
    case ROUNDING.TIES_TO_EVEN:
    case ROUNDING.TIES_AWAY:
      return true;
    case ROUNDING.TOWARDS_POSITIVE:
      return !sign;
    case ROUNDING.TOWARDS_NEGATIVE:
      return sign;
    case ROUNDING.TOWARDS_ZERO:
    case ROUNDING.TO_ODD:
      return false;
    default:
      return assertNever(rounding, "rounding");
  }
}

/** Sign of a sum of numbers that cancel exactly. */
export function signOfExactZero(context: FloatingPointContext): boolean {
  return roundingOf(context.control) === ROUNDING.TOWARDS_NEGATIVE;
}

/**
 * The representation of `significand` * 2^`exponent` (not zero), with the exceptions of rounding. A caller
 * with an inexact significand gives at least two bits more than the format keeps, the last one sticky.
 * Underflow is detected before rounding. `alternative`: half precision without infinities and NaNs.
 */
export function round(
  format: FloatFormat,
  sign: boolean,
  significand: bigint,
  exponent: number,
  context: FloatingPointContext,
  rounding: Rounding = roundingOf(context.control),
  alternative = false,
): bigint {
  const { fractionBits, minimumExponent } = format;
  const magnitude = exponent + bitLength(significand) - 1;
  const denormal = magnitude < minimumExponent;
  if (denormal && format !== HALF && (context.control & FPCR.FZ) !== 0) {
    context.raise(FPSR.UFC);
    return zero(format, sign);
  }
  const lastPlace = (denormal ? minimumExponent : magnitude) - fractionBits;
  let { kept, remainder } = shiftRight(significand, lastPlace - exponent);
  let flags = remainder === REMAINDER.NONE ? 0 : FPSR.IXC;
  if (denormal && remainder !== REMAINDER.NONE) flags |= FPSR.UFC;
  if (roundsUp(kept, remainder, sign, rounding)) kept += 1n;
  else if (rounding === ROUNDING.TO_ODD && remainder !== REMAINDER.NONE) kept |= 1n;
  // The hidden bit of a normal number adds one to the exponent field; a carry out of rounding does so too.
  const field = denormal ? 0n : BigInt(magnitude - minimumExponent);
  const packed = (field << BigInt(fractionBits)) + kept;
  const signBit = zero(format, sign);
  if (alternative) {
    if (packed >= format.signBit) {
      context.raise(FPSR.IOC);
      return signBit | (format.signBit - 1n);
    }
  } else if (packed >= format.infinity) {
    context.raise(FPSR.OFC | FPSR.IXC);
    return overflowsToInfinity(sign, rounding) ? infinity(format, sign) : largestFinite(format, sign);
  }
  if (flags !== 0) context.raise(flags);
  return signBit | packed;
}
