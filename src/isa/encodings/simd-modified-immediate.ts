import { expandByteMask } from "../assembly-kinds/simd.ts";
import { type Instruction, instruction } from "../instruction.ts";
import { imm64, v } from "../operands.ts";
import { and, type ElementBits, or, writeShape } from "../pseudocode/vector.ts";
import type { Semantics, V128 } from "../semantics.ts";

interface ImmediateFields {
  readonly Q: number;
  readonly abc: number;
  readonly defgh: number;
  readonly Rd: number;
  readonly shift?: number;
}

/** 64 bits made of one element repeated. */
function replicate(size: ElementBits, value: bigint): bigint {
  let replicated = 0n;
  for (let low = 0n; low < 64n; low += BigInt(size)) replicated |= value << low;
  return replicated;
}

type Write = (s: Semantics, immediate: V128, old: () => V128) => V128;

const MOVE: Write = (_s, immediate) => immediate;
const OR: Write = (s, immediate, old) => or(s, old(), immediate);
/** BIC's immediate is inverted when decoded. */
const AND: Write = (s, immediate, old) => and(s, old(), immediate);

/** One row: mnemonic, form, patterns of op and cmode, assembly, value of the byte, effect. */
function row(
  mnemonic: string,
  form: string,
  [op, cmode]: readonly ["0" | "1", string],
  assembly: string,
  expand: (imm8: bigint, shift: number) => bigint,
  write: Write,
): Instruction {
  const inverted = mnemonic === "MVNI" || mnemonic === "BIC";
  return instruction({
    name: `${mnemonic}_asimdimm_${form}`,
    encoding: `0 Q:1 ${op} 0111100000 abc:3 ${cmode} 01 defgh:5 Rd:5`,
    assembly: `${mnemonic.toLowerCase()} ${assembly}`,
    manual: `C7.2 ${mnemonic}${write === MOVE ? "" : " (vector, immediate)"}`,
    simd: true,
    operands: ({ Q, abc, defgh, Rd, shift }: ImmediateFields) => {
      const expanded = expand(BigInt((abc << 5) | defgh), shift ?? 0);
      const extent = Q ? ("q" as const) : ("d" as const);
      return { extent, imm: imm64(inverted ? ~expanded : expanded), d: v(Rd) };
    },
    execute: (o, s) => {
      const immediate = s.op("i64x2.splat", s.imm64(o.imm));
      writeShape(
        s,
        { size: 8, extent: o.extent },
        o.d,
        write(s, immediate, () => s.readV(o.d)),
      );
    },
  });
}

const shifted =
  (size: 16 | 32) =>
  (imm8: bigint, shift: number): bigint =>
    replicate(size, imm8 << BigInt(8 * shift));
/** Ones enter from the right (MSL). */
const shiftedOnes = (imm8: bigint, shift: number): bigint => {
  const distance = BigInt(8 * (shift + 1));
  return replicate(32, (imm8 << distance) | ((1n << distance) - 1n));
};

const WORDS = "<Vs Rd Q>, #<immediate8 abc defgh><optionalLsl8 shift>";
const HALFWORDS = "<Vh Rd Q>, #<immediate8 abc defgh><optionalLsl8 shift>";
const ONES = "<Vs Rd Q>, #<immediate8 abc defgh>, msl #<msl shift>";

/** MOVI, MVNI, ORR and BIC (immediate). */
export const rows: readonly Instruction[] = [
  row("MOVI", "L_sl", ["0", "0 shift:2 0"], WORDS, shifted(32), MOVE),
  row("MVNI", "L_sl", ["1", "0 shift:2 0"], WORDS, shifted(32), MOVE),
  row("ORR", "L_sl", ["0", "0 shift:2 1"], WORDS, shifted(32), OR),
  row("BIC", "L_sl", ["1", "0 shift:2 1"], WORDS, shifted(32), AND),
  row("MOVI", "L_hl", ["0", "10 shift:1 0"], HALFWORDS, shifted(16), MOVE),
  row("MVNI", "L_hl", ["1", "10 shift:1 0"], HALFWORDS, shifted(16), MOVE),
  row("ORR", "L_hl", ["0", "10 shift:1 1"], HALFWORDS, shifted(16), OR),
  row("BIC", "L_hl", ["1", "10 shift:1 1"], HALFWORDS, shifted(16), AND),
  row("MOVI", "M_sm", ["0", "110 shift:1"], ONES, shiftedOnes, MOVE),
  row("MVNI", "M_sm", ["1", "110 shift:1"], ONES, shiftedOnes, MOVE),
  row("MOVI", "N_b", ["0", "1110"], "<Vb Rd Q>, #<immediate8 abc defgh>", (imm8) => replicate(8, imm8), MOVE),
  instruction({
    name: "MOVI_asimdimm_D",
    encoding: "0 Q:1 1 0111100000 abc:3 1110 01 defgh:5 Rd:5",
    assembly: [
      { when: ({ Q }) => Q === 0, template: "movi <D Rd>, #<byteMask abc defgh>" },
      { when: ({ Q }) => Q === 1, template: "movi <V2d Rd>, #<byteMask abc defgh><same Q 1>" },
    ],
    manual: "C7.2 MOVI",
    simd: true,
    operands: ({ Q, abc, defgh, Rd }) => ({
      extent: Q ? ("q" as const) : ("d" as const),
      imm: imm64(expandByteMask((abc << 5) | defgh)),
      d: v(Rd),
    }),
    execute: (o, s) => writeShape(s, { size: 8, extent: o.extent }, o.d, s.op("i64x2.splat", s.imm64(o.imm))),
  }),
];
