import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import {
  binary,
  type ElementBits,
  not,
  type Shape,
  scalarShape,
  shift,
  unary,
  vectorShape,
  widen,
  writeNarrowed,
  writeShape,
  zero,
} from "../pseudocode/vector.ts";
import { doubled } from "../pseudocode/vector-long.ts";
import { saturateWide, saturatingAddMixed, saturatingNegate } from "../pseudocode/vector-saturation.ts";
import {
  addLongPairwise,
  countLeadingSignBits,
  countLeadingZeros,
  reverseBitsOfBytes,
  reverseElements,
} from "../pseudocode/vector-unary.ts";
import type { Semantics, V128 } from "../semantics.ts";
import { narrowSize } from "./simd-three-different.ts";

type Meaning = (s: Semantics, shape: Shape, n: V128, d: () => V128) => V128;

interface TwoRegister {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  /** Element sizes, by their field, of the vector form. */
  readonly vector: readonly number[];
  /** The same of the scalar form, if there is one. */
  readonly scalar?: readonly number[];
  /** What follows the registers in assembly. */
  readonly suffix?: string;
  readonly meaning: Meaning;
}

const ALL = [0, 1, 2, 3];
const NO_DOUBLE = [0, 1, 2];
const BYTES = [0];

function compareZero(
  mnemonic: string,
  U: "0" | "1",
  opcode: string,
  name: "gt_s" | "ge_s" | "eq" | "le_s" | "lt_s",
): TwoRegister {
  return {
    mnemonic,
    U,
    opcode,
    vector: ALL,
    scalar: [3],
    suffix: ", #0",
    meaning: (s, { size }, n) => binary(s, size, name, n, zero(s)),
  };
}

const TWO_REGISTER: readonly TwoRegister[] = [
  {
    mnemonic: "REV64",
    U: "0",
    opcode: "00000",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n) => reverseElements(s, size, 64, n),
  },
  {
    mnemonic: "REV32",
    U: "1",
    opcode: "00000",
    vector: [0, 1],
    meaning: (s, { size }, n) => reverseElements(s, size, 32, n),
  },
  {
    mnemonic: "REV16",
    U: "0",
    opcode: "00001",
    vector: BYTES,
    meaning: (s, { size }, n) => reverseElements(s, size, 16, n),
  },
  {
    mnemonic: "SUQADD",
    U: "0",
    opcode: "00011",
    vector: ALL,
    scalar: ALL,
    meaning: (s, shape, n, d) => saturatingAddMixed(s, shape, false, d(), n),
  },
  {
    mnemonic: "USQADD",
    U: "1",
    opcode: "00011",
    vector: ALL,
    scalar: ALL,
    meaning: (s, shape, n, d) => saturatingAddMixed(s, shape, true, d(), n),
  },
  {
    mnemonic: "CLS",
    U: "0",
    opcode: "00100",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n) => countLeadingSignBits(s, narrow(size), n),
  },
  {
    mnemonic: "CLZ",
    U: "1",
    opcode: "00100",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n) => countLeadingZeros(s, narrow(size), n),
  },
  { mnemonic: "CNT", U: "0", opcode: "00101", vector: BYTES, meaning: (s, _, n) => s.op("i8x16.popcnt", n) },
  {
    mnemonic: "SQABS",
    U: "0",
    opcode: "00111",
    vector: ALL,
    scalar: ALL,
    meaning: (s, shape, n) => saturatingNegate(s, shape, "abs", n),
  },
  {
    mnemonic: "SQNEG",
    U: "1",
    opcode: "00111",
    vector: ALL,
    scalar: ALL,
    meaning: (s, shape, n) => saturatingNegate(s, shape, "neg", n),
  },
  compareZero("CMGT", "0", "01000", "gt_s"),
  compareZero("CMGE", "1", "01000", "ge_s"),
  compareZero("CMEQ", "0", "01001", "eq"),
  compareZero("CMLE", "1", "01001", "le_s"),
  compareZero("CMLT", "0", "01010", "lt_s"),
  {
    mnemonic: "ABS",
    U: "0",
    opcode: "01011",
    vector: ALL,
    scalar: [3],
    meaning: (s, { size }, n) => unary(s, size, "abs", n),
  },
  {
    mnemonic: "NEG",
    U: "1",
    opcode: "01011",
    vector: ALL,
    scalar: [3],
    meaning: (s, { size }, n) => unary(s, size, "neg", n),
  },
];

/** Rows whose sizes exclude doublewords meet none. */
function narrow(size: ElementBits): 8 | 16 | 32 {
  return size === 64 ? 32 : size;
}

function rowsOf({ mnemonic, U, opcode, vector, scalar, suffix = "", meaning }: TwoRegister): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const kind = suffix ? "Z" : "R";
  const manual = `C7.2 ${mnemonic}${suffix ? " (zero)" : ""}`;
  const rows = [
    instruction({
      name: `${mnemonic}_asimdmisc_${kind}`,
      encoding: `0 Q:1 ${U} 01110 size:2 10000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <VT Rd size Q>, <VT Rn size Q>${suffix}`,
      manual,
      simd: true,
      operands: ({ Q, size, Rn, Rd }) => {
        const shape = vector.includes(size) ? vectorShape(size, Q) : undefined;
        return shape && { ...shape, d: v(Rd), n: v(Rn) };
      },
      execute: (o, s) =>
        writeShape(
          s,
          o,
          o.d,
          meaning(s, o, s.readV(o.n), () => s.readV(o.d)),
        ),
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdmisc_${kind}`,
        encoding: `01 ${U} 11110 size:2 10000 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <BHSD Rd size>, <BHSD Rn size>${suffix}`,
        manual,
        simd: true,
        operands: ({ size, Rn, Rd }) => {
          const shape = scalar.includes(size) ? scalarShape(size) : undefined;
          return shape && { ...shape, d: v(Rd), n: v(Rn) };
        },
        execute: (o, s) =>
          writeShape(
            s,
            o,
            o.d,
            meaning(s, o, s.readV(o.n), () => s.readV(o.d)),
          ),
      }),
    );
  }
  return rows;
}

/** NOT and RBIT work on bytes whatever their size field says. */
const bitwiseRows = (
  [
    ["NOT", "00", (s, n) => not(s, n)],
    ["RBIT", "01", (s, n) => reverseBitsOfBytes(s, n)],
  ] as [string, string, (s: Semantics, n: V128) => V128][]
).map(([mnemonic, size, meaning]) =>
  instruction({
    name: `${mnemonic}_asimdmisc_R`,
    encoding: `0 Q:1 1 01110 ${size} 10000 00101 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <Vb Rd Q>, <Vb Rn Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, Rn, Rd }) => ({
      size: 8 as const,
      extent: Q ? ("q" as const) : ("d" as const),
      d: v(Rd),
      n: v(Rn),
    }),
    execute: (o, s) => writeShape(s, o, o.d, meaning(s, s.readV(o.n))),
  }),
);

/** Mnemonic, U, opcode, accumulate, unsigned. */
const PAIRWISE = [
  ["SADDLP", "0", "00010", false, false],
  ["UADDLP", "1", "00010", false, true],
  ["SADALP", "0", "00110", true, false],
  ["UADALP", "1", "00110", true, true],
] as const;

const pairwiseRows = PAIRWISE.map(([mnemonic, U, opcode, accumulate, unsigned]) =>
  instruction({
    name: `${mnemonic}_asimdmisc_P`,
    encoding: `0 Q:1 ${U} 01110 size:2 10000 ${opcode} 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <VP Rd size Q>, <VT Rn size Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, size, Rn, Rd }) => {
      const bits = narrowSize(size);
      return bits && { size: bits, extent: Q ? ("q" as const) : ("d" as const), d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const sums = addLongPairwise(s, o.size, unsigned, s.readV(o.n));
      const result = accumulate ? binary(s, doubled(o.size), "add", s.readV(o.d), sums) : sums;
      writeShape(s, o, o.d, result);
    },
  }),
);

type Narrow = (s: Semantics, size: 8 | 16 | 32, extent: Shape["extent"], n: V128) => V128;

/** Mnemonic, U, opcode, meaning (wide elements whose low halves are the result), whether there is a scalar form. */
const NARROWING: readonly [string, "0" | "1", string, Narrow, boolean][] = [
  ["XTN", "0", "10010", (_s, _size, _extent, n) => n, false],
  [
    "SQXTUN",
    "1",
    "10010",
    (s, size, extent, n) => saturateWide(s, size, extent, "signed", "unsigned", n),
    true,
  ],
  ["SQXTN", "0", "10100", (s, size, extent, n) => saturateWide(s, size, extent, "signed", "signed", n), true],
  [
    "UQXTN",
    "1",
    "10100",
    (s, size, extent, n) => saturateWide(s, size, extent, "unsigned", "unsigned", n),
    true,
  ],
];

const narrowingRows = NARROWING.flatMap(([mnemonic, U, opcode, meaning, scalar]) => {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic}, ${mnemonic}2`;
  const rows = [
    instruction({
      name: `${mnemonic}_asimdmisc_N`,
      encoding: `0 Q:1 ${U} 01110 size:2 10000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower}{Q:/2} <VT Rd size Q>, <VW Rn size>`,
      manual,
      simd: true,
      operands: ({ Q, size, Rn, Rd }) => {
        const bits = narrowSize(size);
        return bits && { size: bits, high: Q === 1, d: v(Rd), n: v(Rn) };
      },
      execute: (o, s) => writeNarrowed(s, o.size, o.high, o.d, meaning(s, o.size, "q", s.readV(o.n))),
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdmisc_N`,
        encoding: `01 ${U} 11110 size:2 10000 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <BHSD Rd size>, <HSDQ Rn size>`,
        manual,
        simd: true,
        operands: ({ size, Rn, Rd }) => {
          const bits = narrowSize(size);
          return bits && { size: bits, d: v(Rd), n: v(Rn) };
        },
        execute: (o, s) => {
          const result = meaning(s, o.size, "scalar", s.readV(o.n));
          writeShape(s, { size: o.size, extent: "scalar" }, o.d, result);
        },
      }),
    );
  }
  return rows;
});

/** SHLL: as far left as an element is wide. */
const shiftLeftLong = instruction({
  name: "SHLL_asimdmisc_S",
  encoding: "0 Q:1 1 01110 size:2 10000 10011 10 Rn:5 Rd:5",
  assembly: "shll{Q:/2} <VW Rd size>, <VT Rn size Q>, #<elementBits size>",
  manual: "C7.2 SHLL, SHLL2",
  simd: true,
  operands: ({ Q, size, Rn, Rd }) => {
    const bits = narrowSize(size);
    return bits && { size: bits, high: Q === 1, d: v(Rd), n: v(Rn) };
  },
  execute: (o, s) => {
    const wide = widen(s, o.size, true, o.high, s.readV(o.n));
    s.writeV(o.d, shift(s, doubled(o.size), "shl", wide, o.size));
  },
});

/** Advanced SIMD two-register miscellaneous, integer, with its scalar forms. */
export const rows: readonly Instruction[] = [
  ...TWO_REGISTER.flatMap(rowsOf),
  ...bitwiseRows,
  ...pairwiseRows,
  ...narrowingRows,
  shiftLeftLong,
];
