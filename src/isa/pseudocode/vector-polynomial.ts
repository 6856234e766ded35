import type { I64, Semantics, V128 } from "../semantics.ts";
import { and, shift, widen, xor, zero } from "./vector.ts";

/** Products of bytes as polynomials over GF(2), their low 8 bits. */
export function polynomialMultiplyBytes(s: Semantics, a: V128, b: V128): V128 {
  let product = zero(s);
  for (let bit = 0; bit < 8; bit++) {
    const isSet = shift(s, 8, "shr_s", shift(s, 8, "shl", b, 7 - bit), 7);
    product = xor(s, product, and(s, shift(s, 8, "shl", a, bit), isSet));
  }
  return product;
}

/** Products of the low or high 8 bytes as polynomials over GF(2), 16 bits each. */
export function polynomialMultiplyLongBytes(s: Semantics, high: boolean, a: V128, b: V128): V128 {
  const wideA = widen(s, 8, true, high, a);
  const wideB = widen(s, 8, true, high, b);
  let product = zero(s);
  for (let bit = 0; bit < 8; bit++) {
    const isSet = shift(s, 16, "shr_s", shift(s, 16, "shl", wideB, 15 - bit), 15);
    product = xor(s, product, and(s, shift(s, 16, "shl", wideA, bit), isSet));
  }
  return product;
}

/** Every fourth bit, from bit `start` on. */
const everyFourth = (start: number): bigint => BigInt.asUintN(64, 0x1111_1111_1111_1111n << BigInt(start));

/**
 * The low 64 bits of the product of two polynomials over GF(2). Integer multiplication of numbers that have
 * only every fourth bit sums at most 16 ones, which leaves the lowest of each four bits right.
 */
function polynomialMultiplyLow(s: Semantics, a: I64, b: I64): I64 {
  const parts = (value: I64): I64[] => [0, 1, 2, 3].map((i) => s.op("i64.and", value, s.i64(everyFourth(i))));
  const [partsOfA, partsOfB] = [parts(a), parts(b)];
  let product = s.i64(0);
  for (let i = 0; i < 4; i++) {
    let sum = s.i64(0);
    for (let j = 0; j < 4; j++) {
      sum = s.op("i64.xor", sum, s.op("i64.mul", partsOfA[j]!, partsOfB[(i - j + 4) & 3]!));
    }
    product = s.op("i64.or", product, s.op("i64.and", sum, s.i64(everyFourth(i))));
  }
  return product;
}

/** The bits of a doubleword in reverse order. */
function reverseBits(s: Semantics, value: I64): I64 {
  const swap = (from: I64, distance: number, mask: bigint): I64 =>
    s.op(
      "i64.or",
      s.op("i64.and", s.op("i64.shr_u", from, s.i64(distance)), s.i64(mask)),
      s.op("i64.shl", s.op("i64.and", from, s.i64(mask)), s.i64(distance)),
    );
  let reversed = swap(value, 1, 0x5555_5555_5555_5555n);
  reversed = swap(reversed, 2, 0x3333_3333_3333_3333n);
  reversed = swap(reversed, 4, 0x0f0f_0f0f_0f0f_0f0fn);
  reversed = swap(reversed, 8, 0x00ff_00ff_00ff_00ffn);
  reversed = swap(reversed, 16, 0x0000_ffff_0000_ffffn);
  return s.op("i64.rotl", reversed, s.i64(32));
}

/** The 127-bit product of two doublewords as polynomials over GF(2), as a vector. */
export function polynomialMultiplyDoublewords(s: Semantics, a: I64, b: I64): V128 {
  const low = polynomialMultiplyLow(s, a, b);
  // The high half is the low half of the mirrored product, which is one bit shorter.
  const mirrored = polynomialMultiplyLow(s, reverseBits(s, a), reverseBits(s, b));
  const high = s.op("i64.shr_u", reverseBits(s, mirrored), s.i64(1));
  return s.lane("i64x2.replace_lane", 1, s.op("i64x2.splat", low), high);
}
