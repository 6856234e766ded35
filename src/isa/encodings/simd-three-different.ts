import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { ELEMENT_BITS, extract, shift, writeNarrowed, writeShape } from "../pseudocode/vector.ts";
import {
  absoluteDifferenceLong,
  addForHighHalf,
  addLong,
  doubled,
  type LongMeaning,
  multiplyAccumulateLong,
  resultShape,
  saturatingMultiplyAccumulateLong,
} from "../pseudocode/vector-long.ts";
import {
  polynomialMultiplyDoublewords,
  polynomialMultiplyLongBytes,
} from "../pseudocode/vector-polynomial.ts";

/** The element size of a field that must not say doublewords. */
export function narrowSize(size: number): 8 | 16 | 32 | undefined {
  const bits = ELEMENT_BITS[size];
  return bits === 64 ? undefined : bits;
}

interface Long {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  readonly sizes: readonly number[];
  /** SADDW and siblings: the first source has wide elements. */
  readonly wide?: boolean;
  readonly scalar?: boolean;
  readonly meaning: LongMeaning;
}

const ALL = [0, 1, 2];
const HALF_AND_WORD = [1, 2];

function signedAndUnsigned(
  mnemonics: readonly [string, string],
  opcode: string,
  meaning: (unsigned: boolean) => LongMeaning,
  wide = false,
): Long[] {
  return [
    { mnemonic: mnemonics[0], U: "0", opcode, sizes: ALL, wide, meaning: meaning(false) },
    { mnemonic: mnemonics[1], U: "1", opcode, sizes: ALL, wide, meaning: meaning(true) },
  ];
}

const LONG: readonly Long[] = [
  ...signedAndUnsigned(["SADDL", "UADDL"], "0000", (unsigned) => addLong("add", false, unsigned)),
  ...signedAndUnsigned(["SADDW", "UADDW"], "0001", (unsigned) => addLong("add", true, unsigned), true),
  ...signedAndUnsigned(["SSUBL", "USUBL"], "0010", (unsigned) => addLong("sub", false, unsigned)),
  ...signedAndUnsigned(["SSUBW", "USUBW"], "0011", (unsigned) => addLong("sub", true, unsigned), true),
  ...signedAndUnsigned(["SABAL", "UABAL"], "0101", (unsigned) => absoluteDifferenceLong(true, unsigned)),
  ...signedAndUnsigned(["SABDL", "UABDL"], "0111", (unsigned) => absoluteDifferenceLong(false, unsigned)),
  ...signedAndUnsigned(["SMLAL", "UMLAL"], "1000", (unsigned) => multiplyAccumulateLong("add", unsigned)),
  ...signedAndUnsigned(["SMLSL", "UMLSL"], "1010", (unsigned) => multiplyAccumulateLong("sub", unsigned)),
  ...signedAndUnsigned(["SMULL", "UMULL"], "1100", (unsigned) => multiplyAccumulateLong(undefined, unsigned)),
  {
    mnemonic: "SQDMLAL",
    U: "0",
    opcode: "1001",
    sizes: HALF_AND_WORD,
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong("add"),
  },
  {
    mnemonic: "SQDMLSL",
    U: "0",
    opcode: "1011",
    sizes: HALF_AND_WORD,
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong("sub"),
  },
  {
    mnemonic: "SQDMULL",
    U: "0",
    opcode: "1101",
    sizes: HALF_AND_WORD,
    scalar: true,
    meaning: saturatingMultiplyAccumulateLong(undefined),
  },
];

function rowsOf({ mnemonic, U, opcode, sizes, wide, scalar, meaning }: Long): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const rows = [
    instruction({
      name: `${mnemonic}_asimddiff_${wide ? "W" : "L"}`,
      encoding: `0 Q:1 ${U} 01110 size:2 1 Rm:5 ${opcode} 00 Rn:5 Rd:5`,
      assembly: wide
        ? `${lower}{Q:/2} <VW Rd size>, <VW Rn size>, <VT Rm size Q>`
        : `${lower}{Q:/2} <VW Rd size>, <VT Rn size Q>, <VT Rm size Q>`,
      manual: `C7.2 ${mnemonic}, ${mnemonic}2`,
      simd: true,
      operands: ({ Q, size, Rm, Rn, Rd }) => {
        const bits = sizes.includes(size) ? narrowSize(size) : undefined;
        return bits && { size: bits, extent: "q" as const, high: Q === 1, d: v(Rd), n: v(Rn), m: v(Rm) };
      },
      execute: (o, s) =>
        s.writeV(
          o.d,
          meaning(s, o, s.readV(o.n), s.readV(o.m), () => s.readV(o.d)),
        ),
    }),
  ];
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisddiff_only`,
        encoding: `01 ${U} 11110 size:2 1 Rm:5 ${opcode} 00 Rn:5 Rd:5`,
        assembly: `${lower} <HSDQ Rd size>, <BHSD Rn size>, <BHSD Rm size>`,
        manual: `C7.2 ${mnemonic}, ${mnemonic}2`,
        simd: true,
        operands: ({ size, Rm, Rn, Rd }) => {
          const bits = sizes.includes(size) ? narrowSize(size) : undefined;
          return bits && { size: bits, extent: "scalar" as const, high: false, d: v(Rd), n: v(Rn), m: v(Rm) };
        },
        execute: (o, s) => {
          const result = meaning(s, o, s.readV(o.n), s.readV(o.m), () => s.readV(o.d));
          writeShape(s, resultShape(o), o.d, result);
        },
      }),
    );
  }
  return rows;
}

/** ADDHN and siblings: mnemonic, U, opcode, operation, rounding. */
const HIGH_NARROW = [
  ["ADDHN", "0", "0100", "add", false],
  ["RADDHN", "1", "0100", "add", true],
  ["SUBHN", "0", "0110", "sub", false],
  ["RSUBHN", "1", "0110", "sub", true],
] as const;

const highNarrowRows = HIGH_NARROW.map(([mnemonic, U, opcode, operation, rounding]) =>
  instruction({
    name: `${mnemonic}_asimddiff_N`,
    encoding: `0 Q:1 ${U} 01110 size:2 1 Rm:5 ${opcode} 00 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()}{Q:/2} <VT Rd size Q>, <VW Rn size>, <VW Rm size>`,
    manual: `C7.2 ${mnemonic}, ${mnemonic}2`,
    simd: true,
    operands: ({ Q, size, Rm, Rn, Rd }) => {
      const bits = narrowSize(size);
      return bits && { size: bits, high: Q === 1, d: v(Rd), n: v(Rn), m: v(Rm) };
    },
    execute: (o, s) => {
      const sum = addForHighHalf(s, o.size, operation, rounding, s.readV(o.n), s.readV(o.m));
      writeNarrowed(s, o.size, o.high, o.d, shift(s, doubled(o.size), "shr_u", sum, o.size));
    },
  }),
);

const polynomialRows = [
  instruction({
    name: "PMULL_asimddiff_L_bytes",
    encoding: "0 Q:1 0 01110 00 1 Rm:5 1110 00 Rn:5 Rd:5",
    assembly: "pmull{Q:/2} <V8h Rd>, <Vb Rn Q>, <Vb Rm Q>",
    manual: "C7.2 PMULL, PMULL2",
    simd: true,
    operands: ({ Q, Rm, Rn, Rd }) => ({ high: Q === 1, d: v(Rd), n: v(Rn), m: v(Rm) }),
    execute: (o, s) => s.writeV(o.d, polynomialMultiplyLongBytes(s, o.high, s.readV(o.n), s.readV(o.m))),
  }),
  instruction({
    name: "PMULL_asimddiff_L_doublewords",
    encoding: "0 Q:1 0 01110 11 1 Rm:5 1110 00 Rn:5 Rd:5",
    assembly: "pmull{Q:/2} <V1q Rd>, <Vd Rn Q>, <Vd Rm Q>",
    manual: "C7.2 PMULL, PMULL2",
    feature: "FEAT_PMULL",
    simd: true,
    operands: ({ Q, Rm, Rn, Rd }) => ({ lane: Q, d: v(Rd), n: v(Rn), m: v(Rm) }),
    execute: (o, s) => {
      const [n, m] = [s.readV(o.n), s.readV(o.m)];
      s.writeV(
        o.d,
        polynomialMultiplyDoublewords(s, extract(s, 64, true, o.lane, n), extract(s, 64, true, o.lane, m)),
      );
    },
  }),
];

/** Advanced SIMD three different, and scalar three different. */
export const rows: readonly Instruction[] = [...LONG.flatMap(rowsOf), ...highNarrowRows, ...polynomialRows];
