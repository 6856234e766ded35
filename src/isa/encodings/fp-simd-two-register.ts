import { type Instruction, instruction } from "../instruction.ts";
import { type RegisterOperand, v } from "../operands.ts";
import { floatVector, lanesFromFixed, lanesToFixed } from "../pseudocode/float-lanes.ts";
import {
  type ComparisonName,
  fpCompareLanes,
  fpRoundInt,
  fpSqrt,
  type RoundingLetter,
} from "../pseudocode/floating-point.ts";
import { fpDoubleToSingle, fpSingleToDouble } from "../pseudocode/floating-point-conversions.ts";
import { Floats } from "../pseudocode/floats.ts";
import { sizeOf } from "../pseudocode/integers.ts";
import { asV128 } from "../pseudocode/value-types.ts";
import type { RuntimeFunctionName } from "../runtime-functions.ts";
import type { F32, I32, I64, Semantics, Value } from "../semantics.ts";

/** Advanced SIMD two-register miscellaneous, floating point: vector and scalar forms. */

type Meaning = (f: Floats, n: Value) => Value;

interface TwoRegister {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  /** The upper bit of size. */
  readonly a: "0" | "1";
  readonly opcode: string;
  /** Whether there are a vector and a scalar form; vectors unless said. */
  readonly vector?: boolean;
  readonly scalar?: boolean;
  /** A comparison with zero. */
  readonly withZero?: boolean;
  readonly meaning: Meaning;
}

/** FCVTNS, SCVTF and their kind: signed, then unsigned. */
function signedAndUnsigned(
  mnemonics: readonly [string, string],
  a: "0" | "1",
  opcode: string,
  meaning: (unsigned: boolean) => Meaning,
): TwoRegister[] {
  return [
    { mnemonic: mnemonics[0], U: "0", a, opcode, scalar: true, meaning: meaning(false) },
    { mnemonic: mnemonics[1], U: "1", a, opcode, scalar: true, meaning: meaning(true) },
  ];
}

function toInteger(letter: RoundingLetter, a: "0" | "1", opcode: string): TwoRegister[] {
  const base = `FCVT${letter.toUpperCase()}`;
  return signedAndUnsigned(
    [`${base}S`, `${base}U`],
    a,
    opcode,
    (unsigned) => (f, n) => lanesToFixed(f, n, unsigned, letter),
  );
}

const rounding = (letter: RoundingLetter, U: "0" | "1", a: "0" | "1", opcode: string): TwoRegister => ({
  mnemonic: `FRINT${letter.toUpperCase()}`,
  U,
  a,
  opcode,
  meaning: (f, n) => fpRoundInt(f, n, letter),
});

/** Comparison of n with zero, or (`swapped`) of zero with n. */
function withZero(
  mnemonic: string,
  U: "0" | "1",
  opcode: string,
  name: ComparisonName,
  swapped = false,
): TwoRegister {
  const meaning: Meaning = (f, n) =>
    swapped ? fpCompareLanes(f, name, f.constant(0), n) : fpCompareLanes(f, name, n, f.constant(0));
  return { mnemonic, U, a: "1", opcode, scalar: true, withZero: true, meaning };
}

const TWO_REGISTER: readonly TwoRegister[] = [
  rounding("n", "0", "0", "11000"),
  rounding("m", "0", "0", "11001"),
  rounding("p", "0", "1", "11000"),
  rounding("z", "0", "1", "11001"),
  rounding("a", "1", "0", "11000"),
  rounding("x", "1", "0", "11001"),
  rounding("i", "1", "1", "11001"),
  ...toInteger("n", "0", "11010"),
  ...toInteger("m", "0", "11011"),
  ...toInteger("a", "0", "11100"),
  ...toInteger("p", "1", "11010"),
  ...toInteger("z", "1", "11011"),
  ...signedAndUnsigned(
    ["SCVTF", "UCVTF"],
    "0",
    "11101",
    (unsigned) => (f, n) => lanesFromFixed(f, asV128(n), unsigned),
  ),
  withZero("FCMGT", "0", "01100", "gt"),
  withZero("FCMEQ", "0", "01101", "eq"),
  withZero("FCMLT", "0", "01110", "gt", true),
  withZero("FCMGE", "1", "01100", "ge"),
  withZero("FCMLE", "1", "01101", "ge", true),
  { mnemonic: "FABS", U: "0", a: "1", opcode: "01111", meaning: (f, n) => f.op("abs", n) },
  { mnemonic: "FNEG", U: "1", a: "1", opcode: "01111", meaning: (f, n) => f.op("neg", n) },
  { mnemonic: "FSQRT", U: "1", a: "1", opcode: "11111", meaning: fpSqrt },
  {
    mnemonic: "FRECPE",
    U: "0",
    a: "1",
    opcode: "11101",
    scalar: true,
    meaning: (f, n) => f.call("fpRecipEstimate", [n]),
  },
  {
    mnemonic: "FRSQRTE",
    U: "1",
    a: "1",
    opcode: "11101",
    scalar: true,
    meaning: (f, n) => f.call("fpRSqrtEstimate", [n]),
  },
  {
    mnemonic: "FRECPX",
    U: "0",
    a: "1",
    opcode: "11111",
    vector: false,
    scalar: true,
    meaning: (f, n) => f.call("fpRecpX", [n]),
  },
];

function rowsOf(row: TwoRegister): Instruction[] {
  const { mnemonic, U, a, opcode, vector = true, scalar = false, meaning } = row;
  const lower = mnemonic.toLowerCase();
  const last = row.withZero ? ", #0.0" : "";
  const manual = `C7.2 ${mnemonic}${row.withZero ? " (zero)" : ""}`;
  const zero = row.withZero ? "FZ" : "R";
  const rows: Instruction[] = [];
  if (vector) {
    rows.push(
      instruction({
        name: `${mnemonic}_asimdmisc_${zero}`,
        encoding: `0 Q:1 ${U} 01110 ${a} sz:1 10000 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <VF Rd sz Q>, <VF Rn sz Q>${last}`,
        manual,
        simd: true,
        operands: ({ Q, sz, Rn, Rd }) => {
          const shape = floatVector(sz, Q);
          return shape && { ...shape, d: v(Rd), n: v(Rn) };
        },
        execute: ({ size, lanes, d, n }, s) => {
          const f = Floats.vector(s, size, lanes);
          f.write(d, meaning(f, f.read(n)));
        },
      }),
      instruction({
        name: `${mnemonic}_asimdmiscfp16_${zero}`,
        encoding: `0 Q:1 ${U} 01110 ${a} 111100 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <Vh Rd Q>, <Vh Rn Q>${last}`,
        manual,
        simd: true,
        feature: "FEAT_FP16",
      }),
    );
  }
  if (scalar) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdmisc_${zero}`,
        encoding: `01 ${U} 11110 ${a} sz:1 10000 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <SD Rd sz>, <SD Rn sz>${last}`,
        manual,
        simd: true,
        operands: ({ sz, Rn, Rd }) => ({ size: sizeOf(sz), d: v(Rd), n: v(Rn) }),
        execute: ({ size, d, n }, s) => {
          // A vector of one number, since comparisons give masks and conversions integers.
          const f = Floats.vector(s, size, 1);
          f.write(d, meaning(f, f.read(n)));
        },
      }),
      instruction({
        name: `${mnemonic}_asisdmiscfp16_${zero}`,
        encoding: `01 ${U} 11110 ${a} 111100 ${opcode} 10 Rn:5 Rd:5`,
        assembly: `${lower} <H Rd>, <H Rn>${last}`,
        manual,
        simd: true,
        feature: "FEAT_FP16",
      }),
    );
  }
  return rows;
}

/** URECPE, URSQRTE: estimates of fixed-point fractions, words only. */
function unsignedEstimate(mnemonic: string, U: "0" | "1", name: RuntimeFunctionName): Instruction {
  return instruction({
    name: `${mnemonic}_asimdmisc_R`,
    encoding: `0 Q:1 ${U} 01110 10 10000 11100 10 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} <Vs Rd Q>, <Vs Rn Q>`,
    manual: `C7.2 ${mnemonic}`,
    simd: true,
    operands: ({ Q, Rn, Rd }) => ({ lanes: Q ? 4 : 2, d: v(Rd), n: v(Rn) }),
    execute: ({ lanes, d, n }, s) => {
      const f = Floats.vector(s, 32, lanes);
      const value = f.read(n);
      // The function for each estimate takes and returns one number of the size.
      const estimate = s.call as (name: RuntimeFunctionName, operand: Value) => Value;
      f.write(
        d,
        f.eachLane((lane) => estimate.call(s, name, f.bits(value, lane))),
      );
    },
  });
}

/** Half of a vector, from its elements as i64 bit patterns of `bits` each. */
function packHalf(s: Semantics, bits: 16 | 32, elements: readonly I64[]): I64 {
  return elements
    .map((element, index) => (index === 0 ? element : s.op("i64.shl", element, s.i64(index * bits))))
    .reduce((a, b) => s.op("i64.or", a, b));
}

/** A narrowed vector goes to the lower half (the upper becomes zero) or to the upper (the lower stays). */
function writeHalf(s: Semantics, d: RegisterOperand<"v">, upper: boolean, half: I64): void {
  if (upper) s.writeV(d, s.lane("i64x2.replace_lane", 1, s.readV(d), half));
  else s.writeVLow(d, half);
}

const wide = (s: Semantics, value: I32): I64 => s.op("i64.extend_i32_u", value);

const formatConversions: readonly Instruction[] = [
  instruction({
    name: "FCVTN_asimdmisc_N",
    encoding: "0 Q:1 0 01110 0 sz:1 10000 10110 10 Rn:5 Rd:5",
    assembly: "fcvtn{Q:/2} <VnarrowF Rd sz Q>, <VwideF Rn sz>",
    manual: "C7.2 FCVTN, FCVTN2",
    simd: true,
    operands: ({ Q, sz, Rn, Rd }) => ({ fromDouble: sz === 1, upper: Q === 1, d: v(Rd), n: v(Rn) }),
    execute: ({ fromDouble, upper, d, n }, s) => {
      const value = s.readV(n);
      const elements = fromDouble
        ? [0, 1].map((lane) => {
            const single = fpDoubleToSingle(s, s.lane("f64x2.extract_lane", lane, value));
            return wide(s, s.op("i32.reinterpret_f32", single));
          })
        : [0, 1, 2, 3].map((lane) =>
            wide(s, s.call("fpConvert32To16", s.lane("i32x4.extract_lane", lane, value))),
          );
      writeHalf(s, d, upper, packHalf(s, fromDouble ? 32 : 16, elements));
    },
  }),
  instruction({
    name: "FCVTXN_asimdmisc_N",
    encoding: "0 Q:1 1 01110 01 10000 10110 10 Rn:5 Rd:5",
    assembly: "fcvtxn{Q:/2} <Vs Rd Q>, <V2d Rn>",
    manual: "C7.2 FCVTXN, FCVTXN2",
    simd: true,
    operands: ({ Q, Rn, Rd }) => ({ upper: Q === 1, d: v(Rd), n: v(Rn) }),
    execute: ({ upper, d, n }, s) => {
      const value = s.readV(n);
      const elements = [0, 1].map((lane) =>
        wide(s, s.call("fpConvertOdd64To32", s.lane("i64x2.extract_lane", lane, value))),
      );
      writeHalf(s, d, upper, packHalf(s, 32, elements));
    },
  }),
  instruction({
    name: "FCVTXN_asisdmisc_N",
    encoding: "01 1 11110 01 10000 10110 10 Rn:5 Rd:5",
    assembly: "fcvtxn <S Rd>, <D Rn>",
    manual: "C7.2 FCVTXN, FCVTXN2",
    simd: true,
    operands: ({ Rn, Rd }) => ({ d: v(Rd), n: v(Rn) }),
    execute: ({ d, n }, s) => s.writeVLow(d, wide(s, s.call("fpConvertOdd64To32", s.readVLow(n)))),
  }),
  instruction({
    name: "FCVTL_asimdmisc_L",
    encoding: "0 Q:1 0 01110 0 sz:1 10000 10111 10 Rn:5 Rd:5",
    assembly: "fcvtl{Q:/2} <VwideF Rd sz>, <VnarrowF Rn sz Q>",
    manual: "C7.2 FCVTL, FCVTL2",
    simd: true,
    operands: ({ Q, sz, Rn, Rd }) => ({ toDouble: sz === 1, upper: Q === 1, d: v(Rd), n: v(Rn) }),
    execute: ({ toDouble, upper, d, n }, s) => {
      const value = s.readV(n);
      const first = upper ? (toDouble ? 2 : 4) : 0;
      const f = Floats.vector(s, toDouble ? 64 : 32, toDouble ? 2 : 4);
      f.write(
        d,
        f.eachLane((lane): Value => {
          if (!toDouble)
            return s.call("fpConvert16To32", s.lane("i16x8.extract_lane_u", first + lane, value));
          const single: F32 = s.lane("f32x4.extract_lane", first + lane, value);
          return s.op("i64.reinterpret_f64", fpSingleToDouble(s, single));
        }),
      );
    },
  }),
];

/** FRINT32Z and siblings. */
const roundToWidth = instruction({
  name: "FRINT32_FRINT64_asimdmisc_R",
  encoding: "0 Q:1 x:1 01110 0 sz:1 10000 1111 W:1 10 Rn:5 Rd:5",
  assembly: "{W:frint32/frint64}{x:z/x} <VF Rd sz Q>, <VF Rn sz Q>",
  manual: "C7.2 FRINT32X, FRINT32Z, FRINT64X, FRINT64Z (vector)",
  simd: true,
  feature: "FEAT_FRINTTS",
  where: ({ Q, sz }) => Q === 1 || sz === 0,
});

export const rows: readonly Instruction[] = [
  ...TWO_REGISTER.flatMap(rowsOf),
  unsignedEstimate("URECPE", "0", "unsignedRecipEstimate"),
  unsignedEstimate("URSQRTE", "1", "unsignedRSqrtEstimate"),
  ...formatConversions,
  roundToWidth,
];
