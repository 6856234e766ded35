import { type Instruction, instruction } from "../instruction.ts";
import { imm64, v } from "../operands.ts";
import {
  binary,
  duplicateElement,
  elementIndices,
  multiply,
  type Shape,
  writeShape,
} from "../pseudocode/vector.ts";
import {
  type LongMeaning,
  multiplyAccumulateLong,
  resultShape,
  saturatingMultiplyAccumulateLong,
} from "../pseudocode/vector-long.ts";
import {
  saturatingDoublingMultiplyHigh,
  saturatingRoundingDoublingMultiplyAccumulate,
} from "../pseudocode/vector-saturation.ts";
import type { Semantics, V128 } from "../semantics.ts";

interface ByElementFields {
  readonly size: number;
  readonly L: number;
  readonly M: number;
  readonly Rm: number;
  readonly H: number;
}

/** The element that a word names, or undefined where the size is reserved. */
function element({ size, L, M, Rm, H }: ByElementFields) {
  if (size === 1) {
    return { size: 16 as const, m: v(Rm), indices: imm64(elementIndices(16, (H << 2) | (L << 1) | M)) };
  }
  if (size !== 2) return undefined;
  return { size: 32 as const, m: v((M << 4) | Rm), indices: imm64(elementIndices(32, (H << 1) | L)) };
}

type Meaning = (s: Semantics, shape: Shape, n: V128, m: V128, d: () => V128) => V128;

interface ByElement {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  readonly scalar?: boolean;
  readonly feature?: "FEAT_RDM";
  readonly meaning: Meaning;
}

const BY_ELEMENT: readonly ByElement[] = [
  { mnemonic: "MUL", U: "0", opcode: "1000", meaning: (s, { size }, n, m) => multiply(s, size, n, m) },
  {
    mnemonic: "MLA",
    U: "1",
    opcode: "0000",
    meaning: (s, { size }, n, m, d) => binary(s, size, "add", d(), multiply(s, size, n, m)),
  },
  {
    mnemonic: "MLS",
    U: "1",
    opcode: "0100",
    meaning: (s, { size }, n, m, d) => binary(s, size, "sub", d(), multiply(s, size, n, m)),
  },
  {
    mnemonic: "SQDMULH",
    U: "0",
    opcode: "1100",
    scalar: true,
    meaning: (s, shape, n, m) => saturatingDoublingMultiplyHigh(s, shape, false, n, m),
  },
  {
    mnemonic: "SQRDMULH",
    U: "0",
    opcode: "1101",
    scalar: true,
    meaning: (s, shape, n, m) => saturatingDoublingMultiplyHigh(s, shape, true, n, m),
  },
  {
    mnemonic: "SQRDMLAH",
    U: "1",
    opcode: "1101",
    scalar: true,
    feature: "FEAT_RDM",
    meaning: (s, shape, n, m, d) => saturatingRoundingDoublingMultiplyAccumulate(s, shape, false, d(), n, m),
  },
  {
    mnemonic: "SQRDMLSH",
    U: "1",
    opcode: "1111",
    scalar: true,
    feature: "FEAT_RDM",
    meaning: (s, shape, n, m, d) => saturatingRoundingDoublingMultiplyAccumulate(s, shape, true, d(), n, m),
  },
];

function rowsOf({ mnemonic, U, opcode, scalar, feature, meaning }: ByElement): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const common = { manual: `C7.2 ${mnemonic} (by element)`, simd: true, ...(feature && { feature }) };
  const rows = [
    instruction({
      name: `${mnemonic}_asimdelem_R`,
      encoding: `0 Q:1 ${U} 01111 size:2 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: `${lower} <VT Rd size Q>, <VT Rn size Q>, <Vi size L M Rm H>`,
      ...common,
      operands: (fields) => {
        const by = element(fields);
        const extent = fields.Q ? ("q" as const) : ("d" as const);
        return by && { ...by, extent, d: v(fields.Rd), n: v(fields.Rn) };
      },
      execute: (o, s) => {
        const m = duplicateElement(s, s.readV(o.m), s.imm64(o.indices));
        writeShape(
          s,
          o,
          o.d,
          meaning(s, o, s.readV(o.n), m, () => s.readV(o.d)),
        );
      },
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdelem_R`,
        encoding: `01 ${U} 11111 size:2 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
        assembly: `${lower} <BHSD Rd size>, <BHSD Rn size>, <Vi size L M Rm H>`,
        ...common,
        operands: (fields) => {
          const by = element(fields);
          return by && { ...by, extent: "scalar" as const, d: v(fields.Rd), n: v(fields.Rn) };
        },
        execute: (o, s) => {
          const m = duplicateElement(s, s.readV(o.m), s.imm64(o.indices));
          writeShape(
            s,
            o,
            o.d,
            meaning(s, o, s.readV(o.n), m, () => s.readV(o.d)),
          );
        },
      }),
    );
  }
  return rows;
}

interface LongByElement extends Omit<ByElement, "meaning" | "feature"> {
  readonly meaning: LongMeaning;
}

const LONG_BY_ELEMENT: readonly LongByElement[] = [
  { mnemonic: "SMLAL", U: "0", opcode: "0010", meaning: multiplyAccumulateLong("add", false) },
  { mnemonic: "UMLAL", U: "1", opcode: "0010", meaning: multiplyAccumulateLong("add", true) },
  { mnemonic: "SMLSL", U: "0", opcode: "0110", meaning: multiplyAccumulateLong("sub", false) },
  { mnemonic: "UMLSL", U: "1", opcode: "0110", meaning: multiplyAccumulateLong("sub", true) },
  { mnemonic: "SMULL", U: "0", opcode: "1010", meaning: multiplyAccumulateLong(undefined, false) },
  { mnemonic: "UMULL", U: "1", opcode: "1010", meaning: multiplyAccumulateLong(undefined, true) },
  {
    mnemonic: "SQDMLAL",
    U: "0",
    opcode: "0011",
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong("add"),
  },
  {
    mnemonic: "SQDMLSL",
    U: "0",
    opcode: "0111",
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong("sub"),
  },
  {
    mnemonic: "SQDMULL",
    U: "0",
    opcode: "1011",
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong(undefined),
  },
];

function longRowsOf({ mnemonic, U, opcode, scalar, meaning }: LongByElement): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const common = { manual: `C7.2 ${mnemonic}, ${mnemonic}2 (by element)`, simd: true };
  const rows = [
    instruction({
      name: `${mnemonic}_asimdelem_L`,
      encoding: `0 Q:1 ${U} 01111 size:2 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: `${lower}{Q:/2} <VW Rd size>, <VT Rn size Q>, <Vi size L M Rm H>`,
      ...common,
      operands: (fields) => {
        const by = element(fields);
        return by && { ...by, extent: "q" as const, high: fields.Q === 1, d: v(fields.Rd), n: v(fields.Rn) };
      },
      execute: (o, s) => {
        const m = duplicateElement(s, s.readV(o.m), s.imm64(o.indices));
        s.writeV(
          o.d,
          meaning(s, o, s.readV(o.n), m, () => s.readV(o.d)),
        );
      },
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdelem_L`,
        encoding: `01 ${U} 11111 size:2 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
        assembly: `${lower} <HSDQ Rd size>, <BHSD Rn size>, <Vi size L M Rm H>`,
        ...common,
        operands: (fields) => {
          const by = element(fields);
          return by && { ...by, extent: "scalar" as const, high: false, d: v(fields.Rd), n: v(fields.Rn) };
        },
        execute: (o, s) => {
          const m = duplicateElement(s, s.readV(o.m), s.imm64(o.indices));
          const result = meaning(s, o, s.readV(o.n), m, () => s.readV(o.d));
          writeShape(s, resultShape(o), o.d, result);
        },
      }),
    );
  }
  return rows;
}

/** Advanced SIMD vector by element and scalar by element, integer. */
export const rows: readonly Instruction[] = [
  ...BY_ELEMENT.flatMap(rowsOf),
  ...LONG_BY_ELEMENT.flatMap(longRowsOf),
];
