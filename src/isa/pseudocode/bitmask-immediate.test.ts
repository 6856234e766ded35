import { expect, test } from "vitest";
import { decodeBitMask, encodeBitMask } from "./bitmask-immediate.ts";

test("the 5,334 logical immediates of 64 bits survive encoding and decoding", () => {
  const values = new Set<bigint>();
  for (let fields = 0; fields < 1 << 13; fields++) {
    const value = decodeBitMask(fields >> 12, (fields >> 6) & 63, fields & 63);
    if (value === undefined) continue;
    values.add(value);
    const again = encodeBitMask(value);
    expect(again && decodeBitMask(...again)).toBe(value);
  }
  expect(values.size).toBe(5334);
});

test.each([
  [0, 0, 0x3c, 0x5555_5555_5555_5555n],
  [1, 1, 0, 0x8000_0000_0000_0000n],
  [0, 4, 0x27, 0xf00f_f00f_f00f_f00fn],
  [1, 0, 63, undefined],
  [0, 0, 63, undefined],
])("decodeBitMask(%d, %d, %d)", (N, immr, imms, expected) => {
  expect(decodeBitMask(N, immr, imms)).toBe(expected);
});

test.each([0n, (1n << 64n) - 1n, 5n, 0x1234n])("%s is no logical immediate", (value) => {
  expect(encodeBitMask(value)).toBeUndefined();
});
