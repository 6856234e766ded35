/**
 * The assembly language of the table. A template is a GNU-syntax line without aliases, in lower case:
 *
 *     "{op:add/sub}{S:/s} <RS Rd sf>, <RS Rn sf>, #<u imm12><shift12 sh>"
 *
 * - `{field:a/b/c}` in the mnemonic prints the alternative numbered by the field (empty ones allowed).
 * - `<KIND field ...>` is an operand part: a kind from the registry, applied to named fields. A kind prints a
 *   text from the fields' values, and recognises that text at a position of a line, giving field values
 *   back. It may print nothing (an omitted optional part, its comma included).
 * - Everything else is literal; blanks are insignificant when reading.
 *
 * Printing and reading use the same template, so assembler and disassembler cannot disagree.
 */
export interface OperandKind {
  /** Text for these field values; `pc` is the instruction's address (for labels, as absolute addresses). */
  print(values: readonly number[], pc: bigint): string;
  /**
   * Recognises the longest text at the start of `text`. Returns its length and the values of the fields, in
   * the order of the template, or undefined. A value may be undefined where the text does not determine it.
   */
  parse(text: string, pc: bigint): { length: number; values: readonly (number | undefined)[] } | undefined;
}
