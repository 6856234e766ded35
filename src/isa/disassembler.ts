import { hex } from "../base/bits.ts";
import type { EncodedInstruction } from "./decoder.ts";
import { DECODER } from "./table.ts";
import { parseTemplates, printTemplate, type Template } from "./template.ts";

/** Templates by row, of the rows that were asked for: a machine that starts needs few of them. */
const TEMPLATES = new Map<EncodedInstruction, readonly Template[]>();

/** The templates of a row of the table, in order. */
export function templatesOf(row: EncodedInstruction): readonly Template[] {
  const known = TEMPLATES.get(row);
  if (known !== undefined) return known;
  const templates = parseTemplates(row.instruction, row.pattern);
  TEMPLATES.set(row, templates);
  return templates;
}

/**
 * The assembly line of an instruction word at address `pc`, without aliases; `.inst` and the number for words
 * that are no instruction. All known extensions are shown, implemented or not.
 */
export function disassemble(word: number, pc: bigint): string {
  const match = DECODER.match(word);
  const unallocated = match?.row.instruction.operands && !match.row.instruction.operands(match.fields);
  if (match && !unallocated) {
    for (const template of templatesOf(match.row)) {
      const text = printTemplate(template, match.fields, pc);
      if (text !== undefined) return text;
    }
  }
  return `.inst ${hex(word >>> 0, 8)}`;
}
