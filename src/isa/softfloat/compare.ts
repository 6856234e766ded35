import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPSR } from "./control.ts";
import { type FloatFormat, infinity, zero } from "./format.ts";
import { isNotANumber, processNaNs, type Unpacked, unpack } from "./unpacked.ts";

/** Outcomes as NZCV, bits 3 to 0. */
export const COMPARISON = { LESS: 0b1000, EQUAL: 0b0110, GREATER: 0b0010, UNORDERED: 0b0011 } as const;
export type Comparison = (typeof COMPARISON)[keyof typeof COMPARISON];

/** Compares; quiet NaNs raise IOC only when `signalQuiet`, signalling ones always. */
export function compare(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  signalQuiet: boolean,
  context: FloatingPointContext,
): Comparison {
  const a = unpack(format, aBits, context);
  const b = unpack(format, bBits, context);
  if (isNotANumber(a) || isNotANumber(b)) {
    if (signalQuiet || a.kind === "signalling" || b.kind === "signalling") context.raise(FPSR.IOC);
    return COMPARISON.UNORDERED;
  }
  const order = ordinal(format, a) - ordinal(format, b);
  if (order === 0n) return COMPARISON.EQUAL;
  return order < 0n ? COMPARISON.LESS : COMPARISON.GREATER;
}

/** An integer that orders numbers as their values do; both zeros, and flushed denormals, are 0. */
function ordinal(format: FloatFormat, value: Unpacked): bigint {
  if (value.kind === "zero") return 0n;
  const magnitude = value.bits & ~format.signBit;
  return value.sign ? -magnitude : magnitude;
}

export function maximum(format: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext): bigint {
  return extreme(format, unpack(format, a, context), unpack(format, b, context), true, context);
}

export function minimum(format: FloatFormat, a: bigint, b: bigint, context: FloatingPointContext): bigint {
  return extreme(format, unpack(format, a, context), unpack(format, b, context), false, context);
}

/** FMAXNM: a number wins against a quiet NaN. */
export function maximumNumber(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  context: FloatingPointContext,
): bigint {
  return extremeNumber(format, a, b, true, context);
}

/** FMINNM: a number wins against a quiet NaN. */
export function minimumNumber(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  context: FloatingPointContext,
): bigint {
  return extremeNumber(format, a, b, false, context);
}

function extremeNumber(
  format: FloatFormat,
  aBits: bigint,
  bBits: bigint,
  largest: boolean,
  context: FloatingPointContext,
): bigint {
  let a = unpack(format, aBits, context);
  let b = unpack(format, bBits, context);
  // A lone quiet NaN stands for the infinity that loses against everything.
  const loser = unpack(format, infinity(format, largest), context);
  if (a.kind === "quiet" && b.kind !== "quiet") a = loser;
  else if (b.kind === "quiet" && a.kind !== "quiet") b = loser;
  return extreme(format, a, b, largest, context);
}

function extreme(
  format: FloatFormat,
  a: Unpacked,
  b: Unpacked,
  largest: boolean,
  context: FloatingPointContext,
): bigint {
  const nan = processNaNs(format, context, a, b);
  if (nan !== undefined) return nan;
  if (a.kind === "zero" && b.kind === "zero")
    return zero(format, largest ? a.sign && b.sign : a.sign || b.sign);
  const aIsLarger = ordinal(format, a) > ordinal(format, b);
  const chosen = aIsLarger === largest ? a : b;
  return chosen.kind === "zero" ? zero(format, chosen.sign) : chosen.bits;
}
