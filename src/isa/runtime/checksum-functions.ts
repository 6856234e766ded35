import type { FloatingPointContext } from "../runtime-functions.ts";

/** CRC-32 (ISO 3309) and CRC-32C (Castagnoli), bits reflected: remainders of every byte. */
function remainders(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte;
    for (let step = 0; step < 8; step++) remainder = (remainder >>> 1) ^ (remainder & 1 ? polynomial : 0);
    return remainder;
  });
}

const CRC32 = remainders(0xedb88320);
const CRC32C = remainders(0x82f63b78);

function update(table: Int32Array, accumulator: number, value: number, bytes: number): number {
  let remainder = accumulator;
  for (let index = 0; index < bytes; index++) {
    remainder = (remainder >>> 8) ^ table[(remainder ^ (value >>> (index * 8))) & 0xff]!;
  }
  return remainder;
}

/** The CRC32 instructions: accumulator, value, number of its bytes that count (1, 2 or 4). */
export const CHECKSUM_FUNCTIONS = {
  crc32: {
    operands: ["i32", "i32", "i32"],
    result: "i32",
    run: (_: FloatingPointContext, accumulator: number, value: number, bytes: number) =>
      update(CRC32, accumulator, value, bytes),
  },
  crc32c: {
    operands: ["i32", "i32", "i32"],
    result: "i32",
    run: (_: FloatingPointContext, accumulator: number, value: number, bytes: number) =>
      update(CRC32C, accumulator, value, bytes),
  },
} as const;
