import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import {
  binary,
  bitselect,
  elementCount,
  or,
  range,
  type Shape,
  shuffleElements,
  splat,
  vectorShape,
  writeShape,
} from "../pseudocode/vector.ts";
import type { Semantics, V128 } from "../semantics.ts";

/**
 * Mnemonic, opcode, and where element `i` of `count` comes from: below `count` from the first source, else
 * from the second.
 */
const PERMUTE: readonly [string, string, (i: number, count: number) => number][] = [
  ["UZP1", "001", (i) => 2 * i],
  ["TRN1", "010", (i, count) => (i & 1 ? count : 0) + (i & ~1)],
  ["ZIP1", "011", (i, count) => (i & 1 ? count : 0) + (i >> 1)],
  ["UZP2", "101", (i) => 2 * i + 1],
  ["TRN2", "110", (i, count) => (i & 1 ? count : 0) + (i | 1)],
  ["ZIP2", "111", (i, count) => (i & 1 ? count : 0) + ((count + i) >> 1)],
];

const permuteRows = PERMUTE.map(([mnemonic, opcode, from]) =>
  instruction({
    name: `${mnemonic}_asimdperm_only`,
    encoding: `0 Q:1 001110 size:2 0 Rm:5 0 ${opcode} 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <VT Rd size Q>, <VT Rn size Q>, <VT Rm size Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, size, Rm, Rn, Rd }) => {
      const shape = vectorShape(size, Q);
      return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
    },
    execute: (o, s) => {
      const count = elementCount(o);
      const inRegister = 128 / o.size;
      const lanes = range(inRegister).map((i) => {
        const element = from(i % count, count);
        return element < count ? element : element - count + inRegister;
      });
      writeShape(s, o, o.d, shuffleElements(s, o.size, s.readV(o.n), s.readV(o.m), lanes));
    },
  }),
);

const extractRow = instruction({
  name: "EXT_asimdext_only",
  encoding: "0 Q:1 101110 00 0 Rm:5 0 imm4:4 0 Rn:5 Rd:5",
  assembly: "ext <Vb Rd Q>, <Vb Rn Q>, <Vb Rm Q>, #<dec imm4>",
  manual: "C7.2 EXT",
  simd: true,
  operands: ({ Q, Rm, imm4, Rn, Rd }) => {
    if (Q === 0 && imm4 >= 8) return undefined;
    return { extent: Q ? ("q" as const) : ("d" as const), position: imm4, d: v(Rd), n: v(Rn), m: v(Rm) };
  },
  execute: (o, s) => {
    const count = o.extent === "q" ? 16 : 8;
    const lanes = range(16).map((i) => {
      const byte = (i % count) + o.position;
      return byte < count ? byte : byte - count + 16;
    });
    writeShape(s, { size: 8, extent: o.extent }, o.d, s.shuffle(s.readV(o.n), s.readV(o.m), lanes));
  },
});

/** Bytes of up to 64 in a row of registers, chosen by index; 0 where the index is too large. */
function lookUp(s: Semantics, table: readonly V128[], indices: V128): V128 {
  return table
    .map((part, i) => {
      // Indices that are not this part's leave 0 to 15 by the subtraction, which swizzle answers with 0.
      const own = i === 0 ? indices : binary(s, 8, "sub", indices, splat(s, 8, 16 * i));
      return s.op("i8x16.swizzle", part, own);
    })
    .reduce((a, b) => or(s, a, b));
}

interface TableOperands {
  readonly t0: ReturnType<typeof v>;
  readonly t1?: ReturnType<typeof v>;
  readonly t2?: ReturnType<typeof v>;
  readonly t3?: ReturnType<typeof v>;
}

const tableRows = [1, 2, 3, 4].flatMap((count) =>
  (["TBL", "TBX"] as const).map((mnemonic) =>
    instruction({
      name: `${mnemonic}_asimdtbl_L${count}_${count}`,
      encoding: `0 Q:1 001110 00 0 Rm:5 0 ${(count - 1).toString(2).padStart(2, "0")} ${mnemonic === "TBL" ? "0" : "1"} 00 Rn:5 Rd:5`,
      assembly: `${mnemonic.toLowerCase()} <Vb Rd Q>, <list${count}_16b Rn>, <Vb Rm Q>`,
      manual: `C7.2 ${mnemonic}`,
      simd: true,
      operands: ({ Q, Rm, Rn, Rd }) => {
        const table: TableOperands = {
          t0: v(Rn),
          ...(count > 1 && { t1: v(Rn + 1) }),
          ...(count > 2 && { t2: v(Rn + 2) }),
          ...(count > 3 && { t3: v(Rn + 3) }),
        };
        return { extent: Q ? ("q" as const) : ("d" as const), ...table, d: v(Rd), m: v(Rm) };
      },
      execute: (o, s) => {
        const table = [o.t0, o.t1, o.t2, o.t3].flatMap((register) => (register ? [s.readV(register)] : []));
        const indices = s.readV(o.m);
        const found = lookUp(s, table, indices);
        const shape: Shape = { size: 8, extent: o.extent };
        if (mnemonic === "TBL") writeShape(s, shape, o.d, found);
        else {
          const inTable = s.op("i8x16.lt_u", indices, splat(s, 8, 16 * count));
          writeShape(s, shape, o.d, bitselect(s, inTable, found, s.readV(o.d)));
        }
      },
    }),
  ),
);

/** Advanced SIMD permute, extract, table look-up. */
export const rows: readonly Instruction[] = [...permuteRows, extractRow, ...tableRows];
