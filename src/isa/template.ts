import { Bug } from "../base/errors.ts";
import type { OperandKind } from "./assembly.ts";
import { OPERAND_KINDS } from "./assembly-kinds/registry.ts";
import type { EncodingPattern } from "./encoding-pattern.ts";
import type { FieldValues, Instruction } from "./instruction.ts";

/** One piece of an assembly template (see assembly.ts for the language). */
export type TemplatePart = LiteralPart | ChoicePart | OperandPart;
interface LiteralPart {
  readonly type: "literal";
  readonly text: string;
}
interface ChoicePart {
  readonly type: "choice";
  readonly fields: readonly string[];
  /** Width in bits of each field. */
  readonly widths: readonly number[];
  /** By the joined value; undefined where there is no text. */
  readonly alternatives: readonly (string | undefined)[];
}
interface OperandPart {
  readonly type: "operand";
  readonly name: string;
  readonly kind: OperandKind;
  /** Field names and constants. */
  readonly arguments: readonly (string | number)[];
}

/** A template taken apart. */
export interface Template {
  readonly when: ((fields: FieldValues) => boolean) | undefined;
  readonly mnemonic: readonly (LiteralPart | ChoicePart)[];
  readonly operands: readonly (LiteralPart | OperandPart)[];
}

/** The templates of a row, in order. */
export function parseTemplates(instruction: Instruction, pattern: EncodingPattern): Template[] {
  const { assembly, name } = instruction;
  if (typeof assembly === "string") return [parseTemplate(assembly, pattern, name, undefined)];
  return assembly.map(({ when, template }) => parseTemplate(template, pattern, name, when));
}

function parseTemplate(
  text: string,
  pattern: EncodingPattern,
  row: string,
  when: Template["when"],
): Template {
  const blank = text.indexOf(" ");
  const mnemonicText = blank < 0 ? text : text.slice(0, blank);
  const operandText = blank < 0 ? "" : text.slice(blank + 1);
  const widthOf = (name: string): number => {
    const field = pattern.fields.find((candidate) => candidate.name === name);
    if (!field) throw new Bug(`${row}: its assembly names ${name}, which is no field of its encoding`);
    return field.width;
  };
  const mnemonic = split(mnemonicText, /\{([\w,]+):([^}]*)\}/g, (names, texts): ChoicePart => {
    const fields = names.split(",");
    const widths = fields.map(widthOf);
    const alternatives = texts!.split("/").map((each) => (each === "-" ? undefined : each));
    const count = 2 ** widths.reduce((a, b) => a + b, 0);
    if (alternatives.length !== count)
      throw new Bug(`${row}: ${names} has ${count} values, not ${alternatives.length}`);
    return { type: "choice", fields, widths, alternatives };
  });
  const operands = split(operandText, /<([\w.]+)((?: \w+)*)>/g, (kindName, list): OperandPart => {
    const kind = OPERAND_KINDS[kindName];
    if (!kind) throw new Bug(`${row}: there is no operand kind ${kindName}`);
    const names = list!.trim() === "" ? [] : list!.trim().split(" ");
    const parsed = names.map((each) => (/^\d+$/.test(each) ? Number(each) : each));
    for (const each of parsed) if (typeof each === "string") widthOf(each);
    return { type: "operand", name: kindName, kind, arguments: parsed };
  });
  return { when, mnemonic, operands };
}

function split<P>(
  text: string,
  pattern: RegExp,
  make: (a: string, b: string | undefined) => P,
): (P | LiteralPart)[] {
  const parts: (P | LiteralPart)[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) parts.push({ type: "literal", text: text.slice(end, match.index) });
    parts.push(make(match[1]!, match[2]));
    end = match.index + match[0].length;
  }
  if (end < text.length) parts.push({ type: "literal", text: text.slice(end) });
  return parts;
}

/** The joined value of a choice's fields. */
function joinChoice(part: ChoicePart, fields: FieldValues): number {
  return part.fields.reduce((value, name, index) => (value << part.widths[index]!) | fields[name]!, 0);
}

/** The reverse: field values that make `index`. */
export function splitChoice(part: ChoicePart, index: number): FieldValues {
  const values: Record<string, number> = {};
  let rest = index;
  for (let at = part.fields.length - 1; at >= 0; at--) {
    const width = part.widths[at]!;
    values[part.fields[at]!] = rest & (2 ** width - 1);
    rest >>>= width;
  }
  return values;
}

/** The line for these fields at `pc`, or undefined where the template does not apply. */
export function printTemplate(template: Template, fields: FieldValues, pc: bigint): string | undefined {
  if (template.when && !template.when(fields)) return undefined;
  let mnemonic = "";
  for (const part of template.mnemonic) {
    const text = part.type === "literal" ? part.text : part.alternatives[joinChoice(part, fields)];
    if (text === undefined) return undefined;
    mnemonic += text;
  }
  let operands = "";
  for (const part of template.operands) {
    if (part.type === "literal") operands += part.text;
    else {
      const values = part.arguments.map((each) => (typeof each === "number" ? each : fields[each]!));
      operands += part.kind.print(values, pc);
    }
  }
  return operands === "" ? mnemonic : `${mnemonic} ${operands}`;
}
