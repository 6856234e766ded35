import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { floatVector, lanesFromFixed, lanesToFixed } from "../pseudocode/float-lanes.ts";
import type { FractionBits } from "../pseudocode/floating-point-conversions.ts";
import { type FloatSize, Floats } from "../pseudocode/floats.ts";
import { sizeOf } from "../pseudocode/integers.ts";
import { asV128 } from "../pseudocode/value-types.ts";
import type { Value } from "../semantics.ts";
import { fraction, fractionOperands } from "./fp-convert.ts";

/** Advanced SIMD shift by immediate: conversions between floating point and fixed point of the same width. */

interface FixedPoint {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  readonly meaning: (f: Floats, n: Value, fraction: FractionBits) => Value;
}

const FIXED_POINT: readonly FixedPoint[] = [
  {
    mnemonic: "SCVTF",
    U: "0",
    opcode: "11100",
    meaning: (f, n, bits) => lanesFromFixed(f, asV128(n), false, bits),
  },
  {
    mnemonic: "UCVTF",
    U: "1",
    opcode: "11100",
    meaning: (f, n, bits) => lanesFromFixed(f, asV128(n), true, bits),
  },
  {
    mnemonic: "FCVTZS",
    U: "0",
    opcode: "11111",
    meaning: (f, n, bits) => lanesToFixed(f, n, false, "z", bits),
  },
  {
    mnemonic: "FCVTZU",
    U: "1",
    opcode: "11111",
    meaning: (f, n, bits) => lanesToFixed(f, n, true, "z", bits),
  },
];

/** The position of the highest bit of immh is the element size: 2 for singles, 3 for doubles. */
const isSingleOrDouble = ({ immh }: { immh: number }) => immh >= 4;
const isHalf = ({ immh }: { immh: number }) => immh >> 1 === 1;

function fractionOf(immh: number, immb: number) {
  const size: FloatSize = immh >= 8 ? 64 : 32;
  return fractionOperands(size, 2 * size - ((immh << 3) | immb));
}

function rowsOf({ mnemonic, U, opcode, meaning }: FixedPoint): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic} (vector, fixed-point)`;
  const vectorEncoding = `0 Q:1 ${U} 011110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5` as const;
  const scalarEncoding = `01 ${U} 111110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5` as const;
  const vectorAssembly = `${lower} <shiftRight Rd Rn immh immb Q>`;
  const scalarAssembly = `${lower} <scalarShiftRight Rd Rn immh immb>`;
  return [
    instruction({
      name: `${mnemonic}_asimdshf_C`,
      encoding: vectorEncoding,
      assembly: vectorAssembly,
      manual,
      simd: true,
      where: isSingleOrDouble,
      operands: ({ Q, immh, immb, Rn, Rd }) => {
        const shape = floatVector(immh >> 3, Q);
        return shape && { ...shape, ...fractionOf(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute: (o, s) => {
        const f = Floats.vector(s, o.size, o.lanes);
        f.write(o.d, meaning(f, f.read(o.n), fraction(f, o)));
      },
    }),
    instruction({
      name: `${mnemonic}_asisdshf_C`,
      encoding: scalarEncoding,
      assembly: scalarAssembly,
      manual,
      simd: true,
      where: isSingleOrDouble,
      operands: ({ immh, immb, Rn, Rd }) => ({
        size: sizeOf(immh >= 8),
        ...fractionOf(immh, immb),
        d: v(Rd),
        n: v(Rn),
      }),
      execute: (o, s) => {
        const f = Floats.vector(s, o.size, 1);
        f.write(o.d, meaning(f, f.read(o.n), fraction(f, o)));
      },
    }),
    instruction({
      name: `${mnemonic}_H_asimdshf_C`,
      encoding: vectorEncoding,
      assembly: vectorAssembly,
      manual,
      simd: true,
      feature: "FEAT_FP16",
      where: isHalf,
    }),
    instruction({
      name: `${mnemonic}_H_asisdshf_C`,
      encoding: scalarEncoding,
      assembly: scalarAssembly,
      manual,
      simd: true,
      feature: "FEAT_FP16",
      where: isHalf,
    }),
  ];
}

export const rows: readonly Instruction[] = FIXED_POINT.flatMap(rowsOf);
