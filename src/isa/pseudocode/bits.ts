import type { I64, Semantics } from "../semantics.ts";
import type { Integer, Integers } from "./integers.ts";

/** Exchanges neighbouring groups of `distance` bits; `mask` marks the lower of each pair. */
function exchange(s: Semantics, value: I64, mask: bigint, distance: number): I64 {
  const low = s.op("i64.shl", s.op("i64.and", value, s.i64(mask)), s.i64(distance));
  const high = s.op("i64.and", s.op("i64.shr_u", value, s.i64(distance)), s.i64(mask));
  return s.op("i64.or", low, high);
}

const PAIRS = [
  [0x5555_5555_5555_5555n, 1],
  [0x3333_3333_3333_3333n, 2],
  [0x0f0f_0f0f_0f0f_0f0fn, 4],
] as const;
const BYTES = 0x00ff_00ff_00ff_00ffn;
const HALFWORDS = 0x0000_ffff_0000_ffffn;

/** Reverses the bytes within every container of `bytes` (2, 4 or 8). */
export function reverseBytes(s: Semantics, value: I64, bytes: 2 | 4 | 8): I64 {
  let result = exchange(s, value, BYTES, 8);
  if (bytes >= 4) result = exchange(s, result, HALFWORDS, 16);
  return bytes === 8 ? s.op("i64.rotl", result, s.i64(32)) : result;
}

/** Reverses all 64 bits. */
export function reverseBits(s: Semantics, value: I64): I64 {
  const bytes = PAIRS.reduce((rest, [mask, distance]) => exchange(s, rest, mask, distance), value);
  return reverseBytes(s, bytes, 8);
}

/** CountLeadingSignBits(): copies of the sign below it. */
export function countLeadingSignBits(w: Integers, value: Integer): Integer {
  const changes = w.op("xor", value, w.op("shr_s", value, w.constant(1)));
  return w.op("sub", w.unary("clz", changes), w.constant(1));
}

/** Bits 127:64 of the product. */
export function multiplyHigh(s: Semantics, signed: boolean, a: I64, b: I64): I64 {
  const shift = signed ? "i64.shr_s" : "i64.shr_u";
  const low = s.i64(0xffff_ffffn);
  const thirtyTwo = s.i64(32);
  const [aLow, bLow] = [s.op("i64.and", a, low), s.op("i64.and", b, low)];
  const [aHigh, bHigh] = [s.op(shift, a, thirtyTwo), s.op(shift, b, thirtyTwo)];
  const carry = s.op("i64.shr_u", s.op("i64.mul", aLow, bLow), thirtyTwo);
  const middle = s.op("i64.add", s.op("i64.mul", aHigh, bLow), carry);
  const other = s.op("i64.add", s.op("i64.mul", aLow, bHigh), s.op("i64.and", middle, low));
  const high = s.op("i64.add", s.op("i64.mul", aHigh, bHigh), s.op(shift, middle, thirtyTwo));
  return s.op("i64.add", high, s.op(shift, other, thirtyTwo));
}
