import type { RegisterOperand } from "../operands.ts";
import type { I32, I64, Semantics, V128 } from "../semantics.ts";

/** Bits of one element. */
export type ElementBits = 8 | 16 | 32 | 64;
export const ELEMENT_BITS = [8, 16, 32, 64] as const;

/** How much of the registers an instruction works on: 128 bits, the low 64, or the lowest element. */
export type Extent = "q" | "d" | "scalar";

/** The shape of an operation: static parts of the operands of every integer vector row. */
export interface Shape {
  readonly size: ElementBits;
  readonly extent: Extent;
}

/** WebAssembly's names of the lane shapes. */
export const LANES = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;
type UnaryName = "abs" | "neg";
type BinaryName = "add" | "sub" | "eq" | "ne" | "lt_s" | "gt_s" | "le_s" | "ge_s";
type ShiftName = "shl" | "shr_s" | "shr_u";

/** A WebAssembly operator that exists for all four element sizes. */
export function unary(s: Semantics, size: ElementBits, name: UnaryName, a: V128): V128 {
  return s.op(`${LANES[size]}.${name}`, a);
}
export function binary(s: Semantics, size: ElementBits, name: BinaryName, a: V128, b: V128): V128 {
  return s.op(`${LANES[size]}.${name}`, a, b);
}
/** Shifts every element by the same amount; a number must be less than `size`. */
export function shift(s: Semantics, size: ElementBits, name: ShiftName, a: V128, amount: I32 | number): V128 {
  if (amount === 0) return a;
  return s.op(`${LANES[size]}.${name}`, a, typeof amount === "number" ? s.i32(amount) : amount);
}

/** A vector constant: every element has this value (modulo its size). */
export function splat(s: Semantics, size: ElementBits, value: bigint | number): V128 {
  const bits = BigInt.asUintN(size, BigInt(value));
  const bytes = Array.from({ length: 16 }, (_, i) => Number((bits >> BigInt((i * 8) % size)) & 255n));
  return s.v128(bytes);
}

export function zero(s: Semantics): V128 {
  return splat(s, 8, 0);
}
export const not = (s: Semantics, a: V128): V128 => s.op("v128.not", a);
export const and = (s: Semantics, a: V128, b: V128): V128 => s.op("v128.and", a, b);
export const or = (s: Semantics, a: V128, b: V128): V128 => s.op("v128.or", a, b);
export const xor = (s: Semantics, a: V128, b: V128): V128 => s.op("v128.xor", a, b);
/** Bits of `ifOne` where `mask` is one, of `ifZero` elsewhere. */
export const bitselect = (s: Semantics, mask: V128, ifOne: V128, ifZero: V128): V128 =>
  s.op("v128.bitselect", ifOne, ifZero, mask);

/** Only the sign bit of each element set. */
export const signBits = (s: Semantics, size: ElementBits): V128 => splat(s, size, 1n << BigInt(size - 1));

/** All ones in elements where `a` is greater. WebAssembly lacks the unsigned comparison of 64 bits. */
export function greater(s: Semantics, size: ElementBits, unsigned: boolean, a: V128, b: V128): V128 {
  if (!unsigned) return binary(s, size, "gt_s", a, b);
  if (size !== 64) return s.op(`${LANES[size]}.gt_u`, a, b);
  const bias = signBits(s, 64);
  return s.op("i64x2.gt_s", xor(s, a, bias), xor(s, b, bias));
}
export function greaterOrEqual(s: Semantics, size: ElementBits, unsigned: boolean, a: V128, b: V128): V128 {
  if (!unsigned) return binary(s, size, "ge_s", a, b);
  if (size !== 64) return s.op(`${LANES[size]}.ge_u`, a, b);
  const bias = signBits(s, 64);
  return s.op("i64x2.ge_s", xor(s, a, bias), xor(s, b, bias));
}

export function maximum(s: Semantics, size: ElementBits, unsigned: boolean, a: V128, b: V128): V128 {
  if (size === 64) return bitselect(s, greater(s, 64, unsigned, a, b), a, b);
  return s.op(`${LANES[size]}.max_${unsigned ? "u" : "s"}`, a, b);
}
export function minimum(s: Semantics, size: ElementBits, unsigned: boolean, a: V128, b: V128): V128 {
  if (size === 64) return bitselect(s, greater(s, 64, unsigned, a, b), b, a);
  return s.op(`${LANES[size]}.min_${unsigned ? "u" : "s"}`, a, b);
}

/** The low `size` bits of the products. */
export function multiply(s: Semantics, size: ElementBits, a: V128, b: V128): V128 {
  if (size !== 8) return s.op(`${LANES[size]}.mul`, a, b);
  const even = s.op("i16x8.mul", a, b);
  const odd = s.op("i16x8.mul", shift(s, 16, "shr_u", a, 8), shift(s, 16, "shr_u", b, 8));
  return bitselect(s, splat(s, 16, 0xff), even, shift(s, 16, "shl", odd, 8));
}

/** |a - b|, exact as an unsigned number. */
export function absoluteDifference(
  s: Semantics,
  size: ElementBits,
  unsigned: boolean,
  a: V128,
  b: V128,
): V128 {
  return binary(s, size, "sub", maximum(s, size, unsigned, a, b), minimum(s, size, unsigned, a, b));
}

/** Half of the elements (8, 16 or 32 bits), the low or the high ones, extended to twice their size. */
export function widen(s: Semantics, size: ElementBits, unsigned: boolean, high: boolean, a: V128): V128 {
  const part = high ? "high" : "low";
  const sign = unsigned ? "u" : "s";
  if (size === 8) return s.op(`i16x8.extend_${part}_i8x16_${sign}`, a);
  if (size === 16) return s.op(`i32x4.extend_${part}_i16x8_${sign}`, a);
  return s.op(`i64x2.extend_${part}_i32x4_${sign}`, a);
}

/** Products of half of the elements (8, 16 or 32 bits), twice their size. */
export function multiplyLong(
  s: Semantics,
  size: ElementBits,
  unsigned: boolean,
  high: boolean,
  a: V128,
  b: V128,
): V128 {
  const part = high ? "high" : "low";
  const sign = unsigned ? "u" : "s";
  if (size === 8) return s.op(`i16x8.extmul_${part}_i8x16_${sign}`, a, b);
  if (size === 16) return s.op(`i32x4.extmul_${part}_i16x8_${sign}`, a, b);
  return s.op(`i64x2.extmul_${part}_i32x4_${sign}`, a, b);
}

/** Byte indices for a shuffle from element indices (elements of `b` follow those of `a`). */
function byteIndices(size: ElementBits, elements: readonly number[]): number[] {
  const bytes = size / 8;
  return elements.flatMap((element) => Array.from({ length: bytes }, (_, i) => element * bytes + i));
}

/** A shuffle of whole elements. */
export function shuffleElements(
  s: Semantics,
  size: ElementBits,
  a: V128,
  b: V128,
  elements: readonly number[],
): V128 {
  return s.shuffle(a, b, byteIndices(size, elements));
}

/** `count` numbers: start, start + step ... */
export const range = (count: number, start = 0, step = 1): number[] =>
  Array.from({ length: count }, (_, i) => start + i * step);

/** The even (part 0) or odd (part 1) elements of `a`, then those of `b` (UZP1, UZP2). */
export function unzip(s: Semantics, size: ElementBits, part: 0 | 1, a: V128, b: V128): V128 {
  return shuffleElements(s, size, a, b, range(128 / size, part, 2));
}

/** The low 64 bits of `a`, then those of `b`. */
export function concatenateLow(s: Semantics, a: V128, b: V128): V128 {
  return shuffleElements(s, 64, a, b, [0, 2]);
}

/** Number of elements that a shape works on. */
export function elementCount({ size, extent }: Shape): number {
  if (extent === "scalar") return 1;
  return (extent === "q" ? 128 : 64) / size;
}

/** The result of an operation whose elements beyond the shape become zero. */
export function writeShape(s: Semantics, shape: Shape, d: RegisterOperand<"v">, value: V128): void {
  if (shape.extent === "q") s.writeV(d, value);
  else if (shape.extent === "d" || shape.size === 64) s.writeVLow(d, s.lane("i64x2.extract_lane", 0, value));
  else s.writeV(d, and(s, value, lowMask(s, shape.size)));
}

/** Ones in the lowest `bits` bits. */
function lowMask(s: Semantics, bits: number): V128 {
  return s.v128(range(16).map((i) => (i * 8 < bits ? 255 : 0)));
}

/** Sets FPSR.QC when any bit of `saturated` is one within the shape. */
export function noteSaturation(s: Semantics, shape: Shape, saturated: V128): void {
  const bits = shape.extent === "q" ? 128 : shape.extent === "d" ? 64 : shape.size;
  const within = bits === 128 ? saturated : and(s, saturated, lowMask(s, bits));
  setCumulativeSaturation(s, s.op("v128.any_true", within));
}

/** Sets FPSR.QC when `saturated` is 1. */
export function setCumulativeSaturation(s: Semantics, saturated: I32): void {
  s.writeFpsr(s.op("i32.or", s.readFpsr(), s.op("i32.shl", saturated, s.i32(27))));
}

/** An element as 64 bits. */
export function extract(s: Semantics, size: ElementBits, unsigned: boolean, lane: number, a: V128): I64 {
  if (size === 64) return s.lane("i64x2.extract_lane", lane, a);
  const extend = unsigned ? "i64.extend_i32_u" : "i64.extend_i32_s";
  if (size === 32) return s.op(extend, s.lane("i32x4.extract_lane", lane, a));
  return s.op(extend, s.lane(`${LANES[size]}.extract_lane_${unsigned ? "u" : "s"}`, lane, a));
}

/** `a` with one element replaced by the low bits of `value`. */
export function insert(s: Semantics, size: ElementBits, lane: number, a: V128, value: I64): V128 {
  if (size === 64) return s.lane("i64x2.replace_lane", lane, a, value);
  return s.lane(`${LANES[size]}.replace_lane`, lane, a, s.op("i32.wrap_i64", value));
}

/** Every element gets the low bits of `value`. */
export function splatValue(s: Semantics, size: ElementBits, value: I64): V128 {
  if (size === 64) return s.op("i64x2.splat", value);
  return s.op(`${LANES[size]}.splat`, s.op("i32.wrap_i64", value));
}

/**
 * The upper or lower half of a narrowed result: WebAssembly's lanes hold `wide` elements whose low halves
 * count. Without `high` the upper 64 bits become zero, with it the lower ones are kept.
 */
export function writeNarrowed(
  s: Semantics,
  size: ElementBits,
  high: boolean,
  d: RegisterOperand<"v">,
  wide: V128,
): void {
  const count = 64 / size;
  if (high) {
    const lanes = [...range(count), ...range(count, 2 * count, 2)];
    s.writeV(d, shuffleElements(s, size, s.readV(d), wide, lanes));
  } else {
    const narrow = shuffleElements(s, size, wide, wide, [...range(count, 0, 2), ...range(count, 0, 2)]);
    s.writeVLow(d, s.lane("i64x2.extract_lane", 0, narrow));
  }
}

/** The element chosen by a swizzle constant of {@link elementIndices}, in every element. */
export function duplicateElement(s: Semantics, a: V128, indices: I64): V128 {
  return s.op("i8x16.swizzle", a, s.op("i64x2.splat", indices));
}

/**
 * Byte indices of element `index` repeated over 64 bits: as an immediate this keeps the index out of the
 * static operands, so that the interpreter needs no handler per index.
 */
export function elementIndices(size: ElementBits, index: number): bigint {
  let indices = 0n;
  for (let i = 0; i < 8; i++) indices |= BigInt((i % (size / 8)) + (index * size) / 8) << BigInt(i * 8);
  return indices;
}

/** The element that starts at byte `first` (an i32), in every element: for rows without room for 64 bits. */
export function duplicateElementAt(s: Semantics, size: ElementBits, a: V128, first: I32): V128 {
  const withinElement = s.v128(range(16).map((i) => i % (size / 8)));
  return s.op("i8x16.swizzle", a, s.op("i8x16.add", withinElement, s.op("i8x16.splat", first)));
}

/** Ones in the element number `index` (an i32). */
export function elementMask(s: Semantics, size: ElementBits, index: I32): V128 {
  const numbers = s.v128(range(16).map((i) => Math.floor((i * 8) / size)));
  return s.op("i8x16.eq", numbers, s.op("i8x16.splat", index));
}

/** The shape of a vector form by its fields, or undefined where it is reserved (1D). */
export function vectorShape(size: number, Q: number): Shape | undefined {
  const bits = ELEMENT_BITS[size];
  if (bits === undefined || (bits === 64 && Q === 0)) return undefined;
  return { size: bits, extent: Q ? "q" : "d" };
}

/** The shape of a scalar form by its field. */
export function scalarShape(size: number): Shape | undefined {
  const bits = ELEMENT_BITS[size];
  return bits && { size: bits, extent: "scalar" };
}
