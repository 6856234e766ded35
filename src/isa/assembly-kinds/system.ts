import { hex } from "../../base/bits.ts";
import type { OperandKind } from "../assembly.ts";
import { decodeRegister, encodeRegister } from "../system-registers/definition.ts";
import { SYSTEM_REGISTERS } from "../system-registers/table.ts";
import { parseNumber } from "./immediates.ts";
import { parseRegister } from "./registers.ts";

/** Limited-order barriers by CRm; the others are written as numbers. */
const BARRIERS: Readonly<Record<number, string>> = {
  1: "oshld",
  2: "oshst",
  3: "osh",
  5: "nshld",
  6: "nshst",
  7: "nsh",
  9: "ishld",
  10: "ishst",
  11: "ish",
  13: "ld",
  14: "st",
  15: "sy",
};

/** Fields of MSR (immediate): op1, op2, name. */
const PROCESS_STATE = [
  [0, 3, "uao"],
  [0, 4, "pan"],
  [0, 5, "spsel"],
  [3, 1, "ssbs"],
  [3, 2, "dit"],
  [3, 4, "tco"],
  [3, 6, "daifset"],
  [3, 7, "daifclr"],
] as const;

/** The name of a field that MSR (immediate) writes. */
export function processStateField(op1: number, op2: number): string | undefined {
  return PROCESS_STATE.find(([one, two]) => one === op1 && two === op2)?.[2];
}

const PREFETCH_TYPES = ["pld", "pli", "pst"];
const PREFETCH_POLICIES = ["keep", "strm"];

function prefetchName(operation: number): string | undefined {
  const [type, level] = [operation >> 3, (operation >> 1) & 3];
  return type < 3 && level < 3
    ? `${PREFETCH_TYPES[type]}l${level + 1}${PREFETCH_POLICIES[operation & 1]}`
    : undefined;
}

/** Names of system registers, in lower case, by their encoding, and back. */
const REGISTER_NAMES: ReadonlyMap<number, string> = new Map(
  SYSTEM_REGISTERS.map(({ name, encoding }) => [encoding, name.toLowerCase()]),
);
const REGISTER_ENCODINGS: ReadonlyMap<string, number> = new Map(
  SYSTEM_REGISTERS.map(({ name, encoding }) => [name.toLowerCase(), encoding]),
);

/** A name out of a table, or "#" and a number below `limit`. */
function named(nameOf: (value: number) => string | undefined, limit: number, blank = ""): OperandKind {
  const byName = new Map<string, number>();
  for (let value = 0; value < limit; value++) {
    const name = nameOf(value);
    if (name !== undefined) byName.set(name, value);
  }
  return {
    print: ([value]) => blank + (nameOf(value!) ?? `#${hex(value!, 2)}`),
    parse: (text) => {
      if (!text.startsWith(blank)) return undefined;
      const rest = text.slice(blank.length);
      const word = /^\w+/.exec(rest);
      const value = word ? byName.get(word[0]) : undefined;
      if (value !== undefined) return { length: blank.length + word![0].length, values: [value] };
      const found = rest.startsWith("#") ? parseNumber(rest.slice(1)) : undefined;
      if (!found || found.value < 0n || found.value >= BigInt(limit)) return undefined;
      return { length: blank.length + 1 + found.length, values: [Number(found.value)] };
    },
  };
}

export const SYSTEM_KINDS = {
  barrier: named((value) => BARRIERS[value], 16),
  /** The operation of a prefetch. */
  prefetch: named(prefetchName, 32),
  /** `optionalX Rt`: ", x3", unwritten for XZR. */
  optionalX: {
    print: ([value]) => (value === 31 ? "" : `, x${value}`),
    parse: (text) => {
      if (!text.startsWith(", ")) return { length: 0, values: [31] };
      const found = parseRegister(text.slice(2), false);
      return found?.sf === 1 ? { length: 2 + found.length, values: [found.index] } : undefined;
    },
  },
  /** `pstate op1 op2`. */
  pstate: {
    print: ([op1, op2]) => processStateField(op1!, op2!) ?? `s0_${op1}_c4_cn_${op2}`,
    parse: (text) => {
      const word = /^\w+/.exec(text)?.[0];
      const found = PROCESS_STATE.find(([, , name]) => name === word);
      return found && { length: found[2].length, values: [found[0], found[1]] };
    },
  },
  /** `sysreg o0 op1 CRn CRm op2`: a system register by its numbers, or its name. */
  sysreg: {
    print: ([o0, op1, CRn, CRm, op2]) => {
      const encoding = encodeRegister([2 | o0!, op1!, CRn!, CRm!, op2!]);
      return REGISTER_NAMES.get(encoding) ?? `s${2 | o0!}_${op1}_c${CRn}_c${CRm}_${op2}`;
    },
    parse: (text) => {
      const word = /^\w+/.exec(text)?.[0] ?? "";
      const named = REGISTER_ENCODINGS.get(word);
      if (named !== undefined) {
        const [op0, ...rest] = decodeRegister(named);
        return { length: word.length, values: [op0 & 1, ...rest] };
      }
      const match = /^s([23])_([0-7])_c(\d\d?)_c(\d\d?)_([0-7])$/.exec(word);
      if (!match) return undefined;
      const values = match.slice(1).map(Number);
      if (values[2]! > 15 || values[3]! > 15) return undefined;
      return { length: word.length, values: [values[0]! & 1, ...values.slice(1)] };
    },
  },
} as const satisfies Record<string, OperandKind>;
