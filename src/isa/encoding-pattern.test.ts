import { expect, test } from "vitest";
import { extractFields, insertFields, parseEncodingPattern } from "./encoding-pattern.ts";

test("parseEncodingPattern() gives mask, value and fields", () => {
  const pattern = parseEncodingPattern("sf:1 10x 1101 imm:16 sboRs:5 001");
  expect(pattern.mask).toBe(0x6f00_0007);
  expect(pattern.value).toBe(0x4d00_0001);
  expect(extractFields(pattern, 0xcd00_0001 | (0x1234 << 8) | (9 << 3))).toEqual({
    sf: 1,
    imm: 0x1234,
    sboRs: 9,
  });
});

test("insertFields() writes ones where bits should be one and zeros elsewhere", () => {
  const pattern = parseEncodingPattern("sf:1 10x 1101 imm:16 sboRs:5 001");
  expect(insertFields(pattern, { imm: 1 })).toBe(0x4d00_01f9);
});

test.each([
  ["sf:1 0", "2 bits"],
  ["sf:1 sf:31", "sf twice"],
  ["2222", "no part"],
  ["imm:33", "33 bits"],
])("parseEncodingPattern() refuses %j", (pattern, message) => {
  expect(() => parseEncodingPattern(pattern)).toThrow(message);
});
