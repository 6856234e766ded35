import type { FloatingPointContext } from "../runtime-functions.ts";
import * as arithmetic from "../softfloat/arithmetic.ts";
import * as comparing from "../softfloat/compare.ts";
import { ROUNDING, type Rounding, roundingOf } from "../softfloat/control.ts";
import { convert } from "../softfloat/convert.ts";
import * as estimates from "../softfloat/estimate.ts";
import { DOUBLE, type FloatFormat, HALF, SINGLE } from "../softfloat/format.ts";
import * as fused from "../softfloat/fused.ts";
import { HostArithmetic, type HostOperation } from "../softfloat/host-arithmetic.ts";
import { type FixedFormat, fromFixed, roundToIntegral, toFixed } from "../softfloat/integral.ts";
import { RegularMultiplyAdd } from "../softfloat/regular-multiply-add.ts";

type Context = FloatingPointContext;
type Unary = (format: FloatFormat, a: bigint, context: Context) => bigint;
type Binary = (format: FloatFormat, a: bigint, b: bigint, context: Context) => bigint;

const single = (bits: number): bigint => BigInt.asUintN(32, BigInt(bits));
const double = (bits: bigint): bigint => BigInt.asUintN(64, bits);
const half = (bits: number): bigint => BigInt.asUintN(16, BigInt(bits));

function unary32(run: Unary) {
  return {
    operands: ["i32"],
    result: "i32",
    run: (context: Context, a: number): number => Number(run(SINGLE, single(a), context)),
  } as const;
}
function unary64(run: Unary) {
  return {
    operands: ["i64"],
    result: "i64",
    run: (context: Context, a: bigint): bigint => run(DOUBLE, double(a), context),
  } as const;
}
function binary32(run: Binary) {
  return {
    operands: ["i32", "i32"],
    result: "i32",
    run: (context: Context, a: number, b: number): number =>
      Number(run(SINGLE, single(a), single(b), context)),
  } as const;
}
function binary64(run: Binary) {
  return {
    operands: ["i64", "i64"],
    result: "i64",
    run: (context: Context, a: bigint, b: bigint): bigint => run(DOUBLE, double(a), double(b), context),
  } as const;
}

const host = new HostArithmetic();

/** Operations that the host does for ordinary numbers. */
const arithmetic32 = (operation: HostOperation, run: Binary) =>
  ({
    operands: ["i32", "i32"],
    result: "i32",
    run: (context: Context, a: number, b: number): number =>
      host.single(operation, a, b, context) ?? Number(run(SINGLE, single(a), single(b), context)),
  }) as const;
const arithmetic64 = (operation: HostOperation, run: Binary) =>
  ({
    operands: ["i64", "i64"],
    result: "i64",
    run: (context: Context, a: bigint, b: bigint): bigint =>
      host.double(operation, a, b, context) ?? run(DOUBLE, double(a), double(b), context),
  }) as const;

/** Asks for FPCR's rounding mode where a rounding is named by number. */
export const ROUNDING_OF_CONTROL = 7;

function roundingFrom(number: number, context: Context): Rounding {
  // Only meanings of the table call this, with a mode or with the value above.
  return number === ROUNDING_OF_CONTROL ? roundingOf(context.control) : (number as Rounding);
}

/** How an i32 operand describes the integer side of a conversion: width, sign and rounding. */
export function conversionNumber(width: 32 | 64, unsigned: boolean, rounding: number): number {
  return rounding | (unsigned ? 8 : 0) | (width === 64 ? 16 : 0);
}

function fixedFormat(conversion: number, fractionBits: number): FixedFormat {
  return { width: conversion & 16 ? 64 : 32, unsigned: (conversion & 8) !== 0, fractionBits };
}

const regularMultiplyAdd = new RegularMultiplyAdd();

/**
 * Exact floating point for every case that WebAssembly's own cannot do. Numbers are bit patterns, so that no
 * NaN is changed on its way; names end in the operand width. What the operations are is said in softfloat/.
 */
export const FLOATING_POINT_FUNCTIONS = {
  fpAdd32: arithmetic32("add", arithmetic.add),
  fpAdd64: arithmetic64("add", arithmetic.add),
  fpSub32: arithmetic32("subtract", arithmetic.subtract),
  fpSub64: arithmetic64("subtract", arithmetic.subtract),
  fpMul32: arithmetic32("multiply", arithmetic.multiply),
  fpMul64: arithmetic64("multiply", arithmetic.multiply),
  fpMulX32: binary32(arithmetic.multiplyExtended),
  fpMulX64: binary64(arithmetic.multiplyExtended),
  fpDiv32: arithmetic32("divide", arithmetic.divide),
  fpDiv64: arithmetic64("divide", arithmetic.divide),
  fpMax32: binary32(comparing.maximum),
  fpMax64: binary64(comparing.maximum),
  fpMin32: binary32(comparing.minimum),
  fpMin64: binary64(comparing.minimum),
  fpMaxNum32: binary32(comparing.maximumNumber),
  fpMaxNum64: binary64(comparing.maximumNumber),
  fpMinNum32: binary32(comparing.minimumNumber),
  fpMinNum64: binary64(comparing.minimumNumber),
  fpRecipStep32: binary32(fused.reciprocalStep),
  fpRecipStep64: binary64(fused.reciprocalStep),
  fpRSqrtStep32: binary32(fused.reciprocalSquareRootStep),
  fpRSqrtStep64: binary64(fused.reciprocalSquareRootStep),
  fpSqrt32: {
    operands: ["i32"],
    result: "i32",
    run: (context: Context, a: number): number =>
      host.single("squareRoot", a, a, context) ?? Number(arithmetic.squareRoot(SINGLE, single(a), context)),
  },
  fpSqrt64: {
    operands: ["i64"],
    result: "i64",
    run: (context: Context, a: bigint): bigint =>
      host.double("squareRoot", a, a, context) ?? arithmetic.squareRoot(DOUBLE, double(a), context),
  },
  fpRecipEstimate32: unary32(estimates.reciprocalEstimate),
  fpRecipEstimate64: unary64(estimates.reciprocalEstimate),
  fpRSqrtEstimate32: unary32(estimates.reciprocalSquareRootEstimate),
  fpRSqrtEstimate64: unary64(estimates.reciprocalSquareRootEstimate),
  fpRecpX32: unary32(estimates.reciprocalExponent),
  fpRecpX64: unary64(estimates.reciprocalExponent),

  /** Addend, then the factors. */
  fpMulAdd32: {
    operands: ["i32", "i32", "i32"],
    result: "i32",
    run: (context: Context, addend: number, a: number, b: number): number =>
      regularMultiplyAdd.single(context, addend, a, b) ??
      Number(fused.multiplyAdd(SINGLE, single(addend), single(a), single(b), context)),
  },
  fpMulAdd64: {
    operands: ["i64", "i64", "i64"],
    result: "i64",
    run: (context: Context, addend: bigint, a: bigint, b: bigint): bigint =>
      regularMultiplyAdd.double(context, addend, a, b) ??
      fused.multiplyAdd(DOUBLE, double(addend), double(a), double(b), context),
  },
  /**
   * Addend, then the factors, for round-to-nearest without FZ: the fused sum of ordinary numbers, its
   * exceptions raised, or a NaN (and nothing raised) where fpMulAdd64 has to be asked.
   */
  fpMulAddRegular64: {
    operands: ["f64", "f64", "f64"],
    result: "f64",
    run: (context: Context, addend: number, a: number, b: number): number =>
      regularMultiplyAdd.run(context, addend, a, b),
  },

  /** Two numbers and whether quiet NaNs signal; the result is NZCV in bits 31 to 28. */
  fpCompare32: {
    operands: ["i32", "i32", "i32"],
    result: "i32",
    run: (context: Context, a: number, b: number, signalQuiet: number): number =>
      comparing.compare(SINGLE, single(a), single(b), signalQuiet !== 0, context) << 28,
  },
  fpCompare64: {
    operands: ["i64", "i64", "i32"],
    result: "i32",
    run: (context: Context, a: bigint, b: bigint, signalQuiet: number): number =>
      comparing.compare(DOUBLE, double(a), double(b), signalQuiet !== 0, context) << 28,
  },

  /** A number, a rounding, and whether to raise IXC. */
  fpRoundInt32: {
    operands: ["i32", "i32", "i32"],
    result: "i32",
    run: (context: Context, a: number, rounding: number, exact: number): number =>
      Number(roundToIntegral(SINGLE, single(a), roundingFrom(rounding, context), exact !== 0, context)),
  },
  fpRoundInt64: {
    operands: ["i64", "i32", "i32"],
    result: "i64",
    run: (context: Context, a: bigint, rounding: number, exact: number): bigint =>
      roundToIntegral(DOUBLE, double(a), roundingFrom(rounding, context), exact !== 0, context),
  },

  /** A number, the fraction bits of the result, and a {@link conversionNumber}. */
  fpToFixed32: {
    operands: ["i32", "i32", "i32"],
    result: "i64",
    run: (context: Context, a: number, fractionBits: number, conversion: number): bigint => {
      const rounding = roundingFrom(conversion & 7, context);
      return toFixed(SINGLE, single(a), fixedFormat(conversion, fractionBits), rounding, context);
    },
  },
  fpToFixed64: {
    operands: ["i64", "i32", "i32"],
    result: "i64",
    run: (context: Context, a: bigint, fractionBits: number, conversion: number): bigint => {
      const rounding = roundingFrom(conversion & 7, context);
      return toFixed(DOUBLE, double(a), fixedFormat(conversion, fractionBits), rounding, context);
    },
  },
  /** An integer, its fraction bits, and a {@link conversionNumber}; the width is the result's. */
  fpFromFixed32: {
    operands: ["i64", "i32", "i32"],
    result: "i32",
    run: (context: Context, value: bigint, fractionBits: number, conversion: number): number =>
      Number(fromFixed(SINGLE, value, fixedFormat(conversion, fractionBits), context)),
  },
  fpFromFixed64: {
    operands: ["i64", "i32", "i32"],
    result: "i64",
    run: (context: Context, value: bigint, fractionBits: number, conversion: number): bigint =>
      fromFixed(DOUBLE, value, fixedFormat(conversion, fractionBits), context),
  },

  fpConvert16To32: {
    operands: ["i32"],
    result: "i32",
    run: (context: Context, a: number): number => Number(convert(HALF, SINGLE, half(a), context)),
  },
  fpConvert16To64: {
    operands: ["i32"],
    result: "i64",
    run: (context: Context, a: number): bigint => convert(HALF, DOUBLE, half(a), context),
  },
  fpConvert32To16: {
    operands: ["i32"],
    result: "i32",
    run: (context: Context, a: number): number => Number(convert(SINGLE, HALF, single(a), context)),
  },
  fpConvert32To64: {
    operands: ["i32"],
    result: "i64",
    run: (context: Context, a: number): bigint => convert(SINGLE, DOUBLE, single(a), context),
  },
  fpConvert64To16: {
    operands: ["i64"],
    result: "i32",
    run: (context: Context, a: bigint): number => Number(convert(DOUBLE, HALF, double(a), context)),
  },
  fpConvert64To32: {
    operands: ["i64"],
    result: "i32",
    run: (context: Context, a: bigint): number => Number(convert(DOUBLE, SINGLE, double(a), context)),
  },
  /** Rounds to odd (FCVTXN). */
  fpConvertOdd64To32: {
    operands: ["i64"],
    result: "i32",
    run: (context: Context, a: bigint): number =>
      Number(convert(DOUBLE, SINGLE, double(a), context, ROUNDING.TO_ODD)),
  },
  unsignedRecipEstimate: {
    operands: ["i32"],
    result: "i32",
    run: (_context: Context, a: number): number => estimates.unsignedReciprocalEstimate(a) | 0,
  },
  unsignedRSqrtEstimate: {
    operands: ["i32"],
    result: "i32",
    run: (_context: Context, a: number): number => estimates.unsignedReciprocalSquareRootEstimate(a) | 0,
  },
} as const;
