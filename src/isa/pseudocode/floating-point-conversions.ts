import { conversionNumber } from "../runtime/floating-point-functions.ts";
import type { F32, F64, I32, Semantics, Value } from "../semantics.ts";
import { FPCR } from "../softfloat/control.ts";
import {
  controlIsClear,
  inexactIsRecorded,
  isNormal,
  NEAREST_WITHOUT_FLUSH,
  type RoundingLetter,
  roundedByOperator,
  roundingNumber,
} from "./floating-point.ts";
import { type FloatSize, Floats } from "./floats.ts";
import { asF32, asF64, asI32, asI64 } from "./value-types.ts";

/** FPConvert from single to double: exact unless the number is a NaN. */
export function fpSingleToDouble(s: Semantics, a: F32): F64 {
  const isNumber = s.op("f32.eq", a, a);
  return s.choose(
    "f64",
    s.op("i32.and", isNumber, controlIsClear(s, FPCR.FZ)),
    () => s.op("f64.promote_f32", a),
    () => s.op("f64.reinterpret_i64", s.call("fpConvert32To64", s.op("i32.reinterpret_f32", a))),
  );
}

/** FPConvert from double to single. */
export function fpDoubleToSingle(s: Semantics, a: F64): F32 {
  const result = s.op("f32.demote_f64", a);
  const isExact = s.op("f64.eq", s.op("f64.promote_f32", result), a);
  const recorded = s.op("i32.ne", s.readInexact(), s.i32(0));
  const isNear = s.op("i32.and", recorded, asI32(isNormal(Floats.scalar(s, 32), result)));
  const isFast = s.op("i32.and", controlIsClear(s, NEAREST_WITHOUT_FLUSH), s.op("i32.or", isExact, isNear));
  return s.choose(
    "f32",
    isFast,
    () => result,
    () => s.op("f32.reinterpret_i32", s.call("fpConvert64To32", s.op("i64.reinterpret_f64", a))),
  );
}

/** What a conversion to or from fixed point is, apart from the number. */
export interface Conversion {
  readonly width: 32 | 64;
  readonly unsigned: boolean;
}

/** The fraction bits of a fixed-point number, as its two consumers want them. */
export interface FractionBits {
  readonly count: I32;
  /** 2 to that power, in the shape of the float. */
  readonly scale: Value;
}

/**
 * FPToFixed of one number: an i32 or i64 by the conversion's width. The fast way is for values in range
 * that are integral, or whose inexactness is recorded already.
 */
export function fpToFixed(
  f: Floats,
  number: Value,
  conversion: Conversion,
  letter: RoundingLetter,
  fraction?: FractionBits,
): Value {
  const { s } = f;
  const { width, unsigned } = conversion;
  const scaled = fraction ? f.op("mul", number, fraction.scale) : number;
  const rounded = roundedByOperator(f, scaled, letter);
  const limit = f.constant(2 ** (unsigned ? width : width - 1));
  const inRange = unsigned
    ? f.and(f.test("ge", rounded, f.constant(0)), f.test("lt", rounded, limit))
    : f.test("lt", f.op("abs", rounded), limit);
  const holds = s.op("i32.and", controlIsClear(s, FPCR.FZ), asI32(inRange));
  const isFast = s.choose(
    "i32",
    holds,
    () => inexactIsRecorded(s, () => asI32(f.test("eq", rounded, scaled))),
    () => s.i32(0),
  );
  const slow = () =>
    asI64(
      f.callLane(
        0,
        "fpToFixed",
        [number],
        fraction?.count ?? s.i32(0),
        s.i32(conversionNumber(width, unsigned, roundingNumber(letter))),
      ),
    );
  if (width === 64)
    return s.choose("i64", isFast, () => asI64(truncated(s, f.size, conversion, rounded)), slow);
  return s.choose(
    "i32",
    isFast,
    () => asI32(truncated(s, f.size, conversion, rounded)),
    () => s.op("i32.wrap_i64", slow()),
  );
}

function truncated(s: Semantics, size: FloatSize, { width, unsigned }: Conversion, a: Value): Value {
  const sign = unsigned ? "u" : "s";
  if (size === 64) {
    if (width === 64) return s.op(`i64.trunc_sat_f64_${sign}`, asF64(a));
    return s.op(`i32.trunc_sat_f64_${sign}`, asF64(a));
  }
  if (width === 64) return s.op(`i64.trunc_sat_f32_${sign}`, asF32(a));
  return s.op(`i32.trunc_sat_f32_${sign}`, asF32(a));
}

/** FixedToFP: `value` is an i32 or i64 by the conversion's width. */
export function fixedToFp(f: Floats, value: Value, conversion: Conversion, fraction?: FractionBits): Value {
  const { s } = f;
  const { width, unsigned } = conversion;
  const converted = convertedInteger(f, value, conversion);
  // 2 to a power: the quotient is exact, and far from the denormal range.
  const result = fraction ? f.op("div", converted, fraction.scale) : converted;
  if (width === 32 && f.size === 64) return result;
  const recorded = s.op("i32.ne", s.readInexact(), s.i32(0));
  const mayRound = s.op("i32.and", recorded, controlIsClear(s, FPCR.RMODE));
  const isFast = s.op("i32.or", isExactInteger(f, value, conversion), mayRound);
  const slow = () => {
    const extend = unsigned ? "i64.extend_i32_u" : "i64.extend_i32_s";
    const wide = width === 64 ? asI64(value) : s.op(extend, asI32(value));
    const kind = s.i32(conversionNumber(width, unsigned, 0));
    const count = fraction?.count ?? s.i32(0);
    if (f.size === 64) return s.op("f64.reinterpret_i64", s.call("fpFromFixed64", wide, count, kind));
    return s.op("f32.reinterpret_i32", s.call("fpFromFixed32", wide, count, kind));
  };
  return s.choose(f.type, isFast, () => result, slow);
}

function convertedInteger(f: Floats, value: Value, { width, unsigned }: Conversion): Value {
  const { s, size } = f;
  const sign = unsigned ? "u" : "s";
  if (size === 64) {
    if (width === 64) return s.op(`f64.convert_i64_${sign}`, asI64(value));
    return s.op(`f64.convert_i32_${sign}`, asI32(value));
  }
  if (width === 64) return s.op(`f32.convert_i64_${sign}`, asI64(value));
  return s.op(`f32.convert_i32_${sign}`, asI32(value));
}

/** Whether an integer has no more bits than the fraction holds. */
function isExactInteger(f: Floats, value: Value, { width, unsigned }: Conversion): I32 {
  const { s } = f;
  const limit = f.size === 64 ? 2n ** 53n : 2n ** 24n;
  if (width === 64) {
    if (unsigned) return s.op("i64.le_u", asI64(value), s.i64(limit));
    return s.op("i64.le_u", s.op("i64.add", asI64(value), s.i64(limit)), s.i64(2n * limit));
  }
  if (unsigned) return s.op("i32.le_u", asI32(value), s.i32(Number(limit)));
  return s.op("i32.le_u", s.op("i32.add", asI32(value), s.i32(Number(limit))), s.i32(Number(2n * limit)));
}
