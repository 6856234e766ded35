import type { I32, Semantics, V128 } from "../semantics.ts";
import { binary, or, range, shift, shuffleElements, xor, zero } from "./vector.ts";

type Words = [I32, I32, I32, I32];

const LANES = [0, 1, 2, 3] as const;

function words(s: Semantics, a: V128): Words {
  // One word for each of the four lanes.
  return LANES.map((lane) => s.lane("i32x4.extract_lane", lane, a)) as Words;
}

function vector(s: Semantics, [a, b, c, d]: Words): V128 {
  let result = s.op("i32x4.splat", a);
  for (const [i, word] of [b, c, d].entries()) result = s.lane("i32x4.replace_lane", i + 1, result, word);
  return result;
}

function add(s: Semantics, first: I32, ...others: I32[]): I32 {
  return others.reduce((sum, word) => s.op("i32.add", sum, word), first);
}

const exclusiveOr = (s: Semantics, a: I32, b: I32): I32 => s.op("i32.xor", a, b);
const rotateLeft = (s: Semantics, a: I32, amount: number): I32 => s.op("i32.rotl", a, s.i32(amount));

/** FIPS 180-4, section 4.1: bits of y where x is one, of z elsewhere. */
function choose(s: Semantics, x: I32, y: I32, z: I32): I32 {
  return exclusiveOr(s, s.op("i32.and", exclusiveOr(s, y, z), x), z);
}
function majority(s: Semantics, x: I32, y: I32, z: I32): I32 {
  return s.op("i32.or", s.op("i32.and", x, y), s.op("i32.and", s.op("i32.or", x, y), z));
}
function parity(s: Semantics, x: I32, y: I32, z: I32): I32 {
  return exclusiveOr(s, exclusiveOr(s, x, y), z);
}

export const SHA1_FUNCTIONS = { choose, majority, parity } as const;

/** Four rounds of SHA-1 (SHA1C, SHA1M, SHA1P): a to d in `abcd`, e in the low word of `e`. */
export function sha1Rounds(
  s: Semantics,
  mix: keyof typeof SHA1_FUNCTIONS,
  abcd: V128,
  eVector: V128,
  schedule: V128,
): V128 {
  let [a, b, c, d] = words(s, abcd);
  let e = s.lane("i32x4.extract_lane", 0, eVector);
  for (const word of words(s, schedule)) {
    const next = add(s, e, rotateLeft(s, a, 5), SHA1_FUNCTIONS[mix](s, b, c, d), word);
    [a, b, c, d, e] = [next, a, rotateLeft(s, b, 30), c, d];
  }
  return vector(s, [a, b, c, d]);
}

/** The low word turned left by 30 (SHA1H); the rest of the result is zero. */
export function sha1FixedRotate(s: Semantics, a: V128): V128 {
  const word = rotateLeft(s, s.lane("i32x4.extract_lane", 0, a), 30);
  return s.lane("i32x4.replace_lane", 0, zero(s), word);
}

/** SHA1SU0: the sum of words 0, 2 and 8 places on. */
export function sha1Schedule0(s: Semantics, d: V128, n: V128, m: V128): V128 {
  return xor(s, xor(s, shuffleElements(s, 64, d, n, [1, 2]), d), m);
}

function rotateWordsLeft(s: Semantics, a: V128, amount: number): V128 {
  return or(s, shift(s, 32, "shl", a, amount), shift(s, 32, "shr_u", a, 32 - amount));
}

/** SHA1SU1: the last word depends on the first of the same step. */
export function sha1Schedule1(s: Semantics, d: V128, n: V128): V128 {
  const summed = xor(s, d, shuffleElements(s, 32, n, zero(s), [1, 2, 3, 4]));
  const turned = rotateWordsLeft(s, summed, 1);
  const first = rotateWordsLeft(s, summed, 2);
  return xor(s, turned, shuffleElements(s, 32, zero(s), first, [0, 1, 2, 4]));
}

function sigma(s: Semantics, a: I32, ...amounts: [number, number, number]): I32 {
  const [x, y, z] = amounts.map((amount) => s.op("i32.rotr", a, s.i32(amount))) as [I32, I32, I32];
  return parity(s, x, y, z);
}

/** Four rounds of SHA-256 over a to d and e to h: which of the halves is wanted (SHA256H: 1st, SHA256H2: 2nd). */
export function sha256Rounds(
  s: Semantics,
  half: "first" | "second",
  abcd: V128,
  efgh: V128,
  schedule: V128,
): V128 {
  let [a, b, c, d] = words(s, abcd);
  let [e, f, g, h] = words(s, efgh);
  for (const word of words(s, schedule)) {
    const mixed = add(s, h, sigma(s, e, 6, 11, 25), choose(s, e, f, g), word);
    const next = add(s, mixed, sigma(s, a, 2, 13, 22), majority(s, a, b, c));
    [a, b, c, d, e, f, g, h] = [next, a, b, c, s.op("i32.add", d, mixed), e, f, g];
  }
  return vector(s, half === "first" ? [a, b, c, d] : [e, f, g, h]);
}

function scheduleSigma(s: Semantics, a: V128, first: number, second: number, shifted: number): V128 {
  const turned = xor(s, rotateWordsLeft(s, a, 32 - first), rotateWordsLeft(s, a, 32 - second));
  return xor(s, turned, shift(s, 32, "shr_u", a, shifted));
}

/** SHA256SU0. */
export function sha256Schedule0(s: Semantics, d: V128, n: V128): V128 {
  return binary(s, 32, "add", d, scheduleSigma(s, shuffleElements(s, 32, d, n, [1, 2, 3, 4]), 7, 18, 3));
}

/** SHA256SU1: its upper half depends on the lower half of the result. */
export function sha256Schedule1(s: Semantics, d: V128, n: V128, m: V128): V128 {
  const sum = binary(s, 32, "add", d, shuffleElements(s, 32, n, m, [1, 2, 3, 4]));
  const mix = (a: V128): V128 => scheduleSigma(s, a, 17, 19, 10);
  const low = binary(s, 32, "add", sum, mix(shuffleElements(s, 32, m, m, [2, 3, 2, 3])));
  const high = binary(s, 32, "add", sum, mix(shuffleElements(s, 32, low, low, [0, 1, 0, 1])));
  return shuffleElements(s, 32, low, high, [...range(2), ...range(2, 6)]);
}
