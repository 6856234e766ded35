import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPSR, type Rounding } from "./control.ts";
import { type FloatFormat, infinity, zero } from "./format.ts";
import { REMAINDER, round, roundsUp, shiftRight } from "./round.ts";
import { processNaN, unpack } from "./unpacked.ts";

/** Rounds to an integral value in the same format; `exact` raises IXC when that changes the value. */
export function roundToIntegral(
  format: FloatFormat,
  bits: bigint,
  rounding: Rounding,
  exact: boolean,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, bits, context);
  switch (a.kind) {
    case "quiet":
    case "signalling":
      return processNaN(format, a, context);
    case "zero":
      return zero(format, a.sign);
    case "infinity":
      return infinity(format, a.sign);
    case "finite": {
      const { kept, remainder } = shiftRight(a.significand, -a.exponent);
      if (exact && remainder !== REMAINDER.NONE) context.raise(FPSR.IXC);
      const magnitude = roundsUp(kept, remainder, a.sign, rounding) ? kept + 1n : kept;
      return magnitude === 0n ? zero(format, a.sign) : round(format, a.sign, magnitude, 0, context);
    }
  }
}

/** An integer type of 32 or 64 bits, with `fractionBits` of them behind the point (0 for integers). */
export interface FixedFormat {
  readonly width: 16 | 32 | 64;
  readonly unsigned: boolean;
  readonly fractionBits: number;
}

/** Converts to fixed point, saturating. The result is the low `width` bits, unsigned. */
export function toFixed(
  format: FloatFormat,
  bits: bigint,
  fixed: FixedFormat,
  rounding: Rounding,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, bits, context);
  const width = BigInt(fixed.width);
  const highest = fixed.unsigned ? (1n << width) - 1n : (1n << (width - 1n)) - 1n;
  const lowest = fixed.unsigned ? 0n : -(1n << (width - 1n));
  const saturated = (value: bigint) => {
    context.raise(FPSR.IOC);
    return BigInt.asUintN(fixed.width, value);
  };
  switch (a.kind) {
    case "quiet":
    case "signalling":
      return saturated(0n);
    case "zero":
      return 0n;
    case "infinity":
      return saturated(a.sign ? lowest : highest);
    case "finite": {
      const { kept, remainder } = shiftRight(a.significand, -(a.exponent + fixed.fractionBits));
      const magnitude = roundsUp(kept, remainder, a.sign, rounding) ? kept + 1n : kept;
      const value = a.sign ? -magnitude : magnitude;
      if (value > highest) return saturated(highest);
      if (value < lowest) return saturated(lowest);
      if (remainder !== REMAINDER.NONE) context.raise(FPSR.IXC);
      return BigInt.asUintN(fixed.width, value);
    }
  }
}

/** Converts from fixed point; only the low `width` bits of `value` count. */
export function fromFixed(
  format: FloatFormat,
  value: bigint,
  fixed: FixedFormat,
  context: FloatingPointContext,
): bigint {
  const integer = fixed.unsigned ? BigInt.asUintN(fixed.width, value) : BigInt.asIntN(fixed.width, value);
  if (integer === 0n) return 0n;
  const sign = integer < 0n;
  return round(format, sign, sign ? -integer : integer, -fixed.fractionBits, context);
}
