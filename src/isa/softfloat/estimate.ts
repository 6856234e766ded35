import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR, roundingOf } from "./control.ts";
import { bitLength, type FloatFormat, HALF, infinity, largestFinite, zero } from "./format.ts";
import { overflowsToInfinity } from "./round.ts";
import { invalid, processNaN, unpack } from "./unpacked.ts";

/**
 * The architecture's reciprocal table: `a` is 256 to 511 and stands for 0.5 to 1 in steps of 1/512; the
 * result is 256 to 511 and stands for 1 to 2 in steps of 1/256.
 */
function reciprocalEntry(a: number): number {
  const quotient = Math.floor(2 ** 19 / (2 * a + 1));
  return (quotient + 1) >> 1;
}

/** The reciprocal square root table: `a` is 128 to 511 (0.25 to 1), the result 256 to 511 (1 to 2). */
function reciprocalSquareRootEntry(a: number): number {
  const middle = a < 256 ? 2 * a + 1 : ((a & ~1) + 1) * 2;
  // The largest b with middle * b^2 < 2^28, which is never reached exactly.
  let root = Math.floor(Math.sqrt(2 ** 28 / middle));
  while (middle * root * root >= 2 ** 28) root -= 1;
  while (middle * (root + 1) * (root + 1) < 2 ** 28) root += 1;
  return (root + 1) >> 1;
}

/** FRECPE. */
export function reciprocalEstimate(format: FloatFormat, bits: bigint, context: FloatingPointContext): bigint {
  const a = unpack(format, bits, context);
  const { fractionBits } = format;
  switch (a.kind) {
    case "quiet":
    case "signalling":
      return processNaN(format, a, context);
    case "infinity":
      return zero(format, a.sign);
    case "zero":
      context.raise(FPSR.DZC);
      return infinity(format, a.sign);
    case "finite": {
      const length = bitLength(a.significand);
      const magnitude = a.exponent + length - 1;
      // The reciprocal of anything below 2^(minimum - 2) is too large for the format.
      if (magnitude < format.minimumExponent - 2) {
        context.raise(FPSR.OFC | FPSR.IXC);
        const toInfinity = overflowsToInfinity(a.sign, roundingOf(context.control));
        return toInfinity ? infinity(format, a.sign) : largestFinite(format, a.sign);
      }
      if (format !== HALF && (context.control & FPCR.FZ) !== 0 && magnitude >= -format.minimumExponent) {
        context.raise(FPSR.UFC);
        return zero(format, a.sign);
      }
      const estimate = BigInt(reciprocalEntry(topBits(a.significand, 9)));
      // 1/x lies in (2^(-magnitude - 1), 2^-magnitude]; the estimate is 1.xxx times the lower end.
      const field = -magnitude - format.minimumExponent;
      const significand = estimate << BigInt(fractionBits - 8);
      const packed =
        field > 0
          ? (BigInt(field) << BigInt(fractionBits)) | (significand & format.fractionMask)
          : significand >> BigInt(1 - field);
      return zero(format, a.sign) | packed;
    }
  }
}

/** FRSQRTE. */
export function reciprocalSquareRootEstimate(
  format: FloatFormat,
  bits: bigint,
  context: FloatingPointContext,
): bigint {
  const a = unpack(format, bits, context);
  const { fractionBits } = format;
  switch (a.kind) {
    case "quiet":
    case "signalling":
      return processNaN(format, a, context);
    case "zero":
      context.raise(FPSR.DZC);
      return infinity(format, a.sign);
    case "infinity":
      return a.sign ? invalid(format, context) : 0n;
    case "finite": {
      if (a.sign) return invalid(format, context);
      const magnitude = a.exponent + bitLength(a.significand) - 1;
      // x = s * 2^(2k) with s in [0.25, 1), so the result is 1/sqrt(s) (1 to 2) times 2^-k.
      const odd = (magnitude & 1) !== 0;
      const k = odd ? (magnitude + 1) / 2 : (magnitude + 2) / 2;
      const scaled = odd ? topBits(a.significand, 9) : topBits(a.significand, 8);
      const estimate = BigInt(reciprocalSquareRootEntry(scaled));
      const field = BigInt(1 - k - format.minimumExponent);
      return (field << BigInt(fractionBits)) | ((estimate & 0xffn) << BigInt(fractionBits - 8));
    }
  }
}

/** FRECPX: a power of two whose exponent field is the operand's, inverted. */
export function reciprocalExponent(format: FloatFormat, bits: bigint, context: FloatingPointContext): bigint {
  const a = unpack(format, bits, context);
  if (a.kind === "quiet" || a.kind === "signalling") return processNaN(format, a, context);
  const field = bits & format.infinity;
  const lowest = format.fractionMask + 1n;
  const result = field === 0n ? format.infinity - lowest : field ^ format.infinity;
  return zero(format, a.sign) | result;
}

/** URECPE: operand and result are fractions in 32 bits. */
export function unsignedReciprocalEstimate(bits: number): number {
  const word = bits >>> 0;
  return word < 0x80000000 ? 0xffffffff : (reciprocalEntry(word >>> 23) << 23) >>> 0;
}

/** URSQRTE. */
export function unsignedReciprocalSquareRootEstimate(bits: number): number {
  const word = bits >>> 0;
  return word < 0x40000000 ? 0xffffffff : (reciprocalSquareRootEntry(word >>> 23) << 23) >>> 0;
}

/** The top `count` bits of a significand, as a number whose top bit is set. */
function topBits(significand: bigint, count: number): number {
  const places = bitLength(significand) - count;
  return Number(places >= 0 ? significand >> BigInt(places) : significand << BigInt(-places));
}
