import type { OperandKind } from "../assembly.ts";
import { expandFloatImmediate } from "../pseudocode/float-immediate.ts";
import { SINGLE } from "../softfloat/format.ts";
import { enumerated } from "./enumerated.ts";
import { ARRANGEMENTS } from "./vector.ts";

/** Values of all 256 floating-point immediates. */
function immediateValues(): number[] {
  const view = new DataView(new ArrayBuffer(4));
  return Array.from({ length: 256 }, (_, imm8) => {
    view.setUint32(0, Number(expandFloatImmediate(SINGLE, imm8)));
    return view.getFloat32(0);
  });
}

/** A value as GNU objdump prints it: 18 places, an exponent of at least two digits. */
function immediateText(value: number): string {
  return value.toExponential(18).replace(/e([+-])(\d)$/, "e$10$2");
}

const NUMBER = /^[+-]?\d+(\.\d*)?(e[+-]?\d+)?/i;

/** An immediate whose eight bits lie in fields of these widths, the upper ones first. */
function floatImmediate(widths: readonly number[]): OperandKind {
  let values: readonly number[] | undefined;
  return {
    print: (fields) => {
      values ??= immediateValues();
      const imm8 = fields.reduce((joined, field, index) => (joined << widths[index]!) | field, 0);
      return immediateText(values[imm8]!);
    },
    parse: (text) => {
      values ??= immediateValues();
      const match = NUMBER.exec(text);
      const imm8 = match ? values.findIndex((value) => Object.is(value, Number(match[0]))) : -1;
      if (imm8 < 0) return undefined;
      let rest = imm8;
      const fields: number[] = [];
      for (const width of [...widths].reverse()) {
        fields.unshift(rest & ((1 << width) - 1));
        rest >>= width;
      }
      return { length: match![0].length, values: fields };
    },
  };
}

/** Operand kinds of floating-point instructions. */
export const FP_KINDS: Record<string, OperandKind> = {
  /** imm8 */
  fpimm: floatImmediate([8]),
  /** abc defgh */
  fpimm53: floatImmediate([3, 5]),
  /** Rn sz: the pair that a scalar pairwise operation combines */
  VpairF: enumerated([5, 1], (register, sz) => `v${register}.${sz ? "2d" : "2s"}`),
  /** Rd sz: the wide side of FCVTL and FCVTN */
  VwideF: enumerated([5, 1], (register, sz) => `v${register}.${sz ? "2d" : "4s"}`),
  /** Rd sz Q: their narrow side */
  VnarrowF: enumerated(
    [5, 1, 1],
    (register, sz = 0, Q) => `v${register}.${ARRANGEMENTS[(sz + 1) as 1][Q as 0]}`,
  ),
  /** rot: quarter turns of complex arithmetic */
  rotation: enumerated([2], (rot = 0) => String(90 * rot)),
  oddRotation: enumerated([1], (rot) => (rot ? "270" : "90")),
  /** L M Rm H: a pair of halves */
  VcH: enumerated([1, 1, 4, 1], (L = 0, M = 0, Rm = 0, H = 0) => `v${(M << 4) | Rm}.h[${(H << 1) | L}]`),
  /** M Rm H: a pair of singles */
  VcS: enumerated([1, 4, 1], (M = 0, Rm = 0, H) => `v${(M << 4) | Rm}.s[${H}]`),
  /** scale: the number of fraction bits, 64 - scale */
  fbits: {
    print: ([scale = 0]) => String(64 - scale),
    parse: (text) => {
      const match = /^\d+(?!\w)/.exec(text);
      const bits = Number(match?.[0] ?? 0);
      return bits >= 1 && bits <= 64 ? { length: match![0].length, values: [64 - bits] } : undefined;
    },
  },
};
