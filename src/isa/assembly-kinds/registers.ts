import type { OperandKind } from "../assembly.ts";

/** General-purpose registers. `sf` tells X (1) from W (0); "S" kinds have SP as number 31, others ZR. */
function registerText(index: number, sf: number, stack: boolean): string {
  if (index === 31) return stack ? (sf ? "sp" : "wsp") : sf ? "xzr" : "wzr";
  return `${sf ? "x" : "w"}${index}`;
}

interface ParsedRegister {
  readonly length: number;
  readonly index: number;
  readonly sf: number;
}

/** Recognises a general-purpose register where 31 means SP (`stack`) or ZR. */
export function parseRegister(text: string, stack: boolean): ParsedRegister | undefined {
  const match = /^(?:([xw])(\d\d?|zr)|(w?sp)|(fp|lr))(?!\w)/.exec(text);
  if (!match) return undefined;
  const length = match[0].length;
  if (match[3] !== undefined) return stack ? { length, index: 31, sf: match[3] === "sp" ? 1 : 0 } : undefined;
  if (match[4] !== undefined) return { length, index: match[4] === "fp" ? 29 : 30, sf: 1 };
  const sf = match[1] === "x" ? 1 : 0;
  if (match[2] === "zr") return stack ? undefined : { length, index: 31, sf };
  const index = Number(match[2]);
  return index < 31 ? { length, index, sf } : undefined;
}

function fixed(sf: number, stack: boolean): OperandKind {
  return {
    print: ([index]) => registerText(index!, sf, stack),
    parse: (text) => {
      const found = parseRegister(text, stack);
      return found?.sf === sf ? { length: found.length, values: [found.index] } : undefined;
    },
  };
}

function sized(stack: boolean): OperandKind {
  return {
    print: ([index, sf]) => registerText(index!, sf!, stack),
    parse: (text) => {
      const found = parseRegister(text, stack);
      return found && { length: found.length, values: [found.index, found.sf] };
    },
  };
}

const SCALAR_LETTERS = "bhsdq";

/** A SIMD&FP register whose letter (0 B to 4 Q) follows from the arguments after its number. */
function scalar(letterOf: (rest: readonly (number | undefined)[]) => number | undefined): OperandKind {
  return {
    print: ([index, ...rest]) => `${SCALAR_LETTERS[letterOf(rest) ?? 0]}${index}`,
    parse: (text, _pc, [, ...rest]) => {
      const match = /^([bhsdq])(\d\d?)(?!\w)/.exec(text);
      const index = Number(match?.[2]);
      if (!match || index > 31 || SCALAR_LETTERS.indexOf(match[1]!) !== letterOf(rest)) return undefined;
      return { length: match[0].length, values: [index, ...rest.map(() => undefined)] };
    },
  };
}

/** A general-purpose register whose width (1 for X) follows from the arguments after its number. */
function general(widthOf: (rest: readonly (number | undefined)[]) => number | undefined): OperandKind {
  return {
    print: ([index, ...rest]) => registerText(index!, widthOf(rest) ?? 0, false),
    parse: (text, _pc, [, ...rest]) => {
      const found = parseRegister(text, false);
      if (!found || widthOf(rest) !== found.sf) return undefined;
      return { length: found.length, values: [found.index, ...rest.map(() => undefined)] };
    },
  };
}

const isOneOf =
  (...values: number[]) =>
  (rest: readonly (number | undefined)[]): number =>
    values.includes(rest[0]!) ? 1 : 0;

export const REGISTER_KINDS = {
  /** X0 to X30, XZR. */
  X: fixed(1, false),
  /** W0 to W30, WZR. */
  W: fixed(0, false),
  /** X0 to X30, SP. */
  XS: fixed(1, true),
  /** W0 to W30, WSP. */
  WS: fixed(0, true),
  /** `R index sf`. */
  R: sized(false),
  /** `RS index sf`: SP instead of ZR. */
  RS: sized(true),
  /** `Reven index sf`, `Rodd index sf`: an even register and the one after it. */
  Reven: sized(false),
  Rodd: {
    print: ([index, sf]) => registerText(index! + 1, sf!, false),
    parse: (text) => {
      const found = parseRegister(text, false);
      return found && { length: found.length, values: [found.index - 1, found.sf] };
    },
  },
  /** `Rext index sf option`: the register to be extended, W unless the whole of X is taken. */
  Rext: {
    print: ([index, sf, option]) => registerText(index!, sf! && (option! & 3) === 3 ? 1 : 0, false),
    parse: (text, _pc, [, sf]) => {
      const found = parseRegister(text, false);
      if (!found || (found.sf === 1 && sf === 0)) return undefined;
      return { length: found.length, values: [found.index, undefined, undefined] };
    },
  },
  /** `Rt index size opc`: the register of a load or store, X for doublewords and for sign extension to 64 bits. */
  Rt: general(([size, opc]) => (size === 3 || opc === 2 ? 1 : 0)),
  /** `Rsize index size`: X for size 3, else W. */
  Rsize: general(isOneOf(3)),
  /** `Rliteral index opc`: of a literal load. `Rpair index opc`: of a pair. */
  Rliteral: general(isOneOf(1, 2)),
  Rpair: general(isOneOf(1, 2)),
  /** `Vt index opc size`: the SIMD&FP register of a load or store. `Vpair index opc`: of a literal or a pair. */
  Vt: {
    print: ([index, opc, size]) => `${SCALAR_LETTERS[opc! >= 2 ? 4 : size!]}${index}`,
    parse: (text, _pc, [, opc]) => {
      const match = /^([bhsdq])(\d\d?)(?!\w)/.exec(text);
      const index = Number(match?.[2]);
      if (!match || index > 31 || opc === undefined || opc >= 2 !== (match[1] === "q")) return undefined;
      return {
        length: match[0].length,
        values: [index, undefined, match[1] === "q" ? 0 : SCALAR_LETTERS.indexOf(match[1]!)],
      };
    },
  },
  Vpair: scalar(([opc]) => opc! + 2),
} as const satisfies Record<string, OperandKind>;
