import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import {
  fpAdd,
  fpDiv,
  fpExtreme,
  fpMul,
  fpRoundInt,
  fpSqrt,
  fpSub,
  type RoundingLetter,
} from "../pseudocode/floating-point.ts";
import { type FloatSize, Floats } from "../pseudocode/floats.ts";
import { fpMulAdd } from "../pseudocode/fused-multiply-add.ts";
import type { Value } from "../semantics.ts";

/** Scalar arithmetic: one, two and three sources. Each row has singles and doubles; halves are FEAT_FP16. */

const sizeOf = (sz: number): FloatSize => (sz ? 64 : 32);

interface OneSource {
  readonly mnemonic: string;
  readonly opcode: string;
  readonly meaning: (f: Floats, n: Value) => Value;
}

const rounding = (letter: RoundingLetter, opcode: string): OneSource => ({
  mnemonic: `FRINT${letter.toUpperCase()}`,
  opcode,
  meaning: (f, n) => fpRoundInt(f, n, letter),
});

const ONE_SOURCE: readonly OneSource[] = [
  { mnemonic: "FMOV", opcode: "000000", meaning: (_, n) => n },
  { mnemonic: "FABS", opcode: "000001", meaning: (f, n) => f.op("abs", n) },
  { mnemonic: "FNEG", opcode: "000010", meaning: (f, n) => f.op("neg", n) },
  { mnemonic: "FSQRT", opcode: "000011", meaning: fpSqrt },
  rounding("n", "001000"),
  rounding("p", "001001"),
  rounding("m", "001010"),
  rounding("z", "001011"),
  rounding("a", "001100"),
  rounding("x", "001110"),
  rounding("i", "001111"),
];

function oneSource({ mnemonic, opcode, meaning }: OneSource): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic} (scalar)`;
  return [
    instruction({
      name: `${mnemonic}_floatdp1`,
      encoding: `00011110 0 sz:1 1 ${opcode} 10000 Rn:5 Rd:5`,
      assembly: `${lower} <SD Rd sz>, <SD Rn sz>`,
      manual,
      simd: true,
      operands: ({ sz, Rn, Rd }) => ({ size: sizeOf(sz), d: v(Rd), n: v(Rn) }),
      execute: ({ size, d, n }, s) => {
        const f = Floats.scalar(s, size);
        f.write(d, meaning(f, f.read(n)));
      },
    }),
    instruction({
      name: `${mnemonic}_H_floatdp1`,
      encoding: `00011110 11 1 ${opcode} 10000 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <H Rn>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

interface TwoSource {
  readonly mnemonic: string;
  readonly opcode: string;
  readonly meaning: (f: Floats, n: Value, m: Value) => Value;
}

const TWO_SOURCE: readonly TwoSource[] = [
  { mnemonic: "FMUL", opcode: "0000", meaning: fpMul },
  { mnemonic: "FDIV", opcode: "0001", meaning: fpDiv },
  { mnemonic: "FADD", opcode: "0010", meaning: fpAdd },
  { mnemonic: "FSUB", opcode: "0011", meaning: fpSub },
  { mnemonic: "FMAX", opcode: "0100", meaning: (f, n, m) => fpExtreme(f, "fpMax", n, m) },
  { mnemonic: "FMIN", opcode: "0101", meaning: (f, n, m) => fpExtreme(f, "fpMin", n, m) },
  { mnemonic: "FMAXNM", opcode: "0110", meaning: (f, n, m) => fpExtreme(f, "fpMaxNum", n, m) },
  { mnemonic: "FMINNM", opcode: "0111", meaning: (f, n, m) => fpExtreme(f, "fpMinNum", n, m) },
  { mnemonic: "FNMUL", opcode: "1000", meaning: (f, n, m) => f.op("neg", fpMul(f, n, m)) },
];

function twoSource({ mnemonic, opcode, meaning }: TwoSource): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic} (scalar)`;
  return [
    instruction({
      name: `${mnemonic}_floatdp2`,
      encoding: `00011110 0 sz:1 1 Rm:5 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <SD Rd sz>, <SD Rn sz>, <SD Rm sz>`,
      manual,
      simd: true,
      operands: ({ sz, Rm, Rn, Rd }) => ({ size: sizeOf(sz), d: v(Rd), n: v(Rn), m: v(Rm) }),
      execute: ({ size, d, n, m }, s) => {
        const f = Floats.scalar(s, size);
        f.write(d, meaning(f, f.read(n), f.read(m)));
      },
    }),
    instruction({
      name: `${mnemonic}_H_floatdp2`,
      encoding: `00011110 11 1 Rm:5 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <H Rn>, <H Rm>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

interface ThreeSource {
  readonly mnemonic: string;
  readonly o1: "0" | "1";
  readonly o0: "0" | "1";
  readonly negateAddend: boolean;
  readonly negateProduct: boolean;
}

const THREE_SOURCE: readonly ThreeSource[] = [
  { mnemonic: "FMADD", o1: "0", o0: "0", negateAddend: false, negateProduct: false },
  { mnemonic: "FMSUB", o1: "0", o0: "1", negateAddend: false, negateProduct: true },
  { mnemonic: "FNMADD", o1: "1", o0: "0", negateAddend: true, negateProduct: true },
  { mnemonic: "FNMSUB", o1: "1", o0: "1", negateAddend: true, negateProduct: false },
];

function threeSource({ mnemonic, o1, o0, negateAddend, negateProduct }: ThreeSource): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic}`;
  return [
    instruction({
      name: `${mnemonic}_floatdp3`,
      encoding: `00011111 0 sz:1 ${o1} Rm:5 ${o0} Ra:5 Rn:5 Rd:5`,
      assembly: `${lower} <SD Rd sz>, <SD Rn sz>, <SD Rm sz>, <SD Ra sz>`,
      manual,
      simd: true,
      operands: ({ sz, Rm, Ra, Rn, Rd }) => ({
        size: sizeOf(sz),
        d: v(Rd),
        n: v(Rn),
        m: v(Rm),
        a: v(Ra),
      }),
      execute: ({ size, d, n, m, a }, s) => {
        const f = Floats.scalar(s, size);
        const signed = (value: Value, negate: boolean) => (negate ? f.op("neg", value) : value);
        const addend = signed(f.read(a), negateAddend);
        f.write(d, fpMulAdd(f, addend, signed(f.read(n), negateProduct), f.read(m)));
      },
    }),
    instruction({
      name: `${mnemonic}_H_floatdp3`,
      encoding: `00011111 11 ${o1} Rm:5 ${o0} Ra:5 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <H Rn>, <H Rm>, <H Ra>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

/** FRINT32Z and siblings. */
const roundToWidth = instruction({
  name: "FRINT32_FRINT64_floatdp1",
  encoding: "00011110 0 sz:1 1 0100 W:1 x:1 10000 Rn:5 Rd:5",
  assembly: "{W:frint32/frint64}{x:z/x} <SD Rd sz>, <SD Rn sz>",
  manual: "C7.2 FRINT32X, FRINT32Z, FRINT64X, FRINT64Z (scalar)",
  simd: true,
  feature: "FEAT_FRINTTS",
});

const roundToBrainFloat = instruction({
  name: "BFCVT_floatdp1",
  encoding: "00011110 01 1 000110 10000 Rn:5 Rd:5",
  assembly: "bfcvt <H Rd>, <S Rn>",
  manual: "C7.2 BFCVT",
  simd: true,
  feature: "FEAT_BF16",
});

export const rows: readonly Instruction[] = [
  ...ONE_SOURCE.flatMap(oneSource),
  ...TWO_SOURCE.flatMap(twoSource),
  ...THREE_SOURCE.flatMap(threeSource),
  roundToWidth,
  roundToBrainFloat,
];
