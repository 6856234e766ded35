import { hex } from "../../base/bits.ts";
import type { OperandKind } from "../assembly.ts";
import { parseNumber } from "./immediates.ts";

function labelParse(text: string): { length: number; value: bigint } | undefined {
  const mark = text.startsWith("#") ? 1 : 0;
  const found = parseNumber(text.slice(mark));
  return found && { length: found.length + mark, value: found.value };
}

/** PC-relative address in pages or bytes; arguments are the upper and the lower field. */
function pcRelative(shift: bigint): OperandKind {
  const from = (pc: bigint) => (pc >> shift) << shift;
  return {
    print: ([upper, lower], pc) => {
      const offset = BigInt.asIntN(21, BigInt((upper! << 2) | lower!)) << shift;
      return hex(BigInt.asUintN(64, from(pc) + offset));
    },
    parse: (text, pc) => {
      const found = labelParse(text);
      if (!found) return undefined;
      const offset = BigInt.asIntN(64, ((found.value >> shift) << shift) - from(pc)) >> shift;
      if (BigInt.asIntN(21, offset) !== offset) return undefined;
      const value = Number(BigInt.asUintN(21, offset));
      return { length: found.length, values: [value >> 2, value & 3] };
    },
  };
}

/** An optional ", #offset" of a load or store, scaled by a shift that the last arguments give. */
function offset(
  signedWidth: number | undefined,
  shiftOf: (values: readonly (number | undefined)[]) => number | undefined,
): OperandKind {
  return {
    print: (values) => {
      const field = values[0]!;
      const value = signedWidth === undefined ? field : (field << (32 - signedWidth)) >> (32 - signedWidth);
      return value === 0 ? "" : `, #${value * 2 ** shiftOf(values)!}`;
    },
    parse: (text, _pc, known) => {
      const none = known.map(() => undefined);
      if (!text.startsWith(", #")) return { length: 0, values: [0, ...none.slice(1)] };
      const found = parseNumber(text.slice(3));
      const shift = shiftOf(known);
      if (!found || shift === undefined) return undefined;
      const scaled = found.value >> BigInt(shift);
      if (scaled << BigInt(shift) !== found.value) return undefined;
      if (
        signedWidth === undefined
          ? scaled < 0n || scaled > 4095n
          : BigInt.asIntN(signedWidth, scaled) !== scaled
      )
        return undefined;
      const value = Number(signedWidth === undefined ? scaled : BigInt.asUintN(signedWidth, scaled));
      return { length: 3 + found.length, values: [value, ...none.slice(1)] };
    },
  };
}

/** The same where the offset must be written: post-indexed and pre-indexed forms. */
function writtenOffset(kind: OperandKind): OperandKind {
  return {
    print: (values, pc) => kind.print(values, pc) || ", #0",
    parse: (text, pc, known) => (text.startsWith(", #") ? kind.parse(text, pc, known) : undefined),
  };
}

const plain = ([, shift]: readonly (number | undefined)[]): number | undefined => shift;
const scaled7 = offset(7, plain);
const signed9 = offset(9, () => 0);
const simdSize = ([, opc, size]: readonly (number | undefined)[]): number | undefined =>
  opc === undefined || size === undefined ? undefined : ((opc >> 1) << 2) | size;

const fixedScale = (width: number, shift: number): OperandKind => offset(width, () => shift);
const joined10 = offset(10, () => 3);
const soffset10: OperandKind = {
  print: ([S, imm9], pc) => joined10.print([(S! << 9) | imm9!], pc),
  parse: (text, pc) => {
    const found = joined10.parse(text, pc, [undefined]);
    const value = found?.values[0];
    return found && value !== undefined
      ? { length: found.length, values: [value >> 9, value & 511] }
      : undefined;
  },
};

export const ADDRESS_KINDS = {
  /** `label field width`: a word-aligned PC-relative target. */
  label: {
    print: ([value, width], pc) =>
      hex(BigInt.asUintN(64, pc + (BigInt.asIntN(width!, BigInt(value!)) << 2n))),
    parse: (text, pc, [, width]) => {
      const found = labelParse(text);
      if (!found || width === undefined) return undefined;
      const distance = BigInt.asIntN(64, found.value - pc);
      if (distance & 3n || BigInt.asIntN(width, distance >> 2n) !== distance >> 2n) return undefined;
      return { length: found.length, values: [Number(BigInt.asUintN(width, distance >> 2n)), undefined] };
    },
  },
  /** `adr immhi immlo`, `adrp immhi immlo`. */
  adr: pcRelative(0n),
  adrp: pcRelative(12n),
  /** `uoffset imm12 shift`: unsigned, scaled. */
  uoffset: offset(undefined, plain),
  /** `vuoffset imm12 opc size`: the same for SIMD&FP registers, whose size has three bits. */
  vuoffset: offset(undefined, simdSize),
  /** `soffset9 imm9`: signed, in bytes; `woffset9` must be written. */
  soffset9: signed9,
  woffset9: writtenOffset(signed9),
  /** `soffset7 imm7 shift`: signed, scaled; `woffset7` must be written. */
  soffset7: scaled7,
  woffset7: writtenOffset(scaled7),
  /** The same in units of 16 bytes (memory tags). */
  tagOffset: fixedScale(9, 4),
  wtagOffset: writtenOffset(fixedScale(9, 4)),
  tagOffset7: fixedScale(7, 4),
  wtagOffset7: writtenOffset(fixedScale(7, 4)),
  /** `soffset10 S imm9`: in units of 8 bytes, the sign in a field of its own. */
  soffset10,
  /** `index Rm option S shift`: ", x1", ", x1, lsl #3", ", w1, uxtw #2". */
  index: {
    print: ([Rm, option, S, shift]) => indexText(Rm!, option!, S!, shift!),
    parse: (text, _pc, [, , , shift]) => parseIndex(text, shift),
  },
  /** `vindex Rm option S opc size`. */
  vindex: {
    print: ([Rm, option, S, opc, size]) => indexText(Rm!, option!, S!, simdSize([0, opc, size])!),
    parse: (text, _pc, [, , , opc, size]) => {
      const found = parseIndex(text, simdSize([0, opc, size]));
      return found && { length: found.length, values: [...found.values, undefined] };
    },
  },
} as const satisfies Record<string, OperandKind>;

const INDEX_EXTENDS: Readonly<Record<number, string>> = { 2: "uxtw", 3: "lsl", 6: "sxtw", 7: "sxtx" };

function indexText(Rm: number, option: number, S: number, shift: number): string {
  const letter = option & 1 ? "x" : "w";
  const register = Rm === 31 ? `${letter}zr` : `${letter}${Rm}`;
  if (option === 3 && !S) return `, ${register}`;
  return `, ${register}, ${INDEX_EXTENDS[option]}${S ? ` #${shift}` : ""}`;
}

function parseIndex(
  text: string,
  shift: number | undefined,
): { length: number; values: (number | undefined)[] } | undefined {
  const match = /^, ([xw])(\d\d?|zr)(?:, (uxtw|lsl|sxtw|sxtx)(?: #(\d+))?)?(?!\w)/.exec(text);
  if (!match) return undefined;
  const Rm = match[2] === "zr" ? 31 : Number(match[2]);
  const option = Number(
    Object.keys(INDEX_EXTENDS).find((key) => INDEX_EXTENDS[Number(key)] === (match[3] ?? "lsl")),
  );
  if (Rm > 31 || (option & 1) !== (match[1] === "x" ? 1 : 0)) return undefined;
  const amount = match[4] === undefined ? undefined : Number(match[4]);
  if (amount !== undefined && amount !== 0 && amount !== shift) return undefined;
  // A written #0 on a byte access is the scaled form; on wider ones it is the same as none.
  const S = amount !== undefined && amount === shift ? 1 : 0;
  return { length: match[0].length, values: [Rm, option, S, undefined] };
}
