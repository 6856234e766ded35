import type { Semantics, V128 } from "../semantics.ts";
import {
  and,
  binary,
  type ElementBits,
  not,
  or,
  range,
  type Shape,
  shift,
  shuffleElements,
  splat,
  unzip,
  xor,
} from "./vector.ts";

/** The elements of `size` bits within each container of `container` bits in reverse order. */
export function reverseElements(s: Semantics, size: ElementBits, container: 16 | 32 | 64, a: V128): V128 {
  const last = container / size - 1;
  // `last` has ones in all bits that number the elements of a container.
  const lanes = range(128 / size).map((lane) => lane ^ last);
  return shuffleElements(s, size, a, a, lanes);
}

/** Ones per byte, summed up to elements of `size` bits. */
function countOnes(s: Semantics, size: 8 | 16 | 32, a: V128): V128 {
  let count = s.op("i8x16.popcnt", a);
  if (size > 8) count = s.op("i16x8.extadd_pairwise_i8x16_u", count);
  if (size > 16) count = s.op("i32x4.extadd_pairwise_i16x8_u", count);
  return count;
}

/** Zeros above the highest one: the ones of the complement of that one spread downwards. */
export function countLeadingZeros(s: Semantics, size: 8 | 16 | 32, a: V128): V128 {
  let spread = a;
  for (let step = 1; step < size; step *= 2) spread = or(s, spread, shift(s, size, "shr_u", spread, step));
  return countOnes(s, size, not(s, spread));
}

/** Bits below the highest that equal it. */
export function countLeadingSignBits(s: Semantics, size: 8 | 16 | 32, a: V128): V128 {
  const differences = xor(s, a, shift(s, size, "shr_s", a, size - 1));
  return binary(s, size, "sub", countLeadingZeros(s, size, differences), splat(s, size, 1));
}

/** The bits of each byte in reverse order: nibbles by table. */
export function reverseBitsOfBytes(s: Semantics, a: V128): V128 {
  const reverse = (nibble: number): number =>
    ((nibble & 1) << 3) | ((nibble & 2) << 1) | ((nibble & 4) >> 1) | ((nibble & 8) >> 3);
  const low = and(s, a, splat(s, 8, 15));
  const high = shift(s, 8, "shr_u", a, 4);
  const toHigh = s.v128(range(16).map((nibble) => reverse(nibble) << 4));
  const toLow = s.v128(range(16).map(reverse));
  return or(s, s.op("i8x16.swizzle", toHigh, low), s.op("i8x16.swizzle", toLow, high));
}

/** Sums of neighbours, twice as wide. */
export function addLongPairwise(s: Semantics, size: 8 | 16 | 32, unsigned: boolean, a: V128): V128 {
  if (size === 8) return s.op(`i16x8.extadd_pairwise_i8x16_${unsigned ? "u" : "s"}`, a);
  if (size === 16) return s.op(`i32x4.extadd_pairwise_i16x8_${unsigned ? "u" : "s"}`, a);
  const name = unsigned ? "shr_u" : "shr_s";
  const even = shift(s, 64, name, shift(s, 64, "shl", a, 32), 32);
  return binary(s, 64, "add", even, shift(s, 64, name, a, 32));
}

/** All elements of a shape combined into element 0 of the result, whose other elements mean nothing. */
export function reduce(
  s: Semantics,
  { size, extent }: Shape,
  combine: (a: V128, b: V128) => V128,
  a: V128,
): V128 {
  let result = a;
  for (let count = (extent === "q" ? 128 : 64) / size; count > 1; count /= 2) {
    result = combine(unzip(s, size, 0, result, result), unzip(s, size, 1, result, result));
  }
  return result;
}
