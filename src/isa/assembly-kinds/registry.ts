import type { OperandKind } from "../assembly.ts";
import { ADDRESS_KINDS } from "./addresses.ts";
import { FP_KINDS } from "./fp.ts";
import { IMMEDIATE_KINDS } from "./immediates.ts";
import { REGISTER_KINDS } from "./registers.ts";
import { SIMD_KINDS } from "./simd.ts";
import { SYSTEM_KINDS } from "./system.ts";
import { VECTOR_KINDS } from "./vector.ts";

/** Every operand kind that templates may name. Names are unique over all files. */
export const OPERAND_KINDS: Readonly<Record<string, OperandKind>> = {
  ...REGISTER_KINDS,
  ...IMMEDIATE_KINDS,
  ...ADDRESS_KINDS,
  ...SYSTEM_KINDS,
  ...VECTOR_KINDS,
  ...SIMD_KINDS,
  ...FP_KINDS,
};
