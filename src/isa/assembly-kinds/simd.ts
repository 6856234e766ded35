import type { OperandKind } from "../assembly.ts";
import { enumerated } from "./enumerated.ts";
import { ARRANGEMENTS, elementSizeOfImm5 } from "./vector.ts";

const LETTERS = "bhsdq";
const WIDE_ARRANGEMENTS = ["8h", "4s", "2d"] as const;

/** The operands of a shift by a constant, as text without the comma and blank between them. */
type ShiftForm = (
  size: number,
  Q: number,
  d: number,
  n: number,
) => readonly [string | undefined, string | undefined];

const sameVector: ShiftForm = (size, Q, d, n) => {
  const arrangement = ARRANGEMENTS[size as 0]?.[Q as 0];
  return [`v${d}.${arrangement}`, `v${n}.${arrangement}`];
};
const narrowVector: ShiftForm = (size, Q, d, n) => [
  `v${d}.${ARRANGEMENTS[size as 0][Q as 0]}`,
  `v${n}.${WIDE_ARRANGEMENTS[size]}`,
];
const longVector: ShiftForm = (size, Q, d, n) => [
  `v${d}.${WIDE_ARRANGEMENTS[size]}`,
  `v${n}.${ARRANGEMENTS[size as 0][Q as 0]}`,
];
const sameScalar: ShiftForm = (size, _, d, n) => [`${LETTERS[size]}${d}`, `${LETTERS[size]}${n}`];
const narrowScalar: ShiftForm = (size, _, d, n) => [`${LETTERS[size]}${d}`, `${LETTERS[size + 1]}${n}`];

const SHIFT = /^([vbhsd])(\d+)(\.\w+)?\s*,\s*([vbhsdq])(\d+)(\.\w+)?\s*,\s*#?(0x[0-9a-f]+|\d+)/i;

/**
 * `Rd Rn immh immb Q` (no Q in scalar forms): all operands of a shift by a constant, since the position of the
 * highest bit of immh is the element size, and what is below it the amount.
 */
function shiftOperands(form: ShiftForm, direction: "left" | "right"): OperandKind {
  return {
    print: ([d = 0, n = 0, immh = 0, immb = 0, Q = 0]) => {
      const size = 31 - Math.clz32(immh);
      const encoded = (immh << 3) | immb;
      const amount = direction === "left" ? encoded - (8 << size) : (16 << size) - encoded;
      return `${form(size, Q, d, n).join(", ")}, #${amount}`;
    },
    parse: (text) => {
      const match = SHIFT.exec(text);
      if (!match) return undefined;
      const [d, n, amount] = [Number(match[2]), Number(match[5]), Number(match[7])];
      const written = [match[1]! + match[2]! + (match[3] ?? ""), match[4]! + match[5]! + (match[6] ?? "")];
      for (let size = 0; size < 4; size++) {
        for (let Q = 0; Q < 2; Q++) {
          const [first, second] = form(size, Q, d, n);
          if (first !== written[0]?.toLowerCase() || second !== written[1]?.toLowerCase()) continue;
          const inRange = direction === "left" ? amount < 8 << size : amount >= 1 && amount <= 8 << size;
          if (!inRange) return undefined;
          const encoded = direction === "left" ? (8 << size) + amount : (16 << size) - amount;
          return { length: match[0].length, values: [d, n, encoded >> 3, encoded & 7, Q] };
        }
      }
      return undefined;
    },
  };
}

/** A kind whose text says nothing about fields that another operand of the row tells. */
function redundant(
  fields: number,
  pattern: RegExp,
  print: (...values: number[]) => string,
  known: (match: RegExpExecArray) => readonly (number | undefined)[] = () => [],
): OperandKind {
  return {
    print: (values) => print(...values),
    parse: (text) => {
      const match = pattern.exec(text);
      if (!match) return undefined;
      const values = known(match);
      return { length: match[0].length, values: Array.from({ length: fields }, (_, i) => values[i]) };
    },
  };
}

/** The increments of a post-indexed structure access, in bytes: `count` registers, by Q or by size. */
function increments(count: number): Record<string, OperandKind> {
  return {
    [`increment${count}`]: enumerated([1], (Q = 0) => String((8 * count) << Q)),
    [`elementIncrement${count}`]: enumerated([2], (size = 0) => String(count << size)),
  };
}

/** 64 bits of which each byte is all ones or zeros by one bit of abc:defgh. */
export function expandByteMask(imm8: number): bigint {
  let mask = 0n;
  for (let i = 0; i < 8; i++) if (imm8 & (1 << i)) mask |= 0xffn << BigInt(i * 8);
  return mask;
}

/** Operand kinds that only integer Advanced SIMD uses. */
export const SIMD_KINDS: Record<string, OperandKind> = {
  shiftRight: shiftOperands(sameVector, "right"),
  shiftLeft: shiftOperands(sameVector, "left"),
  shiftNarrow: shiftOperands(narrowVector, "right"),
  shiftLong: shiftOperands(longVector, "left"),
  scalarShiftRight: shiftOperands(sameScalar, "right"),
  scalarShiftLeft: shiftOperands(sameScalar, "left"),
  scalarShiftNarrow: shiftOperands(narrowScalar, "right"),
  /** size: 8, 16, 32 */
  elementBits: enumerated([2], (size = 0) => (size < 3 ? String(8 << size) : undefined)),
  /** abc defgh: the byte of a modified immediate */
  immediate8: enumerated([3, 5], (abc = 0, defgh = 0) => `0x${((abc << 5) | defgh).toString(16)}`),
  /** abc defgh: 64 bits of whole bytes */
  byteMask: enumerated(
    [3, 5],
    (abc = 0, defgh = 0) => `0x${expandByteMask((abc << 5) | defgh).toString(16)}`,
  ),
  /** shift: the distance of MSL */
  msl: enumerated([1], (shift = 0) => String(8 << shift)),
  /** shift: "" or ", lsl #8" to ", lsl #24" */
  optionalLsl8: {
    print: ([shift = 0]) => (shift === 0 ? "" : `, lsl #${shift * 8}`),
    parse: (text) => {
      const match = /^\s*,\s*lsl\s*#?(0|8|16|24)(?!\d)/i.exec(text);
      return match ? { length: match[0].length, values: [Number(match[1]) / 8] } : { length: 0, values: [0] };
    },
  },
  /** Rd imm5 Q: the arrangement of DUP from an element, which tells imm5 */
  VdupElement: redundant(
    3,
    /^v(\d+)\.(8b|16b|4h|8h|2s|4s|1d|2d)/i,
    (register, imm5 = 0, Q = 0) =>
      `v${register}.${ARRANGEMENTS[(elementSizeOfImm5(imm5) ?? 0) as 0][Q as 0]}`,
    (match) => [Number(match[1]), undefined, /16b|8h|4s|2d/i.test(match[2]!) ? 1 : 0],
  ),
  /** Rd imm5: the scalar that DUP makes of an element */
  scalarOfElement: redundant(
    2,
    /^[bhsd](\d+)/i,
    (register, imm5 = 0) => `${LETTERS[elementSizeOfImm5(imm5) ?? 0]}${register}`,
    (match) => [Number(match[1])],
  ),
  /** Rn imm5: the general-purpose register that goes to an element */
  RofElement: redundant(
    2,
    /^[wx](\d+|zr)/i,
    (register, imm5 = 0) =>
      `${elementSizeOfImm5(imm5) === 3 ? "x" : "w"}${register === 31 ? "zr" : register}`,
    (match) => [match[1]!.toLowerCase() === "zr" ? 31 : Number(match[1])],
  ),
  /** Rn Q: 2h, 4h */
  V2hOr4h: enumerated([5, 1], (register, Q) => `v${register}.${Q ? "4h" : "2h"}`),
  /** L M Rm:4 H: four bytes, two halfwords, a word of a register as one element */
  V4bElement: enumerated(
    [1, 1, 4, 1],
    (L = 0, M = 0, Rm = 0, H = 0) => `v${(M << 4) | Rm}.4b[${(H << 1) | L}]`,
  ),
  V2hElement: enumerated(
    [1, 1, 4, 1],
    (L = 0, M = 0, Rm = 0, H = 0) => `v${(M << 4) | Rm}.2h[${(H << 1) | L}]`,
  ),
  /** Rm imm2 */
  V4sElement: enumerated([5, 2], (register, index) => `v${register}.s[${index}]`),
  ...increments(1),
  ...increments(2),
  ...increments(3),
  ...increments(4),
};
