import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import {
  absoluteDifference,
  and,
  binary,
  bitselect,
  concatenateLow,
  greater,
  greaterOrEqual,
  LANES,
  maximum,
  minimum,
  multiply,
  not,
  or,
  type Shape,
  scalarShape,
  shift,
  unzip,
  vectorShape,
  writeShape,
  xor,
  zero,
} from "../pseudocode/vector.ts";
import { polynomialMultiplyBytes } from "../pseudocode/vector-polynomial.ts";
import {
  saturatingAdd,
  saturatingDoublingMultiplyHigh,
  saturatingSubtract,
} from "../pseudocode/vector-saturation.ts";
import { shiftByRegister } from "../pseudocode/vector-shift.ts";
import type { Semantics, V128 } from "../semantics.ts";

/** The result from the operands; `d` is the destination's old value. */
type Meaning = (s: Semantics, shape: Shape, n: V128, m: V128, d: () => V128) => V128;

/** Element sizes by their field. */
const B = 0;
const H = 1;
const S = 2;
const D = 3;

interface ThreeSame {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  /** Element sizes of the vector form. */
  readonly vector: readonly number[];
  /** Element sizes of the scalar form, if there is one. */
  readonly scalar?: readonly number[];
  readonly meaning: Meaning;
}

function rowsOf({ mnemonic, U, opcode, vector, scalar, meaning }: ThreeSame): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const rows = [
    instruction({
      name: `${mnemonic}_asimdsame_only`,
      encoding: `0 Q:1 ${U} 01110 size:2 1 Rm:5 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <VT Rd size Q>, <VT Rn size Q>, <VT Rm size Q>`,
      manual: `C7.2 ${mnemonic}`,
      simd: true,
      operands: ({ Q, size, Rm, Rn, Rd }) => {
        const shape = vector.includes(size) ? vectorShape(size, Q) : undefined;
        return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
      },
      execute: (o, s) =>
        writeShape(
          s,
          o,
          o.d,
          meaning(s, o, s.readV(o.n), s.readV(o.m), () => s.readV(o.d)),
        ),
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdsame_only`,
        encoding: `01 ${U} 11110 size:2 1 Rm:5 ${opcode} 1 Rn:5 Rd:5`,
        assembly: `${lower} <BHSD Rd size>, <BHSD Rn size>, <BHSD Rm size>`,
        manual: `C7.2 ${mnemonic}`,
        simd: true,
        operands: ({ size, Rm, Rn, Rd }) => {
          const shape = scalar.includes(size) ? scalarShape(size) : undefined;
          return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
        },
        execute: (o, s) =>
          writeShape(
            s,
            o,
            o.d,
            meaning(s, o, s.readV(o.n), s.readV(o.m), () => s.readV(o.d)),
          ),
      }),
    );
  }
  return rows;
}

/** Signed and unsigned rows of one meaning. */
function signedAndUnsigned(
  mnemonics: readonly [string, string],
  row: Omit<ThreeSame, "mnemonic" | "U" | "meaning">,
  meaning: (unsigned: boolean) => Meaning,
): ThreeSame[] {
  return [
    { ...row, mnemonic: mnemonics[0], U: "0", meaning: meaning(false) },
    { ...row, mnemonic: mnemonics[1], U: "1", meaning: meaning(true) },
  ];
}

/** (a + b) / 2, rounded down: the common bits and half of the others. */
function halvingAdd(unsigned: boolean): Meaning {
  return (s, { size }, n, m) =>
    binary(s, size, "add", and(s, n, m), shift(s, size, unsigned ? "shr_u" : "shr_s", xor(s, n, m), 1));
}
function roundingHalvingAdd(unsigned: boolean): Meaning {
  return (s, { size }, n, m) => {
    if (unsigned && (size === 8 || size === 16)) return s.op(`${LANES[size]}.avgr_u`, n, m);
    const half = shift(s, size, unsigned ? "shr_u" : "shr_s", xor(s, n, m), 1);
    return binary(s, size, "sub", or(s, n, m), half);
  };
}
function halvingSubtract(unsigned: boolean): Meaning {
  return (s, { size }, n, m) => {
    const half = shift(s, size, unsigned ? "shr_u" : "shr_s", xor(s, n, m), 1);
    return binary(s, size, "sub", half, s.op("v128.andnot", m, n));
  };
}

/** Applies `combine` to neighbours: first those of n, then those of m. */
function pairwise(combine: Meaning): Meaning {
  return (s, shape, n, m, d) => {
    const [a, b] = shape.extent === "q" ? [n, m] : [concatenateLow(s, n, m), zero(s)];
    return combine(s, shape, unzip(s, shape.size, 0, a, b), unzip(s, shape.size, 1, a, b), d);
  };
}

const ALL = [B, H, S, D];
const NO_DOUBLE = [B, H, S];

const THREE_SAME: readonly ThreeSame[] = [
  ...signedAndUnsigned(["SHADD", "UHADD"], { opcode: "00000", vector: NO_DOUBLE }, halvingAdd),
  ...signedAndUnsigned(
    ["SQADD", "UQADD"],
    { opcode: "00001", vector: ALL, scalar: ALL },
    (unsigned) => (s, shape, n, m) => saturatingAdd(s, shape, unsigned, n, m),
  ),
  ...signedAndUnsigned(["SRHADD", "URHADD"], { opcode: "00010", vector: NO_DOUBLE }, roundingHalvingAdd),
  ...signedAndUnsigned(["SHSUB", "UHSUB"], { opcode: "00100", vector: NO_DOUBLE }, halvingSubtract),
  ...signedAndUnsigned(
    ["SQSUB", "UQSUB"],
    { opcode: "00101", vector: ALL, scalar: ALL },
    (unsigned) => (s, shape, n, m) => saturatingSubtract(s, shape, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["CMGT", "CMHI"],
    { opcode: "00110", vector: ALL, scalar: [D] },
    (unsigned) =>
      (s, { size }, n, m) =>
        greater(s, size, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["CMGE", "CMHS"],
    { opcode: "00111", vector: ALL, scalar: [D] },
    (unsigned) =>
      (s, { size }, n, m) =>
        greaterOrEqual(s, size, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["SSHL", "USHL"],
    { opcode: "01000", vector: ALL, scalar: [D] },
    (unsigned) => (s, shape, n, m) =>
      shiftByRegister(s, shape, { unsigned, rounding: false, saturating: false }, n, m),
  ),
  ...signedAndUnsigned(
    ["SQSHL", "UQSHL"],
    { opcode: "01001", vector: ALL, scalar: ALL },
    (unsigned) => (s, shape, n, m) =>
      shiftByRegister(s, shape, { unsigned, rounding: false, saturating: true }, n, m),
  ),
  ...signedAndUnsigned(
    ["SRSHL", "URSHL"],
    { opcode: "01010", vector: ALL, scalar: [D] },
    (unsigned) => (s, shape, n, m) =>
      shiftByRegister(s, shape, { unsigned, rounding: true, saturating: false }, n, m),
  ),
  ...signedAndUnsigned(
    ["SQRSHL", "UQRSHL"],
    { opcode: "01011", vector: ALL, scalar: ALL },
    (unsigned) => (s, shape, n, m) =>
      shiftByRegister(s, shape, { unsigned, rounding: true, saturating: true }, n, m),
  ),
  ...signedAndUnsigned(
    ["SMAX", "UMAX"],
    { opcode: "01100", vector: NO_DOUBLE },
    (unsigned) =>
      (s, { size }, n, m) =>
        maximum(s, size, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["SMIN", "UMIN"],
    { opcode: "01101", vector: NO_DOUBLE },
    (unsigned) =>
      (s, { size }, n, m) =>
        minimum(s, size, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["SABD", "UABD"],
    { opcode: "01110", vector: NO_DOUBLE },
    (unsigned) =>
      (s, { size }, n, m) =>
        absoluteDifference(s, size, unsigned, n, m),
  ),
  ...signedAndUnsigned(
    ["SABA", "UABA"],
    { opcode: "01111", vector: NO_DOUBLE },
    (unsigned) =>
      (s, { size }, n, m, d) =>
        binary(s, size, "add", d(), absoluteDifference(s, size, unsigned, n, m)),
  ),
  {
    mnemonic: "ADD",
    U: "0",
    opcode: "10000",
    vector: ALL,
    scalar: [D],
    meaning: (s, { size }, n, m) => binary(s, size, "add", n, m),
  },
  {
    mnemonic: "SUB",
    U: "1",
    opcode: "10000",
    vector: ALL,
    scalar: [D],
    meaning: (s, { size }, n, m) => binary(s, size, "sub", n, m),
  },
  {
    mnemonic: "CMTST",
    U: "0",
    opcode: "10001",
    vector: ALL,
    scalar: [D],
    meaning: (s, { size }, n, m) => binary(s, size, "ne", and(s, n, m), zero(s)),
  },
  {
    mnemonic: "CMEQ",
    U: "1",
    opcode: "10001",
    vector: ALL,
    scalar: [D],
    meaning: (s, { size }, n, m) => binary(s, size, "eq", n, m),
  },
  {
    mnemonic: "MLA",
    U: "0",
    opcode: "10010",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n, m, d) => binary(s, size, "add", d(), multiply(s, size, n, m)),
  },
  {
    mnemonic: "MLS",
    U: "1",
    opcode: "10010",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n, m, d) => binary(s, size, "sub", d(), multiply(s, size, n, m)),
  },
  {
    mnemonic: "MUL",
    U: "0",
    opcode: "10011",
    vector: NO_DOUBLE,
    meaning: (s, { size }, n, m) => multiply(s, size, n, m),
  },
  {
    mnemonic: "PMUL",
    U: "1",
    opcode: "10011",
    vector: [B],
    meaning: (s, _, n, m) => polynomialMultiplyBytes(s, n, m),
  },
  ...signedAndUnsigned(["SMAXP", "UMAXP"], { opcode: "10100", vector: NO_DOUBLE }, (unsigned) =>
    pairwise((s, { size }, n, m) => maximum(s, size, unsigned, n, m)),
  ),
  ...signedAndUnsigned(["SMINP", "UMINP"], { opcode: "10101", vector: NO_DOUBLE }, (unsigned) =>
    pairwise((s, { size }, n, m) => minimum(s, size, unsigned, n, m)),
  ),
  {
    mnemonic: "SQDMULH",
    U: "0",
    opcode: "10110",
    vector: [H, S],
    scalar: [H, S],
    meaning: (s, shape, n, m) => saturatingDoublingMultiplyHigh(s, shape, false, n, m),
  },
  {
    mnemonic: "SQRDMULH",
    U: "1",
    opcode: "10110",
    vector: [H, S],
    scalar: [H, S],
    meaning: (s, shape, n, m) => saturatingDoublingMultiplyHigh(s, shape, true, n, m),
  },
  {
    mnemonic: "ADDP",
    U: "0",
    opcode: "10111",
    vector: ALL,
    meaning: pairwise((s, { size }, n, m) => binary(s, size, "add", n, m)),
  },
];

/** The bitwise rows: U and size choose the operation. */
const LOGICAL: readonly [string, "0" | "1", string, Meaning][] = [
  ["AND", "0", "00", (s, _, n, m) => and(s, n, m)],
  ["BIC", "0", "01", (s, _, n, m) => s.op("v128.andnot", n, m)],
  ["ORR", "0", "10", (s, _, n, m) => or(s, n, m)],
  ["ORN", "0", "11", (s, _, n, m) => or(s, n, not(s, m))],
  ["EOR", "1", "00", (s, _, n, m) => xor(s, n, m)],
  ["BSL", "1", "01", (s, _, n, m, d) => bitselect(s, d(), n, m)],
  ["BIT", "1", "10", (s, _, n, m, d) => bitselect(s, m, n, d())],
  ["BIF", "1", "11", (s, _, n, m, d) => bitselect(s, m, d(), n)],
];

const logicalRows = LOGICAL.map(([mnemonic, U, size, meaning]) =>
  instruction({
    name: `${mnemonic}_asimdsame_only`,
    encoding: `0 Q:1 ${U} 01110 ${size} 1 Rm:5 00011 1 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <Vb Rd Q>, <Vb Rn Q>, <Vb Rm Q>`,
    manual: `C7.2 ${mnemonic} (vector, register)`,
    simd: true,
    operands: ({ Q, Rm, Rn, Rd }) => ({
      size: 8 as const,
      extent: Q ? ("q" as const) : ("d" as const),
      d: v(Rd),
      n: v(Rn),
      m: v(Rm),
    }),
    execute: (o, s) =>
      writeShape(
        s,
        o,
        o.d,
        meaning(s, o, s.readV(o.n), s.readV(o.m), () => s.readV(o.d)),
      ),
  }),
);

/** ADDP (scalar): the sum of the two doublewords. */
const scalarPairwise = instruction({
  name: "ADDP_asisdpair_only",
  encoding: "01 0 11110 11 11000 11011 10 Rn:5 Rd:5",
  assembly: "addp <D Rd>, <V2d Rn>",
  manual: "C7.2 ADDP (scalar)",
  simd: true,
  operands: ({ Rn, Rd }) => ({ d: v(Rd), n: v(Rn) }),
  execute: (o, s) => {
    const n = s.readV(o.n);
    const [low, high] = [s.lane("i64x2.extract_lane", 0, n), s.lane("i64x2.extract_lane", 1, n)];
    s.writeVLow(o.d, s.op("i64.add", low, high));
  },
});

/** Advanced SIMD three same, integer, with its scalar forms, and scalar pairwise. */
export const rows: readonly Instruction[] = [...THREE_SAME.flatMap(rowsOf), ...logicalRows, scalarPairwise];
