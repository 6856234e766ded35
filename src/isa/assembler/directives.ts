import { evaluate, type SymbolLookup } from "./expression.ts";
import { parseString, splitArguments } from "./source.ts";

/** Directives that say nothing this assembler needs: it has one section, every instruction, no debugger. */
export const IGNORED_DIRECTIVES: ReadonlySet<string> = new Set([
  ".text",
  ".arch",
  ".arch_extension",
  ".cpu",
  ".type",
  ".size",
  ".file",
  ".end",
  ".weak",
  ".hidden",
]);

/** Bytes of one item. */
const DATA: Readonly<Record<string, 1 | 2 | 4 | 8>> = {
  ".byte": 1,
  ".hword": 2,
  ".short": 2,
  ".2byte": 2,
  ".word": 4,
  ".long": 4,
  ".int": 4,
  ".4byte": 4,
  ".inst": 4,
  ".quad": 8,
  ".xword": 8,
  ".8byte": 8,
};

const TERMINATORS: Readonly<Record<string, string>> = { ".ascii": "", ".asciz": "\0", ".string": "\0" };
const SPACES: ReadonlySet<string> = new Set([".space", ".skip", ".zero"]);
const ALIGNMENTS: ReadonlySet<string> = new Set([".balign", ".align", ".p2align"]);

function value(text: string | undefined, lookup: SymbolLookup): bigint | undefined {
  const found = text === undefined ? undefined : evaluate(text, lookup);
  return found && found.length === text?.length ? found.value : undefined;
}

function encodeString(text: string): Uint8Array {
  // Bytes above 127 come from escapes; everything else of the source is UTF-8.
  return /[\u0080-\u00ff]/.test(text) && !/[\u0100-\uffff]/.test(text)
    ? Uint8Array.from(text, (character) => character.charCodeAt(0))
    : new TextEncoder().encode(text);
}

/** Bytes that a directive takes at `address`, or what is wrong with it. */
export function directiveSize(
  directive: string,
  operands: string,
  address: bigint,
  origin: bigint,
  lookup: SymbolLookup,
): number | string {
  const parts = splitArguments(operands);
  const unit = DATA[directive];
  if (unit !== undefined) return parts.length === 0 ? `${directive} needs a value` : parts.length * unit;
  const terminator = TERMINATORS[directive];
  if (terminator !== undefined) {
    const strings = parts.map(parseString);
    if (strings.some((each) => each === undefined)) return `${directive} needs quoted strings`;
    return strings.reduce((sum, each) => sum + encodeString(each! + terminator).length, 0);
  }
  const first = value(parts[0], lookup);
  if (SPACES.has(directive) || ALIGNMENTS.has(directive) || directive === ".org") {
    if (first === undefined) return `${directive} needs a value known at this point, not "${operands}"`;
    if (directive === ".org") {
      const distance = origin + first - address;
      return distance < 0n ? ".org goes backwards" : Number(distance);
    }
    if (SPACES.has(directive)) return first < 0n || first > 1n << 30n ? `${first} is no size` : Number(first);
    if (first < 0n || first > 1n << 30n) return `${first} is no alignment`;
    const alignment = directive === ".balign" ? first : 1n << (first > 30n ? 30n : first);
    return alignment === 0n ? 0 : Number((alignment - (address % alignment)) % alignment);
  }
  return `the directive "${directive}" is not known`;
}

/** Fills in a directive's bytes; returns what is wrong with it, if anything. */
export function writeDirective(
  directive: string,
  operands: string,
  target: DataView,
  lookup: SymbolLookup,
): string | undefined {
  const parts = splitArguments(operands);
  const unit = DATA[directive];
  if (unit !== undefined) {
    for (const [index, part] of parts.entries()) {
      const item = value(part, lookup);
      if (item === undefined) return `"${part}" is not a known value`;
      for (let byte = 0; byte < unit; byte++) {
        target.setUint8(index * unit + byte, Number((item >> BigInt(byte * 8)) & 0xffn));
      }
    }
    return undefined;
  }
  const terminator = TERMINATORS[directive];
  if (terminator !== undefined) {
    const bytes = parts.flatMap((part) => [...encodeString((parseString(part) ?? "") + terminator)]);
    for (const [index, byte] of bytes.entries()) target.setUint8(index, byte);
    return undefined;
  }
  const filler = Number((value(parts[1], lookup) ?? 0n) & 0xffn);
  if (filler) for (let index = 0; index < target.byteLength; index++) target.setUint8(index, filler);
  return undefined;
}
