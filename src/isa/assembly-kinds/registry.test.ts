import { expect, test } from "vitest";
import { ADDRESS_KINDS } from "./addresses.ts";
import { FP_KINDS } from "./fp.ts";
import { IMMEDIATE_KINDS } from "./immediates.ts";
import { REGISTER_KINDS } from "./registers.ts";
import { OPERAND_KINDS } from "./registry.ts";
import { SIMD_KINDS } from "./simd.ts";
import { SYSTEM_KINDS } from "./system.ts";
import { VECTOR_KINDS } from "./vector.ts";

test("no two files define an operand kind of one name", () => {
  const files = [
    ADDRESS_KINDS,
    FP_KINDS,
    IMMEDIATE_KINDS,
    REGISTER_KINDS,
    SIMD_KINDS,
    SYSTEM_KINDS,
    VECTOR_KINDS,
  ];
  const names = files.flatMap((kinds) => Object.keys(kinds));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  expect(Object.keys(OPERAND_KINDS).length).toBe(names.length);
});
