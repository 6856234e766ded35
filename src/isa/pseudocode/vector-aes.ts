import type { Semantics, V128 } from "../semantics.ts";
import { and, binary, or, range, shift, splat, xor } from "./vector.ts";

/** Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2). */
function multiplyBytes(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ (product & 0x80 ? 0x11b : 0);
    if (b & (1 << bit)) product ^= a;
  }
  return product;
}

/** The substitution of FIPS 197, section 5.1.1: the inverse, then an affine map. */
function substitutionTable(): number[] {
  return range(256).map((value) => {
    const inverse = range(256).find((candidate) => multiplyBytes(value, candidate) === 1) ?? 0;
    let result = 0x63;
    for (let turn = 0; turn < 5; turn++) result ^= (inverse << turn) | (inverse >> (8 - turn));
    return result & 0xff;
  });
}

const SUBSTITUTION = substitutionTable();
const INVERSE_SUBSTITUTION = range(256).map((value) => SUBSTITUTION.indexOf(value));

/** Every byte looked up in a table of 256: 16 tables of 16, of which all but the right one answer 0. */
function lookUpBytes(s: Semantics, table: readonly number[], indices: V128): V128 {
  let result: V128 | undefined;
  let own = indices;
  for (let part = 0; part < 16; part++) {
    const found = s.op("i8x16.swizzle", s.v128(table.slice(16 * part, 16 * part + 16)), own);
    result = result ? or(s, result, found) : found;
    own = binary(s, 8, "sub", own, splat(s, 8, 16));
  }
  return result ?? indices;
}

/** Byte `i` of the state is row i % 4 of column i / 4; rows turn by their number. */
const SHIFT_ROWS = range(16).map((i) => (i + 4 * (i % 4)) % 16);
const INVERSE_SHIFT_ROWS = range(16).map((i) => (i + 12 * (i % 4)) % 16);

/** AESE: SubBytes and ShiftRows of the state with the round key added. */
export function aesEncrypt(s: Semantics, state: V128, key: V128): V128 {
  const added = xor(s, state, key);
  return lookUpBytes(s, SUBSTITUTION, s.shuffle(added, added, SHIFT_ROWS));
}

/** AESD: their inverses. */
export function aesDecrypt(s: Semantics, state: V128, key: V128): V128 {
  const added = xor(s, state, key);
  return lookUpBytes(s, INVERSE_SUBSTITUTION, s.shuffle(added, added, INVERSE_SHIFT_ROWS));
}

/** Each byte times x. */
function timesX(s: Semantics, a: V128): V128 {
  const reduction = and(s, shift(s, 8, "shr_s", a, 7), splat(s, 8, 0x1b));
  return xor(s, shift(s, 8, "shl", a, 1), reduction);
}

/** Each column with its bytes turned by `rows`. */
function turnColumns(s: Semantics, rows: number, a: V128): V128 {
  const lanes = range(16).map((i) => (i & ~3) | ((i + rows) & 3));
  return s.shuffle(a, a, lanes);
}

/** AESMC (FIPS 197, section 5.1.3): 2, 3, 1, 1 times the bytes of a column from each row on. */
export function aesMixColumns(s: Semantics, a: V128): V128 {
  const next = turnColumns(s, 1, a);
  const doubledSum = timesX(s, xor(s, a, next));
  const others = xor(s, turnColumns(s, 2, a), turnColumns(s, 3, a));
  return xor(s, xor(s, doubledSum, next), others);
}

/** AESIMC (section 5.3.3): adding 4 times the sum with the opposite row first makes it the forward map. */
export function aesInverseMixColumns(s: Semantics, a: V128): V128 {
  const opposite = xor(s, a, turnColumns(s, 2, a));
  return aesMixColumns(s, xor(s, a, timesX(s, timesX(s, opposite))));
}
