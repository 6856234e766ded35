import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR } from "./control.ts";
import { defaultNaN, type FloatFormat, HALF } from "./format.ts";

export type FloatClass = "zero" | "finite" | "infinity" | "quiet" | "signalling";

/** A number taken apart: for finite ones the value is `significand` * 2^`exponent`, sign aside. */
export interface Unpacked {
  readonly kind: FloatClass;
  readonly sign: boolean;
  readonly exponent: number;
  readonly significand: bigint;
  /** The bits it came from, for NaN payloads. */
  readonly bits: bigint;
}

/**
 * Takes `bits` apart. Denormal singles and doubles count as zeros when FPCR.FZ says so, and that raises IDC.
 * `alternative` reads a half without infinities and NaNs.
 */
export function unpack(
  format: FloatFormat,
  bits: bigint,
  context: FloatingPointContext,
  alternative = false,
): Unpacked {
  const sign = (bits & format.signBit) !== 0n;
  const fraction = bits & format.fractionMask;
  const exponentField = Number((bits & format.infinity) >> BigInt(format.fractionBits));
  const none = { sign, exponent: 0, significand: 0n, bits };
  if (exponentField === 0) {
    if (fraction === 0n) return { ...none, kind: "zero" };
    if (format !== HALF && (context.control & FPCR.FZ) !== 0) {
      context.raise(FPSR.IDC);
      return { ...none, kind: "zero" };
    }
    const exponent = format.minimumExponent - format.fractionBits;
    return { kind: "finite", sign, exponent, significand: fraction, bits };
  }
  if (exponentField === 2 ** format.exponentBits - 1 && !alternative) {
    if (fraction === 0n) return { ...none, kind: "infinity" };
    return { ...none, kind: (fraction & format.quietBit) !== 0n ? "quiet" : "signalling" };
  }
  const exponent = exponentField - 1 + format.minimumExponent - format.fractionBits;
  const significand = fraction | (1n << BigInt(format.fractionBits));
  return { kind: "finite", sign, exponent, significand, bits };
}

export function isNotANumber(value: Unpacked): boolean {
  return value.kind === "quiet" || value.kind === "signalling";
}

/** The NaN that an operation on this NaN gives: quiet, and the default one when FPCR.DN says so. */
export function processNaN(format: FloatFormat, value: Unpacked, context: FloatingPointContext): bigint {
  if (value.kind === "signalling") context.raise(FPSR.IOC);
  return (context.control & FPCR.DN) !== 0 ? defaultNaN(format) : value.bits | format.quietBit;
}

/** The NaN result of an operation: the first signalling operand wins, then the first quiet one. */
export function processNaNs(
  format: FloatFormat,
  context: FloatingPointContext,
  ...values: readonly Unpacked[]
): bigint | undefined {
  const chosen =
    values.find((value) => value.kind === "signalling") ?? values.find((value) => value.kind === "quiet");
  return chosen === undefined ? undefined : processNaN(format, chosen, context);
}

/** The result of an operation that has none: raises IOC. */
export function invalid(format: FloatFormat, context: FloatingPointContext): bigint {
  context.raise(FPSR.IOC);
  return defaultNaN(format);
}
