import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { floatVector, neighbours } from "../pseudocode/float-lanes.ts";
import {
  type ComparisonName,
  fpAdd,
  fpCompareLanes,
  fpDiv,
  fpExtreme,
  fpMul,
  fpMulX,
  fpSub,
} from "../pseudocode/floating-point.ts";
import { Floats } from "../pseudocode/floats.ts";
import { fpMulAdd, fpRecipStep, fpRSqrtStep } from "../pseudocode/fused-multiply-add.ts";
import { sizeOf } from "../pseudocode/integers.ts";
import type { Value } from "../semantics.ts";

/** Advanced SIMD three same, floating point: vector and scalar forms, and their FEAT_FP16 siblings. */

/** The result from the operands; `d` is the destination's old value. */
type Meaning = (f: Floats, n: Value, m: Value, d: () => Value) => Value;

interface ThreeSame {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  /** The upper bit of size. */
  readonly a: "0" | "1";
  /** All opcodes here begin with 11. */
  readonly opcode: string;
  readonly scalar?: boolean;
  readonly meaning: Meaning;
}

function compare(name: ComparisonName): Meaning {
  return (f, n, m) => fpCompareLanes(f, name, n, m);
}

function compareAbsolute(name: ComparisonName): Meaning {
  return (f, n, m) => fpCompareLanes(f, name, f.op("abs", n), f.op("abs", m));
}

/** Applies `combine` to neighbours: first those of n, then those of m. */
function pairwise(combine: (f: Floats, n: Value, m: Value) => Value): Meaning {
  return (f, n, m) => {
    const [first, second] = neighbours(f, n, m);
    return combine(f, first, second);
  };
}

const maximum = (f: Floats, n: Value, m: Value) => fpExtreme(f, "fpMax", n, m);
const minimum = (f: Floats, n: Value, m: Value) => fpExtreme(f, "fpMin", n, m);
const maximumNumber = (f: Floats, n: Value, m: Value) => fpExtreme(f, "fpMaxNum", n, m);
const minimumNumber = (f: Floats, n: Value, m: Value) => fpExtreme(f, "fpMinNum", n, m);

const THREE_SAME: readonly ThreeSame[] = [
  { mnemonic: "FMAXNM", U: "0", a: "0", opcode: "000", meaning: maximumNumber },
  { mnemonic: "FMLA", U: "0", a: "0", opcode: "001", meaning: (f, n, m, d) => fpMulAdd(f, d(), n, m) },
  { mnemonic: "FADD", U: "0", a: "0", opcode: "010", meaning: fpAdd },
  { mnemonic: "FMULX", U: "0", a: "0", opcode: "011", scalar: true, meaning: fpMulX },
  { mnemonic: "FCMEQ", U: "0", a: "0", opcode: "100", scalar: true, meaning: compare("eq") },
  { mnemonic: "FMAX", U: "0", a: "0", opcode: "110", meaning: maximum },
  { mnemonic: "FRECPS", U: "0", a: "0", opcode: "111", scalar: true, meaning: fpRecipStep },
  { mnemonic: "FMINNM", U: "0", a: "1", opcode: "000", meaning: minimumNumber },
  {
    mnemonic: "FMLS",
    U: "0",
    a: "1",
    opcode: "001",
    meaning: (f, n, m, d) => fpMulAdd(f, d(), f.op("neg", n), m),
  },
  { mnemonic: "FSUB", U: "0", a: "1", opcode: "010", meaning: fpSub },
  { mnemonic: "FMIN", U: "0", a: "1", opcode: "110", meaning: minimum },
  { mnemonic: "FRSQRTS", U: "0", a: "1", opcode: "111", scalar: true, meaning: fpRSqrtStep },
  { mnemonic: "FMAXNMP", U: "1", a: "0", opcode: "000", meaning: pairwise(maximumNumber) },
  { mnemonic: "FADDP", U: "1", a: "0", opcode: "010", meaning: pairwise(fpAdd) },
  { mnemonic: "FMUL", U: "1", a: "0", opcode: "011", meaning: fpMul },
  { mnemonic: "FCMGE", U: "1", a: "0", opcode: "100", scalar: true, meaning: compare("ge") },
  { mnemonic: "FACGE", U: "1", a: "0", opcode: "101", scalar: true, meaning: compareAbsolute("ge") },
  { mnemonic: "FMAXP", U: "1", a: "0", opcode: "110", meaning: pairwise(maximum) },
  { mnemonic: "FDIV", U: "1", a: "0", opcode: "111", meaning: fpDiv },
  { mnemonic: "FMINNMP", U: "1", a: "1", opcode: "000", meaning: pairwise(minimumNumber) },
  {
    mnemonic: "FABD",
    U: "1",
    a: "1",
    opcode: "010",
    scalar: true,
    meaning: (f, n, m) => f.op("abs", fpSub(f, n, m)),
  },
  { mnemonic: "FCMGT", U: "1", a: "1", opcode: "100", scalar: true, meaning: compare("gt") },
  { mnemonic: "FACGT", U: "1", a: "1", opcode: "101", scalar: true, meaning: compareAbsolute("gt") },
  { mnemonic: "FMINP", U: "1", a: "1", opcode: "110", meaning: pairwise(minimum) },
];

function rowsOf({ mnemonic, U, a, opcode, scalar, meaning }: ThreeSame): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic}`;
  const rows = [
    instruction({
      name: `${mnemonic}_asimdsame_only`,
      encoding: `0 Q:1 ${U} 01110 ${a} sz:1 1 Rm:5 11${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <VF Rd sz Q>, <VF Rn sz Q>, <VF Rm sz Q>`,
      manual,
      simd: true,
      operands: ({ Q, sz, Rm, Rn, Rd }) => {
        const shape = floatVector(sz, Q);
        return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
      },
      execute: ({ size, lanes, d, n, m }, s) => {
        const f = Floats.vector(s, size, lanes);
        f.write(
          d,
          meaning(f, f.read(n), f.read(m), () => f.read(d)),
        );
      },
    }),
    instruction({
      name: `${mnemonic}_asimdsamefp16_only`,
      encoding: `0 Q:1 ${U} 01110 ${a} 10 Rm:5 00${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <Vh Rd Q>, <Vh Rn Q>, <Vh Rm Q>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
  if (!scalar) return rows;
  return [
    ...rows,
    instruction({
      name: `${mnemonic}_asisdsame_only`,
      encoding: `01 ${U} 11110 ${a} sz:1 1 Rm:5 11${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <SD Rd sz>, <SD Rn sz>, <SD Rm sz>`,
      manual,
      simd: true,
      operands: ({ sz, Rm, Rn, Rd }) => ({
        size: sizeOf(sz),
        d: v(Rd),
        n: v(Rn),
        m: v(Rm),
      }),
      execute: ({ size, d, n, m }, s) => {
        // A vector of one number, since comparisons give masks.
        const f = Floats.vector(s, size, 1);
        f.write(
          d,
          meaning(f, f.read(n), f.read(m), () => f.read(d)),
        );
      },
    }),
    instruction({
      name: `${mnemonic}_asisdsamefp16_only`,
      encoding: `01 ${U} 11110 ${a} 10 Rm:5 00${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <H Rn>, <H Rm>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

/** Arrangement by size and Q of complex arithmetic: halves, singles, doubles. */
const isComplex = ({ size, Q }: { size: number; Q: number }) => size !== 0 && !(size === 3 && Q === 0);

const complexRows: readonly Instruction[] = [
  instruction({
    name: "FCMLA_asimdsame2_C",
    encoding: "0 Q:1 1 01110 size:2 0 Rm:5 110 rot:2 1 Rn:5 Rd:5",
    assembly: "fcmla <VT Rd size Q>, <VT Rn size Q>, <VT Rm size Q>, #<rotation rot>",
    manual: "C7.2 FCMLA",
    simd: true,
    feature: "FEAT_FCMA",
    where: isComplex,
  }),
  instruction({
    name: "FCADD_asimdsame2_C",
    encoding: "0 Q:1 1 01110 size:2 0 Rm:5 111 rot:1 01 Rn:5 Rd:5",
    assembly: "fcadd <VT Rd size Q>, <VT Rn size Q>, <VT Rm size Q>, #<oddRotation rot>",
    manual: "C7.2 FCADD",
    simd: true,
    feature: "FEAT_FCMA",
    where: isComplex,
  }),
];

export const rows: readonly Instruction[] = [...THREE_SAME.flatMap(rowsOf), ...complexRows];
