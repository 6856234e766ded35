import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { binary, maximum, minimum, type Shape, writeShape } from "../pseudocode/vector.ts";
import { doubled } from "../pseudocode/vector-long.ts";
import { addLongPairwise, reduce } from "../pseudocode/vector-unary.ts";
import type { Semantics, V128 } from "../semantics.ts";
import { narrowSize } from "./simd-three-different.ts";

/** The shape of the source, or undefined where it is reserved: two words are a pair, not a vector. */
function source(size: number, Q: number) {
  const bits = narrowSize(size);
  if (bits === undefined || (bits === 32 && Q === 0)) return undefined;
  return { size: bits, extent: Q ? ("q" as const) : ("d" as const) };
}

type Combine = (s: Semantics, size: Shape["size"], a: V128, b: V128) => V128;

const SAME_SIZE: readonly [string, "0" | "1", string, Combine][] = [
  ["SMAXV", "0", "01010", (s, size, a, b) => maximum(s, size, false, a, b)],
  ["UMAXV", "1", "01010", (s, size, a, b) => maximum(s, size, true, a, b)],
  ["SMINV", "0", "11010", (s, size, a, b) => minimum(s, size, false, a, b)],
  ["UMINV", "1", "11010", (s, size, a, b) => minimum(s, size, true, a, b)],
  ["ADDV", "0", "11011", (s, size, a, b) => binary(s, size, "add", a, b)],
];

const sameSizeRows = SAME_SIZE.map(([mnemonic, U, opcode, combine]) =>
  instruction({
    name: `${mnemonic}_asimdall_only`,
    encoding: `0 Q:1 ${U} 01110 size:2 11000 ${opcode} 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <BHSD Rd size>, <VT Rn size Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, size, Rn, Rd }) => {
      const shape = source(size, Q);
      return shape && { ...shape, d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const result = reduce(s, o, (a, b) => combine(s, o.size, a, b), s.readV(o.n));
      writeShape(s, { size: o.size, extent: "scalar" }, o.d, result);
    },
  }),
);

const LONG = [
  ["SADDLV", "0", false],
  ["UADDLV", "1", true],
] as const;

const longRows = LONG.map(([mnemonic, U, unsigned]) =>
  instruction({
    name: `${mnemonic}_asimdall_only`,
    encoding: `0 Q:1 ${U} 01110 size:2 11000 00011 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <HSDQ Rd size>, <VT Rn size Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, size, Rn, Rd }) => {
      const shape = source(size, Q);
      return shape && { ...shape, d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const size = doubled(o.size);
      const pairs = addLongPairwise(s, o.size, unsigned, s.readV(o.n));
      const sum = reduce(s, { size, extent: o.extent }, (a, b) => binary(s, size, "add", a, b), pairs);
      writeShape(s, { size, extent: "scalar" }, o.d, sum);
    },
  }),
);

/** Advanced SIMD across lanes, integer. */
export const rows: readonly Instruction[] = [...sameSizeRows, ...longRows];
