import { describe, expect, test } from "vitest";
import { ByteWriter } from "./byte-writer.ts";

const bytesOf = (write: (out: ByteWriter) => void): number[] => {
  const out = new ByteWriter();
  write(out);
  return [...out.view()];
};

/** The value of a LEB128 number, by the definition: seven bits a byte, the last one's bit 6 is the sign. */
function decode(bytes: readonly number[], signed: boolean): bigint {
  const value = bytes.reduce((sum, byte, index) => sum | (BigInt(byte & 0x7f) << BigInt(7 * index)), 0n);
  expect(bytes.slice(0, -1).every((byte) => byte >= 0x80)).toBe(true);
  expect(bytes.at(-1)).toBeLessThan(0x80);
  return signed ? BigInt.asIntN(7 * bytes.length, value) : value;
}

/** Every value around a power of two, where the length changes. */
const edges = (bits: number): bigint[] =>
  Array.from({ length: bits }, (_, bit) => 1n << BigInt(bit)).flatMap((power) => [
    power - 1n,
    power,
    power + 1n,
  ]);

describe("ByteWriter", () => {
  test("writes unsigned LEB128", () => {
    expect(bytesOf((out) => out.unsigned(0))).toEqual([0]);
    expect(bytesOf((out) => out.unsigned(127))).toEqual([0x7f]);
    expect(bytesOf((out) => out.unsigned(128))).toEqual([0x80, 0x01]);
    expect(bytesOf((out) => out.unsigned(624485))).toEqual([0xe5, 0x8e, 0x26]);
    expect(bytesOf((out) => out.unsigned(0xffff_ffff))).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
    for (const value of edges(32).filter((edge) => edge < 1n << 32n)) {
      expect(
        decode(
          bytesOf((out) => out.unsigned(Number(value))),
          false,
        ),
      ).toBe(value);
    }
  });

  test("writes signed LEB128 of 32 bits, as short as can be", () => {
    expect(bytesOf((out) => out.signed32(63))).toEqual([0x3f]);
    expect(bytesOf((out) => out.signed32(64))).toEqual([0xc0, 0x00]);
    expect(bytesOf((out) => out.signed32(-64))).toEqual([0x40]);
    expect(bytesOf((out) => out.signed32(-65))).toEqual([0xbf, 0x7f]);
    expect(bytesOf((out) => out.signed32(-123456))).toEqual([0xc0, 0xbb, 0x78]);
    for (const edge of edges(31)) {
      for (const value of [edge, -edge].filter((each) => each < 1n << 31n)) {
        const bytes = bytesOf((out) => out.signed32(Number(value)));
        expect(decode(bytes, true)).toBe(value);
        expect(bytes.length).toBe(shortest(value));
      }
    }
    // A constant given as an unsigned number is the same 32 bits.
    expect(bytesOf((out) => out.signed32(0xffff_ffff))).toEqual(bytesOf((out) => out.signed32(-1)));
    expect(bytesOf((out) => out.signed32(0x8000_0000))).toEqual(bytesOf((out) => out.signed32(-0x8000_0000)));
  });

  test("writes signed LEB128 of 64 bits, as short as can be", () => {
    for (const edge of edges(63)) {
      for (const value of [edge, -edge].filter((each) => each < 1n << 63n)) {
        const bytes = bytesOf((out) => out.signed64(value));
        expect(decode(bytes, true)).toBe(value);
        expect(bytes.length).toBe(shortest(value));
      }
    }
    expect(bytesOf((out) => out.signed64(-(1n << 63n)))).toEqual([...new Array<number>(9).fill(0x80), 0x7f]);
    expect(bytesOf((out) => out.signed64((1n << 64n) - 1n))).toEqual([0x7f]);
  });

  test("grows, whatever is written at once", () => {
    const out = new ByteWriter(1);
    const long = Array.from({ length: 1000 }, (_, index) => index & 0xff);
    out.byte(1).bytes(long).byte(2);
    expect([...out.view()]).toEqual([1, ...long, 2]);
    expect(out.length).toBe(1002);
  });

  test("writes names with their length", () => {
    expect(bytesOf((out) => out.name("run"))).toEqual([3, 0x72, 0x75, 0x6e]);
  });
});

/** Bytes that a signed number needs. */
function shortest(value: bigint): number {
  let bytes = 1;
  while (BigInt.asIntN(7 * bytes, value) !== value) bytes++;
  return bytes;
}
