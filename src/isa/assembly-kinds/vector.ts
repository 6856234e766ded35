import type { OperandKind } from "../assembly.ts";
import { enumerated } from "./enumerated.ts";

/** Arrangements by element size (0: bytes) and Q. */
export const ARRANGEMENTS = [
  ["8b", "16b"],
  ["4h", "8h"],
  ["2s", "4s"],
  ["1d", "2d"],
] as const;

/** The arrangement with elements twice as wide as `size` says. */
const WIDE_ARRANGEMENTS = ["8h", "4s", "2d", "1q"] as const;
const SCALARS = ["b", "h", "s", "d", "q"] as const;

/** Position of the lowest set bit of `imm5`, which gives the element size; undefined when reserved. */
export function elementSizeOfImm5(imm5: number): number | undefined {
  for (let size = 0; size < 4; size++) if (imm5 & (1 << size)) return size;
  return undefined;
}

function fixedArrangement(arrangement: string): OperandKind {
  return enumerated([5], (register) => `v${register}.${arrangement}`);
}

function fixedScalar(letter: string): OperandKind {
  return enumerated([5], (register) => `${letter}${register}`);
}

function arrangementByQ(size: 0 | 1 | 2 | 3): OperandKind {
  return enumerated([5, 1], (register, Q) => `v${register}.${ARRANGEMENTS[size][Q as 0 | 1]}`);
}

function list(count: number, register: number, suffix: string): string {
  const names = Array.from({ length: count }, (_, i) => `v${(register + i) & 31}.${suffix}`);
  // GNU abbreviates three and more registers unless they wrap around.
  if (count > 2 && register + count <= 32) return `{${names[0]}-${names[count - 1]}}`;
  return `{${names.join(", ")}}`;
}

const LIST = /^\{[^}]*\}(\[\d+\])?/;

/** Register lists of 1 to 4: whole registers, registers of bytes (TBL), one element. */
function lists(count: 1 | 2 | 3 | 4): Record<string, OperandKind> {
  const element = (
    letter: string,
    widths: readonly number[],
    index: (...fields: number[]) => number | undefined,
  ) =>
    enumerated(
      [5, ...widths],
      (register = 0, ...fields) => {
        const lane = index(...fields);
        return lane === undefined ? undefined : `${list(count, register, letter)}[${lane}]`;
      },
      LIST,
    );
  return {
    /** Rt size Q */
    [`list${count}`]: enumerated(
      [5, 2, 1],
      (register = 0, size, Q) => list(count, register, ARRANGEMENTS[size as 0][Q as 0]),
      LIST,
    ),
    /** Rn */
    [`list${count}_16b`]: enumerated([5], (register = 0) => list(count, register, "16b"), LIST),
    /** Rt Q S size */
    [`list${count}_b`]: element("b", [1, 1, 2], (Q = 0, S = 0, size = 0) => (Q << 3) | (S << 2) | size),
    /** Rt Q S size, of which only the upper bit is a field */
    [`list${count}_h`]: element("h", [1, 1, 1], (Q = 0, S = 0, size = 0) => (Q << 2) | (S << 1) | size),
    /** Rt Q S */
    [`list${count}_s`]: element("s", [1, 1], (Q = 0, S = 0) => (Q << 1) | S),
    /** Rt Q */
    [`list${count}_d`]: element("d", [1], (Q = 0) => Q),
  };
}

/**
 * Vector registers, scalars in them, elements and lists. The names: `VT` has its arrangement from fields,
 * `V8b` a fixed one, `D` is a scalar register, `Vi` an element with index.
 */
export const VECTOR_KINDS: Record<string, OperandKind> = {
  /** Rd size Q: v0.8b to v31.2d */
  VT: enumerated([5, 2, 1], (register, size, Q) => `v${register}.${ARRANGEMENTS[size as 0][Q as 0]}`),
  /** Rd size: elements twice as wide as size says, the whole register: 8h, 4s, 2d, 1q */
  VW: enumerated([5, 2], (register, size) => `v${register}.${WIDE_ARRANGEMENTS[size as 0]}`),
  /** Rd size Q: elements twice as wide as size says, half or whole register: 4h 8h, 2s 4s, 1d 2d */
  VP: enumerated([5, 2, 1], (register, size = 0, Q) =>
    size === 3 ? undefined : `v${register}.${ARRANGEMENTS[(size + 1) as 0][Q as 0]}`,
  ),
  /** Rd Q */
  Vb: arrangementByQ(0),
  Vh: arrangementByQ(1),
  Vs: arrangementByQ(2),
  Vd: arrangementByQ(3),
  /** Rd sz Q: 2s 4s, 1d 2d */
  VF: enumerated([5, 1, 1], (register, sz = 0, Q) => `v${register}.${ARRANGEMENTS[(sz + 2) as 2][Q as 0]}`),
  ...Object.fromEntries(
    ["4b", "8b", "16b", "2h", "4h", "8h", "2s", "4s", "1d", "2d", "1q"].map((arrangement) => [
      `V${arrangement}`,
      fixedArrangement(arrangement),
    ]),
  ),
  /** Rd */
  ...Object.fromEntries(SCALARS.map((letter) => [letter.toUpperCase(), fixedScalar(letter)])),
  /** Rd size: b, h, s, d */
  BHSD: enumerated([5, 2], (register, size) => `${SCALARS[size as 0]}${register}`),
  /** Rd size: one size wider: h, s, d, q */
  HSDQ: enumerated([5, 2], (register, size = 0) => `${SCALARS[(size + 1) as 0]}${register}`),
  /** Rd sz: s, d */
  SD: enumerated([5, 1], (register, sz = 0) => `${SCALARS[(sz + 2) as 0]}${register}`),
  /** size L M Rm:4 H: the element of "by element" forms: v15.h[H:L:M], v31.s[H:L], v31.d[H] */
  Vi: enumerated([2, 1, 1, 4, 1], (size, L = 0, M = 0, Rm = 0, H = 0) => {
    if (size === 1) return `v${Rm}.h[${(H << 2) | (L << 1) | M}]`;
    if (size === 2) return `v${(M << 4) | Rm}.s[${(H << 1) | L}]`;
    return size === 3 && L === 0 ? `v${(M << 4) | Rm}.d[${H}]` : undefined;
  }),
  /** Rn: the upper doubleword */
  Vd1: enumerated([5], (register) => `v${register}.d[1]`),
  /** Rn imm5: v0.b[15] to v0.d[1] */
  Ve: enumerated([5, 5], (register, imm5 = 0) => {
    const size = elementSizeOfImm5(imm5);
    return size === undefined ? undefined : `v${register}.${SCALARS[size]}[${imm5 >> (size + 1)}]`;
  }),
  /** Rn imm5 imm4: the source element of INS, its size from imm5 */
  Ve4: {
    print: ([register, imm5 = 0, imm4 = 0]) => {
      const size = elementSizeOfImm5(imm5) ?? 0;
      return `v${register}.${SCALARS[size]}[${imm4 >> size}]`;
    },
    parse: (text) => {
      const match = /^v(\d+)\.([bhsd])\[(\d+)\]/i.exec(text);
      if (!match) return undefined;
      const size = "bhsd".indexOf(match[2]!.toLowerCase());
      return { length: match[0].length, values: [Number(match[1]), undefined, Number(match[3]) << size] };
    },
  },
  /** Rd imm5 Q: the arrangement of DUP from a general-purpose register */
  Vdup: enumerated([5, 5, 1], (register, imm5 = 0, Q) => {
    const size = elementSizeOfImm5(imm5);
    return size === undefined ? undefined : `v${register}.${ARRANGEMENTS[size as 0][Q as 0]}`;
  }),
  ...lists(1),
  ...lists(2),
  ...lists(3),
  ...lists(4),
};
