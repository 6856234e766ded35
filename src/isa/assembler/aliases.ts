import { conditionNumber } from "../assembly-kinds/immediates.ts";
import { processStateField } from "../assembly-kinds/system.ts";
import { encodeBitMask } from "../pseudocode/bitmask-immediate.ts";
import { decodeRegister } from "../system-registers/definition.ts";
import { SYSTEM_INSTRUCTIONS } from "../system-registers/system-instructions.ts";
import { VECTOR_ALIASES, vectorMove, vectorNot } from "./vector-aliases.ts";

/**
 * Aliases of the manual that the assembler accepts: each gives the instruction meant, or undefined when these
 * operands are none of its own. Operands come in the printed form, split at the outer commas.
 */
export type Alias = (operands: readonly string[]) => string | undefined;

const isRegister = (text: string | undefined): boolean =>
  /^(?:[xw](?:\d\d?|zr)|w?sp|fp|lr)$/.test(text ?? "");
const isWide = (register: string): boolean => /^(?:x|sp|fp|lr)/.test(register);
const isStack = (register: string): boolean => /^w?sp$/.test(register);
const zero = (register: string): string => (isWide(register) ? "xzr" : "wzr");
const narrow = (register: string): string => register.replace(/^x/, "w");
const widen = (register: string): string => register.replace(/^w/, "x");
const sizeOf = (register: string): number => (isWide(register) ? 64 : 32);
const list = (operands: readonly (string | undefined)[]): string => operands.join(", ");

function number(text: string | undefined): number | undefined {
  const match = /^#(-?(?:0x[0-9a-f]+|\d+))$/.exec(text ?? "");
  if (!match) return undefined;
  const negative = match[1]!.startsWith("-");
  return negative ? -Number(match[1]!.slice(1)) : Number(match[1]);
}

/** "cmp x0, ..." is "subs xzr, x0, ...". */
const discarding =
  (mnemonic: string): Alias =>
  (operands) =>
    operands.length < 2 ? undefined : `${mnemonic} ${list([zero(operands[0]!), ...operands])}`;

/** "neg x0, x1, ..." is "sub x0, xzr, x1, ...". */
const fromZero =
  (mnemonic: string): Alias =>
  ([d, ...rest]) =>
    d === undefined || !isRegister(rest[0]) ? undefined : `${mnemonic} ${list([d, zero(d), ...rest])}`;

/** Field moves, from position and width or amount to the rotation and the upper bit of the encoding. */
function fieldMove(
  mnemonic: string,
  bounds: (size: number, first: number, second: number) => readonly [immr: number, imms: number],
): Alias {
  return ([d, n, first, second]) => {
    const [a, b] = [number(first), number(second) ?? 0];
    if (d === undefined || n === undefined || a === undefined || !isRegister(d)) return undefined;
    const [immr, imms] = bounds(sizeOf(d), a, b);
    return immr < 0 || imms < 0 ? undefined : `${mnemonic} ${d}, ${n}, #${immr}, #${imms}`;
  };
}

const insert = (size: number, position: number, width: number) =>
  [(size - position) % size, width - 1] as const;
const extract = (_: number, position: number, width: number) => [position, position + width - 1] as const;
const right = (size: number, amount: number) => [amount, size - 1] as const;
const left = (size: number, amount: number) => [(size - amount) % size, size - 1 - amount] as const;

/** "sxtb x0, w1" is "sbfm x0, x1, #0, #7". */
const extend =
  (mnemonic: string, upper: number): Alias =>
  ([d, n]) => {
    if (d === undefined || !isRegister(n)) return undefined;
    return `${mnemonic} ${d}, ${isWide(d) ? widen(n!) : narrow(n!)}, #0, #${upper}`;
  };

/** "cset x0, eq" is "csinc x0, xzr, xzr, ne". */
const conditional =
  (mnemonic: string, sources: (d: string, rest: readonly string[]) => readonly string[]): Alias =>
  (operands) => {
    const condition = conditionNumber(operands.at(-1) ?? "");
    const [d, ...rest] = operands.slice(0, -1);
    if (d === undefined || condition < 0 || condition >= 14) return undefined;
    return `${mnemonic} ${list([d, ...sources(d, rest), CONDITION_NAMES[condition ^ 1]])}`;
  };
const CONDITION_NAMES = ["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"];
const bothZero = (d: string): readonly string[] => [zero(d), zero(d)];
const sameTwice = (_: string, [n]: readonly string[]): readonly string[] => [n!, n!];

/** "mul x0, x1, x2" is "madd x0, x1, x2, xzr". */
const multiply =
  (mnemonic: string): Alias =>
  (operands) =>
    operands.length === 3 && isRegister(operands[0])
      ? `${mnemonic} ${list([...operands, zero(operands[0]!)])}`
      : undefined;

function move([d, source]: readonly string[]): string | undefined {
  if (d === undefined || source === undefined || !isRegister(d)) return undefined;
  if (isRegister(source)) {
    return isStack(d) || isStack(source) ? `add ${d}, ${source}, #0` : `orr ${d}, ${zero(d)}, ${source}`;
  }
  const match = /^#(-?)(0x[0-9a-f]+|\d+)$/.exec(source);
  if (!match) return undefined;
  const size = sizeOf(d);
  const value = BigInt.asUintN(size, match[1] ? -BigInt(match[2]!) : BigInt(match[2]!));
  for (const [mnemonic, pattern] of [
    ["movz", value],
    ["movn", BigInt.asUintN(size, ~value)],
  ] as const) {
    // The stack pointer is ORR's destination only.
    for (let shift = isStack(d) ? size : 0; shift < size; shift += 16) {
      if ((pattern >> BigInt(shift)) << BigInt(shift) === pattern && pattern >> BigInt(shift) < 0x10000n) {
        return `${mnemonic} ${d}, #${pattern >> BigInt(shift)}, lsl #${shift}`;
      }
    }
  }
  if (!encodeBitMask(size === 64 ? value : value | (value << 32n))) return undefined;
  return `orr ${d}, ${zero(d)}, #${value}`;
}

/** "lsl x0, x1, #3"; with a register the mnemonic is the instruction's own. */
const shiftBy =
  (immediate: Alias): Alias =>
  (operands) =>
    isRegister(operands[2]) ? undefined : immediate(operands);

/** By "dc civac" and the like. */
const SYSTEM_INSTRUCTION_ENCODINGS: ReadonlyMap<string, number> = new Map(
  SYSTEM_INSTRUCTIONS.map(({ name, encoding }) => [name.toLowerCase(), encoding]),
);

/** "dc civac, x0" and siblings are SYS. */
const systemOperation =
  (mnemonic: "at" | "dc" | "ic" | "tlbi"): Alias =>
  ([name, register]) => {
    const encoding = SYSTEM_INSTRUCTION_ENCODINGS.get(`${mnemonic} ${name}`);
    if (encoding === undefined) return undefined;
    const [, op1, CRn, CRm, op2] = decodeRegister(encoding);
    return `sys #${op1}, c${CRn}, c${CRm}, #${op2}${register === undefined ? "" : `, ${register}`}`;
  };

const NEGATED: Readonly<Record<string, string>> = { add: "sub", adds: "subs", sub: "add", subs: "adds" };

/** A negative immediate turns an addition into a subtraction and back; multiples of 4096 are shifted. */
const addition =
  (mnemonic: string): Alias =>
  ([d, n, immediate, ...rest]) => {
    const value = number(immediate);
    if (value === undefined) return undefined;
    const meant = value < 0 ? NEGATED[mnemonic] : mnemonic;
    const magnitude = Math.abs(value);
    if (magnitude > 0xfff && magnitude % 0x1000 === 0 && rest.length === 0) {
      return `${meant} ${list([d, n, `#${magnitude / 0x1000}`, "lsl #12"])}`;
    }
    return value < 0 ? `${meant} ${list([d, n, `#${magnitude}`, ...rest])}` : undefined;
  };

/** TBZ of a lower bit is that of the W register. */
const testBit =
  (mnemonic: string): Alias =>
  ([t, bit, label]) =>
    t === undefined || !t.startsWith("x") || (number(bit) ?? 32) > 31
      ? undefined
      : `${mnemonic} ${list([narrow(t), bit, label])}`;

/** BIC of an immediate is AND of its complement. */
function clearBits([d, n, immediate]: readonly string[]): string | undefined {
  const match = /^#(0x[0-9a-f]+|\d+)$/.exec(immediate ?? "");
  if (!match || d === undefined || !isRegister(d)) return undefined;
  return `and ${list([d, n, `#${BigInt.asUintN(sizeOf(d), ~BigInt(match[1]!))}`])}`;
}

/** MSR of a process state field by its numbers, "s0_3_c4_c2_6, xzr". */
function processState([field, register]: readonly string[]): string | undefined {
  const match = /^s0_([0-7])_c4_c(\d\d?)_([0-7])$/.exec(field ?? "");
  if (!match || register !== "xzr") return undefined;
  const name = processStateField(Number(match[1]), Number(match[3]));
  return name && `msr ${name}, #0x${Number(match[2]).toString(16)}`;
}

const ATOMICS = ["add", "clr", "eor", "set", "smax", "smin", "umax", "umin"];
const UNSCALED = ["ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrsw", "str", "strb", "strh"];

/** By mnemonic. */
export const ALIASES: ReadonlyMap<string, Alias> = new Map<string, Alias>([
  ["mov", (operands) => move(operands) ?? vectorMove(operands)],
  ["mvn", (operands) => vectorNot(operands) ?? fromZero("orn")(operands)],
  ...VECTOR_ALIASES,
  ["neg", fromZero("sub")],
  ["negs", fromZero("subs")],
  ["ngc", fromZero("sbc")],
  ["ngcs", fromZero("sbcs")],
  ["cmp", discarding("subs")],
  ["cmn", discarding("adds")],
  ["tst", discarding("ands")],
  ["lsl", shiftBy(fieldMove("ubfm", left))],
  ["lsr", shiftBy(fieldMove("ubfm", right))],
  ["asr", shiftBy(fieldMove("sbfm", right))],
  ["ror", ([d, n, amount]) => (number(amount) === undefined ? undefined : `extr ${list([d, n, n, amount])}`)],
  ["ubfiz", fieldMove("ubfm", insert)],
  ["sbfiz", fieldMove("sbfm", insert)],
  ["bfi", fieldMove("bfm", insert)],
  ["bfc", ([d, ...rest]) => (d === undefined ? undefined : fieldMove("bfm", insert)([d, zero(d), ...rest]))],
  ["ubfx", fieldMove("ubfm", extract)],
  ["sbfx", fieldMove("sbfm", extract)],
  ["bfxil", fieldMove("bfm", extract)],
  ["uxtb", extend("ubfm", 7)],
  ["uxth", extend("ubfm", 15)],
  ["sxtb", extend("sbfm", 7)],
  ["sxth", extend("sbfm", 15)],
  ["sxtw", extend("sbfm", 31)],
  ["cset", conditional("csinc", bothZero)],
  ["csetm", conditional("csinv", bothZero)],
  ["cinc", conditional("csinc", sameTwice)],
  ["cinv", conditional("csinv", sameTwice)],
  ["cneg", conditional("csneg", sameTwice)],
  ["mul", multiply("madd")],
  ["mneg", multiply("msub")],
  ["smull", multiply("smaddl")],
  ["smnegl", multiply("smsubl")],
  ["umull", multiply("umaddl")],
  ["umnegl", multiply("umsubl")],
  ["bic", clearBits],
  ["clearbhb", (operands) => (operands.length === 0 ? "hint #0x16" : undefined)],
  ["tbz", testBit("tbz")],
  ["tbnz", testBit("tbnz")],
  ["msr", processState],
  ["cmpp", (operands) => `subps ${list(["xzr", ...operands])}`],
  ["uxtw", ([d, n]) => (d === undefined ? undefined : `orr ${list([narrow(d), "wzr", n])}`)],
  ["rev64", (operands) => (isRegister(operands[0]) ? `rev ${list(operands)}` : undefined)],
  ...["lsl", "lsr", "asr", "ror"].map(
    (name) => [`${name}v`, (operands: readonly string[]) => `${name} ${list(operands)}`] as const,
  ),
  ...CONDITION_NAMES.map(
    (name) => [`b${name}`, (operands: readonly string[]) => `b.${name} ${list(operands)}`] as const,
  ),
  ["bhs", (operands) => `b.cs ${list(operands)}`],
  ["blo", (operands) => `b.cc ${list(operands)}`],
  ["b.hs", (operands) => `b.cs ${list(operands)}`],
  ["b.lo", (operands) => `b.cc ${list(operands)}`],
  ["isb", ([option]) => (option === "sy" ? "isb" : undefined)],
  ["dc", systemOperation("dc")],
  ["ic", systemOperation("ic")],
  ["at", systemOperation("at")],
  ["tlbi", systemOperation("tlbi")],
  ...Object.keys(NEGATED).map((mnemonic) => [mnemonic, addition(mnemonic)] as const),
  // An offset that is negative or not a multiple of the size takes the unscaled form.
  ...UNSCALED.map(
    (mnemonic) =>
      [
        mnemonic,
        (operands: readonly string[]) => `${mnemonic.replace(/^(ld|st)/, "$1u")} ${list(operands)}`,
      ] as const,
  ),
  ...ATOMICS.flatMap((operation) =>
    ["", "l"].flatMap((order) =>
      ["", "b", "h"].map((size): [string, Alias] => [
        `st${operation}${order}${size}`,
        ([s, address]) =>
          s === undefined ? undefined : `ld${operation}${order}${size} ${list([s, zero(s), address])}`,
      ]),
    ),
  ),
]);
