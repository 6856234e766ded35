import { type Instruction, instruction } from "../instruction.ts";
import { imm32, v } from "../operands.ts";
import {
  binary,
  bitselect,
  type ElementBits,
  type Extent,
  type Shape,
  scalarShape,
  shift,
  splat,
  vectorShape,
  widen,
  writeNarrowed,
  writeShape,
} from "../pseudocode/vector.ts";
import { doubled } from "../pseudocode/vector-long.ts";
import { saturateWide } from "../pseudocode/vector-saturation.ts";
import { shiftLeftImmediateSaturating, shiftRightImmediate } from "../pseudocode/vector-shift.ts";
import type { I32, Semantics, V128 } from "../semantics.ts";
import { narrowSize } from "./simd-three-different.ts";

/** The field that gives the element size: the position of the highest one of immh, which is not 0. */
function sizeOf(immh: number): number {
  return 31 - Math.clz32(immh);
}

/** Operands of a right shift: an amount of the whole element is marked, as WebAssembly's would be none. */
function rightShift(immh: number, immb: number) {
  const bits = 8 << sizeOf(immh);
  const amount = 2 * bits - ((immh << 3) | immb);
  return { whole: amount === bits, amount: imm32(Math.min(amount, bits - 1)), lessOne: imm32(amount - 1) };
}

function leftShift(immh: number, immb: number) {
  return { amount: imm32(((immh << 3) | immb) - (8 << sizeOf(immh))) };
}

/** immh of 0 belongs to the modified immediates. */
const hasSize = ({ immh }: { readonly immh: number }): boolean => immh !== 0;

/** Mnemonic, U, opcode, rounding, accumulate. */
const RIGHT = [
  ["SSHR", "0", "00000", false, false],
  ["USHR", "1", "00000", false, false],
  ["SSRA", "0", "00010", false, true],
  ["USRA", "1", "00010", false, true],
  ["SRSHR", "0", "00100", true, false],
  ["URSHR", "1", "00100", true, false],
  ["SRSRA", "0", "00110", true, true],
  ["URSRA", "1", "00110", true, true],
] as const;

const rightRows = RIGHT.flatMap(([mnemonic, U, opcode, rounding, accumulate]) => {
  const lower = mnemonic.toLowerCase();
  const unsigned = U === "1";
  const common = { manual: `C7.2 ${mnemonic}`, simd: true, where: hasSize };
  type Operands = Shape & ReturnType<typeof rightShift> & Record<"d" | "n", ReturnType<typeof v>>;
  const execute = (o: Operands, s: Semantics): void => {
    // A signed amount of the whole element acts as one less; the operand says so already.
    const shifted = shiftRightImmediate(s, { ...o, unsigned }, rounding, s.readV(o.n));
    writeShape(s, o, o.d, accumulate ? binary(s, o.size, "add", s.readV(o.d), shifted) : shifted);
  };
  return [
    instruction({
      name: `${mnemonic}_asimdshf_R`,
      encoding: `0 Q:1 ${U} 011110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <shiftRight Rd Rn immh immb Q>`,
      ...common,
      operands: ({ Q, immh, immb, Rn, Rd }) => {
        const shape = vectorShape(sizeOf(immh), Q);
        return shape && { ...shape, ...rightShift(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute,
    }),
    instruction({
      name: `${mnemonic}_asisdshf_R`,
      encoding: `01 ${U} 111110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <scalarShiftRight Rd Rn immh immb>`,
      ...common,
      operands: ({ immh, immb, Rn, Rd }) => {
        const shape = immh >= 8 ? scalarShape(3) : undefined;
        return shape && { ...shape, ...rightShift(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute,
    }),
  ];
});

/** SRI: the bits that a right shift would clear stay the destination's. */
const insertRightRows = (["asimdshf_R", "asisdshf_R"] as const).map((form) => {
  const scalar = form === "asisdshf_R";
  return instruction({
    name: `SRI_${form}`,
    encoding: scalar
      ? "01 1 111110 immh:4 immb:3 01000 1 Rn:5 Rd:5"
      : "0 Q:1 1 011110 immh:4 immb:3 01000 1 Rn:5 Rd:5",
    assembly: scalar ? "sri <scalarShiftRight Rd Rn immh immb>" : "sri <shiftRight Rd Rn immh immb Q>",
    manual: "C7.2 SRI",
    simd: true,
    where: hasSize,
    operands: (fields: Record<"immh" | "immb" | "Rn" | "Rd", number> & { readonly Q?: number }) => {
      const { immh, immb } = fields;
      const size = sizeOf(immh);
      const shape = scalar ? (size === 3 ? scalarShape(3) : undefined) : vectorShape(size, fields.Q ?? 0);
      return shape && { ...shape, ...rightShift(immh, immb), d: v(fields.Rd), n: v(fields.Rn) };
    },
    execute: (o, s) => {
      const move = { ...o, unsigned: true };
      const mask = shiftRightImmediate(s, move, false, splat(s, o.size, -1));
      const shifted = shiftRightImmediate(s, move, false, s.readV(o.n));
      writeShape(s, o, o.d, bitselect(s, mask, shifted, s.readV(o.d)));
    },
  });
});

type LeftMeaning = (s: Semantics, shape: Shape, amount: I32, n: V128, d: () => V128) => V128;

/** Mnemonic, U, opcode, scalar forms of all sizes or of doublewords only, meaning. */
const LEFT: readonly [string, "0" | "1", string, "all" | "double", LeftMeaning][] = [
  ["SHL", "0", "01010", "double", (s, { size }, amount, n) => shift(s, size, "shl", n, amount)],
  [
    "SLI",
    "1",
    "01010",
    "double",
    (s, { size }, amount, n, d) => {
      const mask = shift(s, size, "shl", splat(s, size, -1), amount);
      return bitselect(s, mask, shift(s, size, "shl", n, amount), d());
    },
  ],
  [
    "SQSHLU",
    "1",
    "01100",
    "all",
    (s, shape, amount, n) => shiftLeftImmediateSaturating(s, shape, "signedToUnsigned", amount, n),
  ],
  [
    "SQSHL",
    "0",
    "01110",
    "all",
    (s, shape, amount, n) => shiftLeftImmediateSaturating(s, shape, "signed", amount, n),
  ],
  [
    "UQSHL",
    "1",
    "01110",
    "all",
    (s, shape, amount, n) => shiftLeftImmediateSaturating(s, shape, "unsigned", amount, n),
  ],
];

const leftRows = LEFT.flatMap(([mnemonic, U, opcode, scalarSizes, meaning]) => {
  const lower = mnemonic.toLowerCase();
  const common = { manual: `C7.2 ${mnemonic} (immediate)`, simd: true, where: hasSize };
  type Operands = Shape & ReturnType<typeof leftShift> & Record<"d" | "n", ReturnType<typeof v>>;
  const execute = (o: Operands, s: Semantics): void => {
    const result = meaning(s, o, s.imm32(o.amount), s.readV(o.n), () => s.readV(o.d));
    writeShape(s, o, o.d, result);
  };
  return [
    instruction({
      name: `${mnemonic}_asimdshf_R`,
      encoding: `0 Q:1 ${U} 011110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <shiftLeft Rd Rn immh immb Q>`,
      ...common,
      operands: ({ Q, immh, immb, Rn, Rd }) => {
        const shape = vectorShape(sizeOf(immh), Q);
        return shape && { ...shape, ...leftShift(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute,
    }),
    instruction({
      name: `${mnemonic}_asisdshf_R`,
      encoding: `01 ${U} 111110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower} <scalarShiftLeft Rd Rn immh immb>`,
      ...common,
      operands: ({ immh, immb, Rn, Rd }) => {
        const shape = scalarSizes === "all" || immh >= 8 ? scalarShape(sizeOf(immh)) : undefined;
        return shape && { ...shape, ...leftShift(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute,
    }),
  ];
});

type Saturation = readonly [from: "signed" | "unsigned", to: "signed" | "unsigned"];

/** Mnemonic, U, opcode, rounding, saturation (then with a scalar form). */
const NARROW: readonly [string, "0" | "1", string, boolean, Saturation | undefined][] = [
  ["SHRN", "0", "10000", false, undefined],
  ["RSHRN", "0", "10001", true, undefined],
  ["SQSHRUN", "1", "10000", false, ["signed", "unsigned"]],
  ["SQRSHRUN", "1", "10001", true, ["signed", "unsigned"]],
  ["SQSHRN", "0", "10010", false, ["signed", "signed"]],
  ["SQRSHRN", "0", "10011", true, ["signed", "signed"]],
  ["UQSHRN", "1", "10010", false, ["unsigned", "unsigned"]],
  ["UQRSHRN", "1", "10011", true, ["unsigned", "unsigned"]],
];

const narrowRows = NARROW.flatMap(([mnemonic, U, opcode, rounding, saturation]) => {
  const lower = mnemonic.toLowerCase();
  const common = { manual: `C7.2 ${mnemonic}, ${mnemonic}2`, simd: true, where: hasSize };
  const shifted = (
    s: Semantics,
    o: Pick<ReturnType<typeof rightShift>, "amount" | "lessOne"> & { readonly size: 8 | 16 | 32 },
    extent: Extent,
    n: V128,
  ): V128 => {
    const size: ElementBits = doubled(o.size);
    const unsigned = saturation?.[0] !== "signed";
    // The amount is at most half of these wide elements.
    const wide = shiftRightImmediate(s, { ...o, size, unsigned, whole: false }, rounding, n);
    return saturation ? saturateWide(s, o.size, extent, ...saturation, wide) : wide;
  };
  const amounts = (immh: number, immb: number) => {
    const amount = (16 << sizeOf(immh)) - ((immh << 3) | immb);
    return { amount: imm32(amount), lessOne: imm32(amount - 1) };
  };
  const rows = [
    instruction({
      name: `${mnemonic}_asimdshf_N`,
      encoding: `0 Q:1 ${U} 011110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
      assembly: `${lower}{Q:/2} <shiftNarrow Rd Rn immh immb Q>`,
      ...common,
      operands: ({ Q, immh, immb, Rn, Rd }) => {
        const size = narrowSize(sizeOf(immh));
        return size && { size, high: Q === 1, ...amounts(immh, immb), d: v(Rd), n: v(Rn) };
      },
      execute: (o, s) => writeNarrowed(s, o.size, o.high, o.d, shifted(s, o, "q", s.readV(o.n))),
    }),
  ];
  if (saturation) {
    rows.push(
      instruction({
        name: `${mnemonic}_asisdshf_N`,
        encoding: `01 ${U} 111110 immh:4 immb:3 ${opcode} 1 Rn:5 Rd:5`,
        assembly: `${lower} <scalarShiftNarrow Rd Rn immh immb>`,
        ...common,
        operands: ({ immh, immb, Rn, Rd }) => {
          const size = narrowSize(sizeOf(immh));
          return size && { size, ...amounts(immh, immb), d: v(Rd), n: v(Rn) };
        },
        execute: (o, s) => {
          const result = shifted(s, o, "scalar", s.readV(o.n));
          writeShape(s, { size: o.size, extent: "scalar" }, o.d, result);
        },
      }),
    );
  }
  return rows;
});

const LONG = [
  ["SSHLL", "0", false],
  ["USHLL", "1", true],
] as const;

const longRows = LONG.map(([mnemonic, U, unsigned]) =>
  instruction({
    name: `${mnemonic}_asimdshf_L`,
    encoding: `0 Q:1 ${U} 011110 immh:4 immb:3 10100 1 Rn:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()}{Q:/2} <shiftLong Rd Rn immh immb Q>`,
    manual: `C7.2 ${mnemonic}, ${mnemonic}2`,
    simd: true,
    where: hasSize,
    operands: ({ Q, immh, immb, Rn, Rd }) => {
      const size = narrowSize(sizeOf(immh));
      return size && { size, high: Q === 1, ...leftShift(immh, immb), d: v(Rd), n: v(Rn) };
    },
    execute: (o, s) => {
      const wide = widen(s, o.size, unsigned, o.high, s.readV(o.n));
      s.writeV(o.d, shift(s, doubled(o.size), "shl", wide, s.imm32(o.amount)));
    },
  }),
);

/** Advanced SIMD shift by immediate, integer, with its scalar forms. */
export const rows: readonly Instruction[] = [
  ...rightRows,
  ...insertRightRows,
  ...leftRows,
  ...narrowRows,
  ...longRows,
];
