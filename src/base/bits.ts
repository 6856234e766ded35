/** Bit arithmetic. Words are unsigned 32-bit numbers, double words are unsigned 64-bit bigints. */

/** The low 64 bits. */
export const MASK64 = (1n << 64n) - 1n;

/** The low `width` bits (1 to 32) of `value` as a signed number. */
export function signExtend(value: number, width: number): number {
  return (value << (32 - width)) >> (32 - width);
}

/** `value` rounded up to a multiple of `alignment`, a power of two. Works above 2^32. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** "0x" and at least `digits` hexadecimal digits. */
export function hex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
