/** Bit arithmetic. Words are unsigned 32-bit numbers, double words are unsigned 64-bit bigints. */

export const MASK64 = (1n << 64n) - 1n;

/** Bits `high` down to `low` (inclusive) of a 32-bit word, as an unsigned number. */
export function bits(word: number, high: number, low: number): number {
  const width = high - low + 1;
  return width >= 32 ? word >>> 0 : (word >>> low) & ((1 << width) - 1);
}

/** Bit `index` of a 32-bit word: 0 or 1. */
export function bit(word: number, index: number): number {
  return (word >>> index) & 1;
}

/** The low `width` bits (1 to 32) of `value` as a signed number. */
export function signExtend(value: number, width: number): number {
  return (value << (32 - width)) >> (32 - width);
}

/** Bits `high` down to `low` (inclusive) of a bigint. */
export function bits64(value: bigint, high: number, low: number): bigint {
  return (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** Bit `index` of a bigint, as a boolean. */
export function isSet64(value: bigint, index: number): boolean {
  return ((value >> BigInt(index)) & 1n) === 1n;
}

/** `value` rounded up to a multiple of `alignment`, a power of two. Works above 2^32. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** "0x" and at least `digits` hexadecimal digits. */
export function hex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
