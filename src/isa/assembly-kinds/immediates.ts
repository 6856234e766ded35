import { hex } from "../../base/bits.ts";
import type { OperandKind } from "../assembly.ts";
import { decodeBitMask, encodeBitMask } from "../pseudocode/bitmask-immediate.ts";

/** Recognises an optionally signed decimal or hexadecimal number. */
export function parseNumber(text: string): { length: number; value: bigint } | undefined {
  const match = /^(-?)(0x[0-9a-f]+|\d+)(?!\w)/.exec(text);
  if (!match) return undefined;
  const magnitude = BigInt(match[2]!);
  return { length: match[0].length, value: match[1] ? -magnitude : magnitude };
}

/** A number from 0 to 2^53, printed by `format`. */
function unsigned(format: (value: number) => string): OperandKind {
  return {
    print: ([value]) => format(value!),
    parse: (text) => {
      const found = parseNumber(text);
      return found && found.value >= 0n ? { length: found.length, values: [Number(found.value)] } : undefined;
    },
  };
}

/** An optional ", lsl #n" whose amount is a multiple of `step`. */
function optionalShift(step: number): OperandKind {
  return {
    print: ([value]) => (value === 0 ? "" : `, lsl #${value! * step}`),
    parse: (text) => {
      const match = /^, lsl #(\d+)(?!\w)/.exec(text);
      if (!match) return { length: 0, values: [0] };
      const amount = Number(match[1]);
      return amount % step === 0 ? { length: match[0].length, values: [amount / step] } : undefined;
    },
  };
}

const SHIFTS = ["lsl", "lsr", "asr", "ror"];
const EXTENDS = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"];

const CONDITIONS = [
  "eq",
  "ne",
  "cs",
  "cc",
  "mi",
  "pl",
  "vs",
  "vc",
  "hi",
  "ls",
  "ge",
  "lt",
  "gt",
  "le",
  "al",
  "nv",
];
const CONDITION_SYNONYMS: Readonly<Record<string, string>> = { hs: "cs", lo: "cc" };

/** The number of a condition name (synonyms included), or -1. */
export function conditionNumber(name: string): number {
  return CONDITIONS.indexOf(CONDITION_SYNONYMS[name] ?? name);
}

export const IMMEDIATE_KINDS = {
  /** An unsigned field in decimal; `hex` in hexadecimal. */
  dec: unsigned(String),
  hex: unsigned((value) => hex(value)),
  /** `sdec field width`: a signed field in decimal. */
  sdec: {
    print: ([value, width]) => String((value! << (32 - width!)) >> (32 - width!)),
    parse: (text, _pc, [, width]) => {
      const found = parseNumber(text);
      if (!found || width === undefined) return undefined;
      const limit = 1n << BigInt(width - 1);
      if (found.value < -limit || found.value >= limit) return undefined;
      return { length: found.length, values: [Number(BigInt.asUintN(width, found.value)), undefined] };
    },
  },
  /** A multiple of 16, in hexadecimal. */
  hex16: {
    print: ([value]) => hex(value! * 16),
    parse: (text) => {
      const found = parseNumber(text);
      if (!found || found.value < 0n || found.value & 15n) return undefined;
      return { length: found.length, values: [Number(found.value >> 4n)] };
    },
  },
  /** `same field other`: no text; the field has the value of the other argument, a field or a constant. */
  same: {
    print: () => "",
    parse: (_text, _pc, [, other]) => ({ length: 0, values: [other, undefined] }),
  },
  lsl12: optionalShift(12),
  lsl16: optionalShift(16),
  /** `bitmask N immr imms sf`: a logical immediate. */
  bitmask: {
    print: ([N, immr, imms, sf]) => {
      const mask = decodeBitMask(N!, immr!, imms!) ?? 0n;
      return hex(sf ? mask : mask & 0xffff_ffffn);
    },
    parse: (text, _pc, [, , , sf]) => {
      const found = parseNumber(text);
      if (!found) return undefined;
      const width = sf ? 64 : 32;
      if (
        BigInt.asUintN(width, found.value) !== found.value &&
        BigInt.asIntN(width, found.value) !== found.value
      )
        return undefined;
      const low = BigInt.asUintN(width, found.value);
      const fields = encodeBitMask(sf ? low : low | (low << 32n));
      return fields && { length: found.length, values: [...fields, undefined] };
    },
  },
  /** `shift shift imm6`: ", lsr #3"; LSL by 0 is not written. */
  shift: {
    print: ([shift, amount]) => (shift === 0 && amount === 0 ? "" : `, ${SHIFTS[shift!]} #${amount}`),
    parse: (text) => {
      const match = /^, (lsl|lsr|asr|ror) #(\d+)(?!\w)/.exec(text);
      if (!match) return { length: 0, values: [0, 0] };
      return { length: match[0].length, values: [SHIFTS.indexOf(match[1]!), Number(match[2])] };
    },
  },
  /** `extend option imm3 sf Rn Rd`: ", uxtw #2"; with SP among Rn and Rd the full width is LSL, unwritten at 0. */
  extend: {
    print: ([option, amount, sf, Rn, Rd]) => {
      if (option === (sf ? 3 : 2) && (Rn === 31 || Rd === 31)) return amount === 0 ? "" : `, lsl #${amount}`;
      return `, ${EXTENDS[option!]}${amount === 0 ? "" : ` #${amount}`}`;
    },
    parse: (text, _pc, [, , sf, Rn, Rd]) => {
      const match = /^, ([us]xt[bhwx]|lsl)(?: #(\d+))?(?!\w)/.exec(text);
      const full = sf ? 3 : 2;
      // Without SP, LSL and nothing belong to the shifted register forms.
      if ((!match || match[1] === "lsl") && Rn !== 31 && Rd !== 31) return undefined;
      if (!match) return { length: 0, values: [full, 0] };
      const option = match[1] === "lsl" ? full : EXTENDS.indexOf(match[1]!);
      return { length: match[0].length, values: [option, match[2] === undefined ? 0 : Number(match[2])] };
    },
  },
  /** A condition. */
  cond: {
    print: ([value]) => CONDITIONS[value!]!,
    parse: (text) => {
      const match = /^[a-z]+(?!\w)/.exec(text);
      const value = match ? conditionNumber(match[0]) : -1;
      return value < 0 ? undefined : { length: match![0].length, values: [value] };
    },
  },
  /** `bitnumber b5 b40`: the bit that TBZ tests. */
  bitnumber: {
    print: ([b5, b40]) => String((b5! << 5) | b40!),
    parse: (text) => {
      const found = parseNumber(text);
      if (!found || found.value < 0n || found.value > 63n) return undefined;
      const value = Number(found.value);
      // A bit below 32 may be asked of the X register too; the encoding is that of W.
      return { length: found.length, values: [value >> 5, value & 31] };
    },
  },
} as const satisfies Record<string, OperandKind>;
