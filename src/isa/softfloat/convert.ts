import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR, type Rounding, roundingOf } from "./control.ts";
import { defaultNaN, type FloatFormat, HALF, infinity, zero } from "./format.ts";
import { round } from "./round.ts";
import { unpack } from "./unpacked.ts";

/** Converts between formats; half precision is the alternative one when FPCR.AHP says so. */
export function convert(
  from: FloatFormat,
  to: FloatFormat,
  bits: bigint,
  context: FloatingPointContext,
  rounding: Rounding = roundingOf(context.control),
): bigint {
  const alternative = (context.control & FPCR.AHP) !== 0;
  const toAlternative = alternative && to === HALF;
  const a = unpack(from, bits, context, alternative && from === HALF);
  switch (a.kind) {
    case "quiet":
    case "signalling":
      if (a.kind === "signalling" || toAlternative) context.raise(FPSR.IOC);
      if (toAlternative) return zero(to, a.sign);
      if ((context.control & FPCR.DN) !== 0) return defaultNaN(to);
      return zero(to, a.sign) | defaultNaN(to) | resized(bits & (from.quietBit - 1n), from, to);
    case "zero":
      return zero(to, a.sign);
    case "infinity":
      if (!toAlternative) return infinity(to, a.sign);
      context.raise(FPSR.IOC);
      return zero(to, a.sign) | (to.signBit - 1n);
    case "finite":
      return round(to, a.sign, a.significand, a.exponent, context, rounding, toAlternative);
  }
}

/** A fraction aligned to the other format's top bit; low bits are dropped or zero. */
function resized(fraction: bigint, from: FloatFormat, to: FloatFormat): bigint {
  const places = BigInt(to.fractionBits - from.fractionBits);
  return places >= 0n ? fraction << places : fraction >> -places;
}
