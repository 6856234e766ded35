import type { ImmediateOperand } from "../operands.ts";
import type { I32, I64, Semantics, V128 } from "../semantics.ts";
import {
  and,
  binary,
  bitselect,
  type ElementBits,
  elementCount,
  extract,
  insert,
  not,
  noteSaturation,
  type Shape,
  setCumulativeSaturation,
  shift,
  signBits,
  splat,
  xor,
  zero,
} from "./vector.ts";

export interface RegisterShift {
  readonly unsigned: boolean;
  readonly rounding: boolean;
  readonly saturating: boolean;
}

/** Elements shifted left by the signed low byte of those of `m`; negative amounts shift right. */
export function shiftByRegister(s: Semantics, shape: Shape, kind: RegisterShift, n: V128, m: V128): V128 {
  if (!kind.saturating && !kind.rounding && shape.size <= 16) {
    return shiftByRegisterStepwise(s, shape.size as 8 | 16, kind.unsigned, n, m);
  }
  let result = zero(s);
  let saturated: I32 | undefined;
  for (let lane = 0; lane < elementCount(shape); lane++) {
    const value = extract(s, shape.size, kind.unsigned, lane, n);
    const amount = s.op("i64.extend8_s", extract(s, shape.size, true, lane, m));
    const left = kind.saturating
      ? shiftLeftSaturating(s, shape.size, kind.unsigned, value, amount)
      : { value: shiftLeft(s, value, amount), saturated: undefined };
    const right = shiftRight(s, kind, value, s.op("i64.sub", s.i64(0), amount));
    const isLeft = s.op("i64.ge_s", amount, s.i64(0));
    result = insert(s, shape.size, lane, result, s.select(isLeft, left.value, right));
    if (left.saturated) {
      const here = s.op("i32.and", isLeft, left.saturated);
      saturated = saturated ? s.op("i32.or", saturated, here) : here;
    }
  }
  if (saturated) setCumulativeSaturation(s, saturated);
  return result;
}

/** `amount` is 0 to 127 where the result counts. */
function shiftLeft(s: Semantics, value: I64, amount: I64): I64 {
  return s.select(s.op("i64.gt_s", amount, s.i64(63)), s.i64(0), s.op("i64.shl", value, amount));
}

/** `amount` is 1 to 128 where the result counts. `value` is extended to 64 bits. */
function shiftRight(s: Semantics, { unsigned, rounding }: RegisterShift, value: I64, amount: I64): I64 {
  const by = (count: I64): I64 => {
    const tooFar = s.op("i64.gt_s", count, s.i64(63));
    if (unsigned) return s.select(tooFar, s.i64(0), s.op("i64.shr_u", value, count));
    return s.op("i64.shr_s", value, s.select(tooFar, s.i64(63), count));
  };
  if (!rounding) return by(amount);
  const roundingBit = s.op("i64.and", by(s.op("i64.sub", amount, s.i64(1))), s.i64(1));
  return s.op("i64.add", by(amount), roundingBit);
}

/** `amount` is 0 to 127 where the result counts. */
function shiftLeftSaturating(
  s: Semantics,
  size: ElementBits,
  unsigned: boolean,
  value: I64,
  amount: I64,
): { value: I64; saturated: I32 } {
  // At the top of 64 bits every size overflows as 64 bits do.
  const unused = s.i64(64 - size);
  const top = s.op("i64.shl", value, unused);
  const shiftBack = unsigned ? "i64.shr_u" : "i64.shr_s";
  const shifted = s.op("i64.shl", top, amount);
  const lost = s.op("i64.ne", s.op(shiftBack, shifted, amount), top);
  const tooFar = s.op("i64.gt_s", amount, s.i64(63));
  const saturated = s.select(tooFar, s.op("i64.ne", top, s.i64(0)), lost);
  const limit = unsigned
    ? s.i64(-1)
    : s.op("i64.xor", s.op("i64.shr_s", value, s.i64(63)), s.i64((1n << 63n) - 1n));
  const result = s.select(saturated, limit, s.select(tooFar, s.i64(0), shifted));
  return { value: s.op("i64.shr_u", result, unused), saturated };
}

/**
 * The same for bytes and halfwords without rounding, all elements at once: one conditional shift for each bit
 * of the amount.
 */
function shiftByRegisterStepwise(s: Semantics, size: 8 | 16, unsigned: boolean, n: V128, m: V128): V128 {
  const amount = size === 8 ? m : shift(s, 16, "shr_s", shift(s, 16, "shl", m, 8), 8);
  const isRight = shift(s, size, "shr_s", amount, size - 1);
  const distance = s.op(size === 8 ? "i8x16.abs" : "i16x8.abs", amount);
  const sign = unsigned ? zero(s) : shift(s, size, "shr_s", n, size - 1);
  let left = n;
  let right = n;
  for (let step = 1, index = 0; step < size; step *= 2, index++) {
    // The bit of the amount, at the top of its element, spread over it.
    const isSet = shift(s, size, "shr_s", shift(s, size, "shl", distance, size - 1 - index), size - 1);
    left = bitselect(s, isSet, shift(s, size, "shl", left, step), left);
    right = bitselect(s, isSet, shift(s, size, unsigned ? "shr_u" : "shr_s", right, step), right);
  }
  const whole = splat(s, size, size - 1);
  const tooFar = s.op(size === 8 ? "i8x16.gt_u" : "i16x8.gt_u", distance, whole);
  return bitselect(s, isRight, bitselect(s, tooFar, sign, right), s.op("v128.andnot", left, tooFar));
}

/** A right shift by a constant of 1 to `size`, the latter marked by `whole` and given as `size - 1`. */
export interface RightShiftImmediate {
  readonly size: ElementBits;
  readonly unsigned: boolean;
  readonly whole: boolean;
  /** The distance, at most `size - 1`. */
  readonly amount: ImmediateOperand<32>;
  /** The distance less one, when rounding. */
  readonly lessOne: ImmediateOperand<32>;
}

export function shiftRightImmediate(
  s: Semantics,
  { size, unsigned, whole, amount, lessOne }: RightShiftImmediate,
  rounding: boolean,
  a: V128,
): V128 {
  const name = unsigned ? "shr_u" : "shr_s";
  const shifted = unsigned && whole ? zero(s) : shift(s, size, name, a, s.imm32(amount));
  if (!rounding) return shifted;
  const roundingBit = and(s, shift(s, size, "shr_u", a, s.imm32(lessOne)), splat(s, size, 1));
  return binary(s, size, "add", shifted, roundingBit);
}

/** Left shift by a constant below the size, saturating; `signedToUnsigned` as SQSHLU does. */
export function shiftLeftImmediateSaturating(
  s: Semantics,
  shape: Shape,
  mode: "signed" | "unsigned" | "signedToUnsigned",
  amount: I32,
  a: V128,
): V128 {
  const { size } = shape;
  const shifted = shift(s, size, "shl", a, amount);
  const back = shift(s, size, mode === "signed" ? "shr_s" : "shr_u", shifted, amount);
  const negative = shift(s, size, "shr_s", a, size - 1);
  if (mode === "signedToUnsigned") {
    const lost = binary(s, size, "ne", back, a);
    noteSaturation(s, shape, s.op("v128.or", lost, negative));
    return s.op("v128.andnot", s.op("v128.or", shifted, lost), negative);
  }
  const lost = binary(s, size, "ne", back, a);
  noteSaturation(s, shape, lost);
  const limit = mode === "unsigned" ? splat(s, size, -1) : xor(s, negative, not(s, signBits(s, size)));
  return bitselect(s, lost, limit, shifted);
}
