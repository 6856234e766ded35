import { type Instruction, instruction } from "../instruction.ts";
import { v } from "../operands.ts";
import { scalarShape, vectorShape, writeShape } from "../pseudocode/vector.ts";
import { saturatingRoundingDoublingMultiplyAccumulate } from "../pseudocode/vector-saturation.ts";

const HALF_AND_WORD = [1, 2];

/** SQRDMLAH and SQRDMLSH (FEAT_RDM), vector and scalar. */
export const rows: readonly Instruction[] = (
  [
    ["SQRDMLAH", "0000", false],
    ["SQRDMLSH", "0001", true],
  ] as const
).flatMap(([mnemonic, opcode, subtract]) => {
  const lower = mnemonic.toLowerCase();
  const common = { manual: `C7.2 ${mnemonic} (vector)`, feature: "FEAT_RDM", simd: true } as const;
  return [
    instruction({
      name: `${mnemonic}_asimdsame2_only`,
      encoding: `0 Q:1 1 01110 size:2 0 Rm:5 1 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <VT Rd size Q>, <VT Rn size Q>, <VT Rm size Q>`,
      ...common,
      operands: ({ Q, size, Rm, Rn, Rd }) => {
        const shape = HALF_AND_WORD.includes(size) ? vectorShape(size, Q) : undefined;
        return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
      },
      execute: (o, s) => {
        const [d, n, m] = [s.readV(o.d), s.readV(o.n), s.readV(o.m)];
        writeShape(s, o, o.d, saturatingRoundingDoublingMultiplyAccumulate(s, o, subtract, d, n, m));
      },
    }),
    instruction({
      name: `${mnemonic}_asisdsame2_only`,
      encoding: `01 1 11110 size:2 0 Rm:5 1 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <BHSD Rd size>, <BHSD Rn size>, <BHSD Rm size>`,
      ...common,
      operands: ({ size, Rm, Rn, Rd }) => {
        const shape = HALF_AND_WORD.includes(size) ? scalarShape(size) : undefined;
        return shape && { ...shape, d: v(Rd), n: v(Rn), m: v(Rm) };
      },
      execute: (o, s) => {
        const [d, n, m] = [s.readV(o.d), s.readV(o.n), s.readV(o.m)];
        writeShape(s, o, o.d, saturatingRoundingDoublingMultiplyAccumulate(s, o, subtract, d, n, m));
      },
    }),
  ];
});
