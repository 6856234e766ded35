import { Bug } from "../../base/errors.ts";
import type { Semantics, V128 } from "../semantics.ts";
import {
  and,
  binary,
  bitselect,
  type ElementBits,
  greater,
  LANES,
  maximum,
  minimum,
  multiplyLong,
  not,
  noteSaturation,
  or,
  type Shape,
  shift,
  shuffleElements,
  signBits,
  splat,
  unary,
  xor,
} from "./vector.ts";

/** The largest (where `negative` is zero) or smallest (all ones) signed element. */
function signedLimit(s: Semantics, size: ElementBits, negative: V128): V128 {
  return xor(s, negative, not(s, signBits(s, size)));
}

/** Sum with signed or unsigned saturation; notes it in FPSR. */
export function saturatingAdd(s: Semantics, shape: Shape, unsigned: boolean, a: V128, b: V128): V128 {
  const { size } = shape;
  const sum = binary(s, size, "add", a, b);
  if (size === 8 || size === 16) {
    const saturated = s.op(`${LANES[size]}.add_sat_${unsigned ? "u" : "s"}`, a, b);
    noteSaturation(s, shape, xor(s, saturated, sum));
    return saturated;
  }
  if (unsigned) {
    const carry = greater(s, size, true, a, sum);
    noteSaturation(s, shape, carry);
    return or(s, sum, carry);
  }
  const overflow = shift(s, size, "shr_s", and(s, xor(s, a, sum), xor(s, b, sum)), size - 1);
  noteSaturation(s, shape, overflow);
  return bitselect(s, overflow, signedLimit(s, size, shift(s, size, "shr_s", a, size - 1)), sum);
}

/** Difference with signed or unsigned saturation; notes it in FPSR. */
export function saturatingSubtract(s: Semantics, shape: Shape, unsigned: boolean, a: V128, b: V128): V128 {
  const { size } = shape;
  const difference = binary(s, size, "sub", a, b);
  if (size === 8 || size === 16) {
    const saturated = s.op(`${LANES[size]}.sub_sat_${unsigned ? "u" : "s"}`, a, b);
    noteSaturation(s, shape, xor(s, saturated, difference));
    return saturated;
  }
  if (unsigned) {
    const borrow = greater(s, size, true, b, a);
    noteSaturation(s, shape, borrow);
    return s.op("v128.andnot", difference, borrow);
  }
  const overflow = shift(s, size, "shr_s", and(s, xor(s, a, b), xor(s, a, difference)), size - 1);
  noteSaturation(s, shape, overflow);
  return bitselect(s, overflow, signedLimit(s, size, shift(s, size, "shr_s", a, size - 1)), difference);
}

/** Sum of numbers of different signedness, saturated to that of `a` (SUQADD, USQADD). */
export function saturatingAddMixed(
  s: Semantics,
  shape: Shape,
  unsignedResult: boolean,
  a: V128,
  b: V128,
): V128 {
  // Moving the range of `a` by half of it makes both of one signedness; moving back is the same step.
  const bias = signBits(s, shape.size);
  return xor(s, saturatingAdd(s, shape, !unsignedResult, xor(s, a, bias), b), bias);
}

/** Absolute value or negation, of which only the smallest number saturates. */
export function saturatingNegate(s: Semantics, shape: Shape, operation: "abs" | "neg", a: V128): V128 {
  const { size } = shape;
  const tooSmall = binary(s, size, "eq", a, signBits(s, size));
  noteSaturation(s, shape, tooSmall);
  return xor(s, unary(s, size, operation, a), tooSmall);
}

/**
 * Elements of twice `size` bits limited to what `size` bits hold. The shape that notes the saturation is the
 * wide one.
 */
export function saturateWide(
  s: Semantics,
  size: 8 | 16 | 32,
  extent: Shape["extent"],
  from: "signed" | "unsigned",
  to: "signed" | "unsigned",
  a: V128,
): V128 {
  const wide = (size * 2) as 16 | 32 | 64;
  let limited: V128;
  if (from === "unsigned") {
    limited = minimum(s, wide, true, a, splat(s, wide, (1n << BigInt(size)) - 1n));
  } else if (to === "unsigned") {
    const positive = maximum(s, wide, false, a, splat(s, wide, 0));
    limited = minimum(s, wide, false, positive, splat(s, wide, (1n << BigInt(size)) - 1n));
  } else {
    const half = 1n << BigInt(size - 1);
    limited = minimum(
      s,
      wide,
      false,
      maximum(s, wide, false, a, splat(s, wide, -half)),
      splat(s, wide, half - 1n),
    );
  }
  noteSaturation(s, { size: wide, extent }, xor(s, limited, a));
  return limited;
}

/** Twice the products of half of the elements, saturated: only the square of the smallest number is too large. */
export function saturatingDoublingMultiplyLong(
  s: Semantics,
  size: 8 | 16 | 32,
  extent: Shape["extent"],
  high: boolean,
  a: V128,
  b: V128,
): V128 {
  const wide = (size * 2) as 16 | 32 | 64;
  const product = multiplyLong(s, size, false, high, a, b);
  const tooLarge = binary(s, wide, "eq", product, splat(s, wide, 1n << BigInt(wide - 2)));
  noteSaturation(s, { size: wide, extent }, tooLarge);
  return xor(s, shift(s, wide, "shl", product, 1), tooLarge);
}

/** The high halves of twice the products, rounded or not, saturated (SQDMULH, SQRDMULH). */
export function saturatingDoublingMultiplyHigh(
  s: Semantics,
  shape: Shape,
  rounding: boolean,
  a: V128,
  b: V128,
): V128 {
  const size = halfOrWord(shape);
  const smallest = signBits(s, size);
  const tooLarge = and(s, binary(s, size, "eq", a, smallest), binary(s, size, "eq", b, smallest));
  noteSaturation(s, shape, tooLarge);
  if (size === 16 && rounding) return s.op("i16x8.q15mulr_sat_s", a, b);
  const wide = (size * 2) as 32 | 64;
  const half = (high: boolean): V128 => {
    let product = multiplyLong(s, size, false, high, a, b);
    if (rounding) product = binary(s, wide, "add", product, splat(s, wide, 1n << BigInt(size - 2)));
    return shift(s, wide, "shl", product, 1);
  };
  return xor(s, highHalves(s, size, half(false), half(true)), tooLarge);
}

/**
 * Accumulator plus or minus twice the product, of which the rounded and saturated high half remains (SQRDMLAH,
 * SQRDMLSH): computed at half the scale, where twice the size suffices.
 */
export function saturatingRoundingDoublingMultiplyAccumulate(
  s: Semantics,
  shape: Shape,
  subtract: boolean,
  accumulator: V128,
  a: V128,
  b: V128,
): V128 {
  const size = halfOrWord(shape);
  const wide = (size * 2) as 32 | 64;
  const half = 1n << BigInt(size - 1);
  const part = (high: boolean): [V128, V128] => {
    const extended =
      size === 16
        ? s.op(`i32x4.extend_${high ? "high" : "low"}_i16x8_s`, accumulator)
        : s.op(`i64x2.extend_${high ? "high" : "low"}_i32x4_s`, accumulator);
    const product = multiplyLong(s, size, false, high, a, b);
    const sum = binary(s, wide, subtract ? "sub" : "add", shift(s, wide, "shl", extended, size - 1), product);
    const rounded = binary(s, wide, "add", sum, splat(s, wide, 1n << BigInt(size - 2)));
    const shifted = shift(s, wide, "shr_s", rounded, size - 1);
    const limited = minimum(
      s,
      wide,
      false,
      maximum(s, wide, false, shifted, splat(s, wide, -half)),
      splat(s, wide, half - 1n),
    );
    return [limited, xor(s, limited, shifted)];
  };
  const [low, lowSaturated] = part(false);
  const [high, highSaturated] = part(true);
  noteSaturation(s, shape, lowHalves(s, size, lowSaturated, highSaturated));
  return lowHalves(s, size, low, high);
}

/** The only element sizes of the doubling multiplications. */
function halfOrWord({ size }: Shape): 16 | 32 {
  if (size === 16 || size === 32) return size;
  throw new Bug(`there is no doubling multiplication of ${size} bits`);
}

/** The elements with odd numbers: high halves of wide elements. */
function highHalves(s: Semantics, size: ElementBits, low: V128, high: V128): V128 {
  return shuffleElements(
    s,
    size,
    low,
    high,
    Array.from({ length: 128 / size }, (_, i) => 2 * i + 1),
  );
}
/** The elements with even numbers: low halves of wide elements. */
function lowHalves(s: Semantics, size: ElementBits, low: V128, high: V128): V128 {
  return shuffleElements(
    s,
    size,
    low,
    high,
    Array.from({ length: 128 / size }, (_, i) => 2 * i),
  );
}
