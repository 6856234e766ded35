import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { type ExtremeName, fpAdd, fpExtreme } from "../pseudocode/floating-point.ts";
import { Floats } from "../pseudocode/floats.ts";
import { sizeOf } from "../pseudocode/integers.ts";
import type { Value } from "../semantics.ts";

/** Floating-point reductions of one register: scalar pairwise and across lanes. */

interface Reduction {
  /** Of the pairwise form, without its final P. */
  readonly mnemonic: string;
  readonly a: "0" | "1";
  readonly opcode: string;
  readonly acrossLanes: boolean;
  readonly combine: (f: Floats, n: Value, m: Value) => Value;
}

function extreme(mnemonic: string, a: "0" | "1", opcode: string, name: ExtremeName): Reduction {
  return { mnemonic, a, opcode, acrossLanes: true, combine: (f, n, m) => fpExtreme(f, name, n, m) };
}

const REDUCTIONS: readonly Reduction[] = [
  extreme("FMAXNM", "0", "01100", "fpMaxNum"),
  extreme("FMINNM", "1", "01100", "fpMinNum"),
  { mnemonic: "FADD", a: "0", opcode: "01101", acrossLanes: false, combine: fpAdd },
  extreme("FMAX", "0", "01111", "fpMax"),
  extreme("FMIN", "1", "01111", "fpMin"),
];

function pairwise({ mnemonic, a, opcode, combine }: Reduction): Instruction[] {
  const lower = `${mnemonic.toLowerCase()}p`;
  const manual = `C7.2 ${mnemonic}P (scalar)`;
  return [
    instruction({
      name: `${mnemonic}P_asisdpair_only_SD`,
      encoding: `01 1 11110 ${a} sz:1 11000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <SD Rd sz>, <VpairF Rn sz>`,
      manual,
      simd: true,
      operands: ({ sz, Rn, Rd }) => ({ size: sizeOf(sz), d: v(Rd), n: v(Rn) }),
      execute: ({ size, d, n }, s) => {
        const f = Floats.scalar(s, size);
        const vector = Floats.vector(s, size, 2);
        const pair = s.readV(n);
        f.write(d, combine(f, vector.number(pair, 0), vector.number(pair, 1)));
      },
    }),
    instruction({
      name: `${mnemonic}P_asisdpair_only_H`,
      encoding: `01 0 11110 ${a} 0 11000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <V2h Rn>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

function acrossLanes({ mnemonic, a, opcode, combine }: Reduction): Instruction[] {
  const lower = `${mnemonic.toLowerCase()}v`;
  const manual = `C7.2 ${mnemonic}V`;
  return [
    instruction({
      name: `${mnemonic}V_asimdall_only_SD`,
      encoding: `0 1 1 01110 ${a} 0 11000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <S Rd>, <V4s Rn>`,
      manual,
      simd: true,
      operands: ({ Rn, Rd }) => ({ d: v(Rd), n: v(Rn) }),
      execute: ({ d, n }, s) => {
        const f = Floats.scalar(s, 32);
        const vector = s.readV(n);
        const pair = (first: number) =>
          combine(
            f,
            s.lane("f32x4.extract_lane", first, vector),
            s.lane("f32x4.extract_lane", first + 1, vector),
          );
        f.write(d, combine(f, pair(0), pair(2)));
      },
    }),
    instruction({
      name: `${mnemonic}V_asimdall_only_H`,
      encoding: `0 Q:1 0 01110 ${a} 0 11000 ${opcode} 10 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <Vh Rn Q>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

export const rows: readonly Instruction[] = [
  ...REDUCTIONS.flatMap(pairwise),
  ...REDUCTIONS.filter((reduction) => reduction.acrossLanes).flatMap(acrossLanes),
];
