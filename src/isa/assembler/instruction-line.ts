import { ALIASES } from "./aliases.ts";
import { type EncodingFailure, encode, isMnemonic } from "./encode.ts";
import { evaluate, type SymbolLookup } from "./expression.ts";

/** Brings operands into the printed form and puts numbers where symbols and expressions stand. */
function prepareOperands(text: string, lookup: SymbolLookup): string {
  let prepared = "";
  // Expressions stand at the start of operands, offsets and immediates only.
  let start = true;
  let position = 0;
  while (position < text.length) {
    const rest = text.slice(position);
    const found = start ? evaluate(rest, lookup) : undefined;
    if (found) {
      const written = rest.slice(0, found.length);
      prepared +=
        /^\s*-?\w+$/.test(written) && lookup(written.trim()) === undefined ? written : ` ${found.value} `;
      position += found.length;
      start = false;
    } else {
      const character = rest[0]!;
      prepared += character;
      position++;
      if (!/\s/.test(character)) start = /[,[#]/.test(character);
    }
  }
  return normalize(prepared);
}

function normalize(text: string): string {
  return text
    .toLowerCase()
    .trim()
    .replace(/\s+/g, " ")
    .replace(/ ?,[ ]?/g, ", ")
    .replace(/([[{#]) /g, "$1")
    .replace(/ ([\]}!])/g, "$1")
    .replace(/\{[^}]*\}/g, (list) => registerList(list.replace(/ ?- ?/g, "-")));
}

/** A list of vector registers as it is printed: two with a comma, more as a range unless it wraps. */
function registerList(text: string): string {
  const range = /^\{v(\d+)(\.\w+)-v(\d+)\2\}$/.exec(text);
  if (range && (Number(range[1]) + 1) % 32 === Number(range[3])) {
    return `{v${range[1]}${range[2]}, v${range[3]}${range[2]}}`;
  }
  const parts = text.slice(1, -1).split(", ");
  const registers = parts.map((part) => /^v(\d+)(\.\w+)$/.exec(part));
  const [first] = registers;
  if (parts.length < 3 || !first) return text;
  const follow = registers.every(
    (each, index) => each && each[2] === first[2] && Number(each[1]) === Number(first[1]) + index,
  );
  return follow ? `{${parts[0]}-${parts.at(-1)}}` : text;
}

/** Splits at commas outside brackets and braces. */
function splitOperands(text: string): string[] {
  if (text === "") return [];
  return text.split(/, (?![^[]*\]|[^{]*\})/);
}

/** Where an operand is a bare number, GNU's assembler lets "#" be left out. */
const withMarks = (text: string): string =>
  text.replace(/(^|, ?|\b(?:[lm]sl|lsr|asr|ror|[su]xt[bhwx]) )(-?\d)/g, "$1#$2");

/** Immediates written the other way: some operand kinds know just one spelling. */
const inHexadecimal = (text: string): string =>
  text.replace(
    /(?<!\b(?:[lm]sl|lsr|asr|ror|[su]xt[bhwx]) )#(\d+)(?![\w.])/g,
    (_, digits: string) => `#0x${BigInt(digits).toString(16)}`,
  );
const inDecimal = (text: string): string =>
  text.replace(/#(0x[0-9a-f]+)(?![\w.])/g, (_, digits: string) => `#${BigInt(digits)}`);

/** The word of an alias, which may stand for another one: "cmp x0, #-1" is "subs", and that is "adds". */
function encodeAlias(
  name: string,
  operands: string,
  pc: bigint,
  depth = 0,
): number | EncodingFailure | undefined {
  const meant = ALIASES.get(name)?.(splitOperands(operands));
  if (meant === undefined) return undefined;
  const [mnemonicMeant, operandsMeant] = meant.split(/ (.*)/);
  const word = encode(mnemonicMeant!, operandsMeant ?? "", pc);
  if (typeof word === "number" || depth === 1) return word;
  return encodeAlias(mnemonicMeant!, operandsMeant ?? "", pc, 1) ?? word;
}

/**
 * The word of one instruction line (aliases included) at address `pc`, or what is wrong with it.
 * `operands` is as written.
 */
export function encodeLine(
  mnemonic: string,
  operands: string,
  pc: bigint,
  lookup: SymbolLookup,
): number | EncodingFailure {
  const name = mnemonic.toLowerCase();
  const prepared = prepareOperands(operands, lookup);
  const marked = withMarks(prepared);
  const forms = new Set([prepared, marked, inHexadecimal(marked), inDecimal(marked)]);
  let failure: EncodingFailure | undefined;
  for (const form of forms) {
    const direct = encode(name, form, pc);
    if (typeof direct === "number") return direct;
    failure ??= direct;
  }
  for (const form of forms) {
    const word = encodeAlias(name, form, pc);
    if (typeof word === "number") return word;
    if (word !== undefined && !isMnemonic(name)) failure = { ...word, position: 0 };
  }
  if (ALIASES.has(name) && !isMnemonic(name)) {
    return { position: 0, problem: `"${name}" does not take these operands` };
  }
  return failure!;
}
