import { assertNever } from "../../base/errors.ts";
import { ROUNDING_OF_CONTROL } from "../runtime/floating-point-functions.ts";
import type { I32, Semantics, Value } from "../semantics.ts";
import { FPCR, ROUNDING, type Rounding } from "../softfloat/control.ts";
import type { Floats, SizedFunction } from "./floats.ts";
import { asI32 } from "./value-types.ts";

/**
 * Floating-point arithmetic in two steps: WebAssembly's own operator, whose result counts when it provably
 * is Arm's with all exceptions already recorded, and else the exact runtime function. The proof is short:
 * FPCR asks for nothing that WebAssembly lacks, the result is an ordinary number, and it is exact or FPSR.IXC
 * is set already (as it nearly always is).
 */
export interface FastPath {
  /** Bits of FPCR that must be clear. */
  readonly control: number;
  readonly result: Value;
  /** Whether the result is right, inexactness aside. */
  readonly isOrdinary: I32;
  /** Whether it is exact; without it, IXC plays no part. */
  readonly isExact?: () => I32;
}

export const NEAREST_WITHOUT_FLUSH = FPCR.RMODE | FPCR.FZ;

/** 1 when none of these FPCR bits is set. */
export function controlIsClear(s: Semantics, bits: number): I32 {
  return s.op("i32.eqz", s.op("i32.and", s.readFpcr(), s.i32(bits)));
}

/** 1 when inexactness needs no recording: it has happened before, or `isExact` proves there is none. */
export function inexactIsRecorded(s: Semantics, isExact: () => I32): I32 {
  return s.choose("i32", s.readInexact(), () => s.i32(1), isExact);
}

export function guarded(f: Floats, fast: FastPath, slow: () => Value): Value {
  const { s } = f;
  const holds = s.op("i32.and", controlIsClear(s, fast.control), fast.isOrdinary);
  const { isExact } = fast;
  const mayCount = isExact
    ? s.choose(
        "i32",
        holds,
        () => inexactIsRecorded(s, isExact),
        () => s.i32(0),
      )
    : holds;
  return s.choose(f.type, mayCount, () => fast.result, slow);
}

function smallestNormal(f: Floats): Value {
  return f.constant(f.size === 64 ? 2 ** -1022 : 2 ** -126);
}

/** Neither NaN nor infinity. */
function isFiniteNumber(f: Floats, value: Value): Value {
  return f.test("lt", f.op("abs", value), f.constant(Infinity));
}

/**
 * Finite and above the smallest normal number. That number itself does not count: it may have been rounded
 * up to, and underflow is detected before rounding.
 */
export function isNormal(f: Floats, value: Value): Value {
  const magnitude = f.op("abs", value);
  return f.and(f.test("gt", magnitude, smallestNormal(f)), f.test("lt", magnitude, f.constant(Infinity)));
}

/**
 * 1 when the result of a multiplication or division is normal, or a zero that `isExactZero` proves (in each lane).
 * The usual case is asked for first, and alone.
 */
export function isNormalOr(f: Floats, result: Value, isExactZero: () => Value): I32 {
  const { s } = f;
  const isAboveSmallest = (): Value => f.test("gt", f.op("abs", result), smallestNormal(f));
  return s.op(
    "i32.and",
    f.all(isFiniteNumber(f, result)),
    s.choose(
      "i32",
      f.all(isAboveSmallest()),
      () => s.i32(1),
      () => f.all(f.or(isAboveSmallest(), isExactZero())),
    ),
  );
}

/**
 * 1 when the rounded sum of two numbers is their sum (in each lane). Whichever of them is larger, one of the differences
 * is exact and proves it. There is one comparison for both, as one that NaN can fail costs a branch of its own.
 */
export function sumIsExact(f: Floats, sum: Value, a: Value, b: Value): I32 {
  const [restOfA, restOfB] = [f.op("sub", f.op("sub", sum, b), a), f.op("sub", f.op("sub", sum, a), b)];
  const rest = f.op("add", f.op("abs", restOfA), f.op("abs", restOfB));
  return f.all(f.test("lt", rest, f.constant(f.size === 64 ? 2 ** -1074 : 2 ** -149)));
}

/** FPAdd. Sums in the denormal range are exact, so any finite result is right. */
export function fpAdd(f: Floats, a: Value, b: Value): Value {
  const result = f.op("add", a, b);
  const isExact = () => sumIsExact(f, result, a, b);
  const fast = {
    control: NEAREST_WITHOUT_FLUSH,
    result,
    isOrdinary: f.all(isFiniteNumber(f, result)),
    isExact,
  };
  return guarded(f, fast, () => f.call("fpAdd", [a, b]));
}

/** FPSub. */
export function fpSub(f: Floats, a: Value, b: Value): Value {
  const result = f.op("sub", a, b);
  const isExact = () =>
    f.all(f.and(f.test("eq", f.op("sub", a, result), b), f.test("eq", f.op("add", result, b), a)));
  const fast = {
    control: NEAREST_WITHOUT_FLUSH,
    result,
    isOrdinary: f.all(isFiniteNumber(f, result)),
    isExact,
  };
  return guarded(f, fast, () => f.call("fpSub", [a, b]));
}

function product(f: Floats, a: Value, b: Value, slow: SizedFunction): Value {
  const result = f.op("mul", a, b);
  const zero = f.constant(0);
  const isExactZero = () =>
    f.and(f.test("eq", result, zero), f.or(f.test("eq", a, zero), f.test("eq", b, zero)));
  const isOrdinary = isNormalOr(f, result, isExactZero);
  const isExact = () => f.haveShortFractions(a, b);
  return guarded(f, { control: NEAREST_WITHOUT_FLUSH, result, isOrdinary, isExact }, () =>
    f.call(slow, [a, b]),
  );
}

/** FPMul. */
export function fpMul(f: Floats, a: Value, b: Value): Value {
  return product(f, a, b, "fpMul");
}

/** FPMulX. */
export function fpMulX(f: Floats, a: Value, b: Value): Value {
  return product(f, a, b, "fpMulX");
}

/** FPDiv. */
export function fpDiv(f: Floats, a: Value, b: Value): Value {
  const { s } = f;
  const result = f.op("div", a, b);
  const zero = f.constant(0);
  const isExactZero = () => f.and(f.test("eq", result, zero), f.test("eq", a, zero));
  const isOrdinary = isNormalOr(f, result, isExactZero);
  const isExact = () =>
    s.op("i32.and", f.all(f.test("eq", f.op("mul", result, b), a)), f.haveShortFractions(result, b));
  return guarded(f, { control: NEAREST_WITHOUT_FLUSH, result, isOrdinary, isExact }, () =>
    f.call("fpDiv", [a, b]),
  );
}

/** FPSqrt. A root is never denormal. */
export function fpSqrt(f: Floats, a: Value): Value {
  const { s } = f;
  const result = f.op("sqrt", a);
  const isExact = () =>
    s.op("i32.and", f.all(f.test("eq", f.op("mul", result, result), a)), f.haveShortFractions(result));
  const fast = {
    control: NEAREST_WITHOUT_FLUSH,
    result,
    isOrdinary: f.all(isFiniteNumber(f, result)),
    isExact,
  };
  return guarded(f, fast, () => f.call("fpSqrt", [a]));
}

export type ExtremeName = "fpMax" | "fpMin" | "fpMaxNum" | "fpMinNum";

/** FPMax, FPMin, FPMaxNum, FPMinNum: they differ only in their treatment of NaNs. */
export function fpExtreme(f: Floats, name: ExtremeName, a: Value, b: Value): Value {
  const result = f.op(name === "fpMax" || name === "fpMaxNum" ? "max" : "min", a, b);
  const isOrdinary = f.all(f.test("eq", result, result));
  return guarded(f, { control: FPCR.FZ, result, isOrdinary }, () => f.call(name, [a, b]));
}

/** How FRINT and conversions name their rounding; `x` and `i` take FPCR's, and `x` raises IXC. */
export type RoundingLetter = "n" | "p" | "m" | "z" | "a" | "x" | "i";

/** The number a runtime function takes for a rounding. */
export function roundingNumber(letter: RoundingLetter): Rounding | typeof ROUNDING_OF_CONTROL {
  switch (letter) {
    case "n":
      return ROUNDING.TIES_TO_EVEN;
    case "p":
      return ROUNDING.TOWARDS_POSITIVE;
    case "m":
      return ROUNDING.TOWARDS_NEGATIVE;
    case "z":
      return ROUNDING.TOWARDS_ZERO;
    case "a":
      return ROUNDING.TIES_AWAY;
    case "x":
    case "i":
      return ROUNDING_OF_CONTROL;
    default:
      return assertNever(letter, "rounding letter");
  }
}

/** The integral value by WebAssembly's operators; FPCR's rounding is taken to be to nearest. */
export function roundedByOperator(f: Floats, a: Value, letter: RoundingLetter): Value {
  switch (letter) {
    case "n":
    case "x":
    case "i":
      return f.op("nearest", a);
    case "p":
      return f.op("ceil", a);
    case "m":
      return f.op("floor", a);
    case "z":
      return f.op("trunc", a);
    case "a": {
      const whole = f.op("trunc", a);
      const rest = f.op("abs", f.op("sub", a, whole));
      const isUp = f.test("ge", rest, f.constant(0.5));
      const away = f.op("add", whole, f.copySign(f.constant(1), a));
      return f.select(isUp, away, whole);
    }
    default:
      return assertNever(letter, "rounding letter");
  }
}

/** FPRoundInt. */
export function fpRoundInt(f: Floats, a: Value, letter: RoundingLetter): Value {
  const { s } = f;
  const result = roundedByOperator(f, a, letter);
  const fast: FastPath = {
    control: letter === "x" || letter === "i" ? NEAREST_WITHOUT_FLUSH : FPCR.FZ,
    result,
    isOrdinary: f.all(f.test("eq", result, result)),
    ...(letter === "x" ? { isExact: () => f.all(f.test("eq", result, a)) } : {}),
  };
  return guarded(f, fast, () =>
    f.call("fpRoundInt", [a], s.i32(roundingNumber(letter)), s.i32(letter === "x" ? 1 : 0)),
  );
}

/** FPCompare of two numbers: sets NZCV. */
export function fpCompare(f: Floats, a: Value, b: Value, signalQuiet: boolean): void {
  const { s } = f;
  const isLess = asI32(f.test("lt", a, b));
  const isEqual = asI32(f.test("eq", a, b));
  const isOrdered = s.op("i32.and", asI32(f.test("eq", a, a)), asI32(f.test("eq", b, b)));
  const isFast = s.op("i32.and", isOrdered, controlIsClear(s, FPCR.FZ));
  s.when(
    isFast,
    () => {
      const wide = (value: I32) => s.op("i64.extend_i32_u", value);
      const negative = s.op("i64.sub", s.i64(0), wide(isLess));
      s.setFlags(negative, wide(s.op("i32.eqz", isEqual)), wide(s.op("i32.eqz", isLess)), s.i64(0));
    },
    () => {
      const flags = f.compare(a, b, signalQuiet);
      s.setFlagsFromBits(s.op("i64.extend_i32_u", flags));
    },
  );
}

export type ComparisonName = "eq" | "ge" | "gt";

/**
 * FPCompareEQ, FPCompareGE, FPCompareGT on vectors: all ones in lanes where it holds. Only `eq` is silent on
 * quiet NaNs.
 */
export function fpCompareLanes(f: Floats, name: ComparisonName, a: Value, b: Value): Value {
  const result = f.test(name, a, b);
  const isOrdinary = f.all(f.and(f.test("eq", a, a), f.test("eq", b, b)));
  return guarded(f, { control: FPCR.FZ, result, isOrdinary }, () => {
    const { s } = f;
    return f.eachLane((lane) => f.spread(flagsHold(s, f.compare(a, b, name !== "eq", lane), name)));
  });
}

/** Whether NZCV in bits 31 to 28 says "equal", "not less" or "greater"; unordered is none of them. */
function flagsHold(s: Semantics, flags: I32, name: ComparisonName): I32 {
  const isEqual = s.op("i32.eq", flags, s.i32(0b0110 << 28));
  if (name === "eq") return isEqual;
  const isGreater = s.op("i32.eq", flags, s.i32(0b0010 << 28));
  return name === "gt" ? isGreater : s.op("i32.or", isEqual, isGreater);
}
