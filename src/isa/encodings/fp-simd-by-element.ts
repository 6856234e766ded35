import { type Instruction, instruction } from "../instruction.ts";
import { imm64, v } from "../operands.ts";
import { floatVector } from "../pseudocode/float-lanes.ts";
import { fpMul, fpMulX } from "../pseudocode/floating-point.ts";
import { type FloatSize, Floats } from "../pseudocode/floats.ts";
import { fpMulAdd } from "../pseudocode/fused-multiply-add.ts";
import { duplicateElement, elementIndices } from "../pseudocode/vector.ts";
import type { Value } from "../semantics.ts";

/** Advanced SIMD vector and scalar by indexed element, floating point. */

interface ByElement {
  readonly mnemonic: string;
  readonly U: "0" | "1";
  readonly opcode: string;
  readonly meaning: (f: Floats, n: Value, m: Value, d: () => Value) => Value;
}

const BY_ELEMENT: readonly ByElement[] = [
  { mnemonic: "FMLA", U: "0", opcode: "0001", meaning: (f, n, m, d) => fpMulAdd(f, d(), n, m) },
  {
    mnemonic: "FMLS",
    U: "0",
    opcode: "0101",
    meaning: (f, n, m, d) => fpMulAdd(f, d(), f.op("neg", n), m),
  },
  { mnemonic: "FMUL", U: "0", opcode: "1001", meaning: fpMul },
  { mnemonic: "FMULX", U: "1", opcode: "1001", meaning: fpMulX },
];

interface ElementFields {
  readonly sz: number;
  readonly L: number;
  readonly M: number;
  readonly Rm: number;
  readonly H: number;
}

/** The element that a word names, or undefined where it is reserved. */
function element({ sz, L, M, Rm, H }: ElementFields) {
  if (sz === 1 && L === 1) return undefined;
  const indices = sz === 1 ? elementIndices(64, H) : elementIndices(32, (H << 1) | L);
  return { m: v((M << 4) | Rm), indices: imm64(indices) };
}

function rowsOf({ mnemonic, U, opcode, meaning }: ByElement): Instruction[] {
  const lower = mnemonic.toLowerCase();
  const manual = `C7.2 ${mnemonic} (by element)`;
  return [
    instruction({
      name: `${mnemonic}_asimdelem_R_SD`,
      encoding: `0 Q:1 ${U} 01111 1 sz:1 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: [
        {
          when: ({ sz }) => sz === 0,
          template: `${lower} <VF Rd sz Q>, <VF Rn sz Q>, <Vi 2 L M Rm H>`,
        },
        {
          when: ({ sz }) => sz === 1,
          template: `${lower} <VF Rd sz Q>, <VF Rn sz Q>, <Vi 3 L M Rm H>`,
        },
      ],
      manual,
      simd: true,
      operands: (fields) => {
        const shape = floatVector(fields.sz, fields.Q);
        const chosen = element(fields);
        return shape && chosen && { ...shape, ...chosen, d: v(fields.Rd), n: v(fields.Rn) };
      },
      execute: ({ size, lanes, m, indices, d, n }, s) => {
        const f = Floats.vector(s, size, lanes);
        const multiplier = duplicateElement(s, s.readV(m), s.imm64(indices));
        f.write(
          d,
          meaning(f, f.read(n), multiplier, () => f.read(d)),
        );
      },
    }),
    instruction({
      name: `${mnemonic}_asisdelem_R_SD`,
      encoding: `01 ${U} 11111 1 sz:1 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: [
        { when: ({ sz }) => sz === 0, template: `${lower} <SD Rd sz>, <SD Rn sz>, <Vi 2 L M Rm H>` },
        { when: ({ sz }) => sz === 1, template: `${lower} <SD Rd sz>, <SD Rn sz>, <Vi 3 L M Rm H>` },
      ],
      manual,
      simd: true,
      operands: (fields) => {
        const chosen = element(fields);
        const size: FloatSize = fields.sz ? 64 : 32;
        return chosen && { size, ...chosen, d: v(fields.Rd), n: v(fields.Rn) };
      },
      execute: ({ size, m, indices, d, n }, s) => {
        const f = Floats.scalar(s, size);
        const copies = duplicateElement(s, s.readV(m), s.imm64(indices));
        const multiplier = Floats.vector(s, size, 1).number(copies, 0);
        f.write(
          d,
          meaning(f, f.read(n), multiplier, () => f.read(d)),
        );
      },
    }),
    instruction({
      name: `${mnemonic}_asimdelem_RH_H`,
      encoding: `0 Q:1 ${U} 01111 00 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: `${lower} <Vh Rd Q>, <Vh Rn Q>, <Vi 1 L M Rm H>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
    instruction({
      name: `${mnemonic}_asisdelem_RH_H`,
      encoding: `01 ${U} 11111 00 L:1 M:1 Rm:4 ${opcode} H:1 0 Rn:5 Rd:5`,
      assembly: `${lower} <H Rd>, <H Rn>, <Vi 1 L M Rm H>`,
      manual,
      simd: true,
      feature: "FEAT_FP16",
    }),
  ];
}

/** Complex multiplication by an element pair. */
const complexRows: readonly Instruction[] = [
  instruction({
    name: "FCMLA_asimdelem_C_H",
    encoding: "0 Q:1 1 01111 01 L:1 M:1 Rm:4 0 rot:2 1 H:1 0 Rn:5 Rd:5",
    assembly: "fcmla <Vh Rd Q>, <Vh Rn Q>, <VcH L M Rm H>, #<rotation rot>",
    manual: "C7.2 FCMLA (by element)",
    simd: true,
    feature: "FEAT_FCMA",
    where: ({ Q, H }) => Q === 1 || H === 0,
  }),
  instruction({
    name: "FCMLA_asimdelem_C_S",
    encoding: "0 1 1 01111 10 0 M:1 Rm:4 0 rot:2 1 H:1 0 Rn:5 Rd:5",
    assembly: "fcmla <V4s Rd>, <V4s Rn>, <VcS M Rm H>, #<rotation rot>",
    manual: "C7.2 FCMLA (by element)",
    simd: true,
    feature: "FEAT_FCMA",
  }),
];

export const rows: readonly Instruction[] = [...BY_ELEMENT.flatMap(rowsOf), ...complexRows];
