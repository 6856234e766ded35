/**
 * The assembly language of the table. A template is a GNU-syntax line without aliases, in lower case, spelled
 * as GNU objdump prints it:
 *
 *     "{op:add/sub} <RS Rd sf>, <RS Rn sf>, #<hex imm12><lsl12 sh>"
 *
 * - `{field:a/b/c}` (in the mnemonic only) prints the alternative numbered by the field (empty ones allowed;
 *   `-` stands for a value that has no text, such a word does not use this template). Several fields may be
 *   joined to one number, the first one highest: `{U,op:sadd/ssub/uadd/usub}`.
 * - `<KIND argument ...>` is an operand part: a kind from the registry, applied to named fields and to
 *   decimal numbers (constants such as a width or a scale). A kind prints a text from the values, and
 *   recognises that text at a position of a line, giving values back. It may print nothing (an omitted
 *   optional part, its comma included).
 * - Everything else is literal. Before reading, a line is brought into the printed form: lower case, one
 *   blank after a comma and between words, none elsewhere; symbols and expressions have become numbers.
 *
 * Printing and reading use the same template, so assembler and disassembler cannot disagree.
 */
export interface OperandKind {
  /** Text for these argument values; `pc` is the instruction's address (for labels, as absolute addresses). */
  print(values: readonly number[], pc: bigint): string;
  /**
   * Recognises the longest text at the start of `text`. Returns its length and the values of the arguments, in
   * the order of the template, or undefined. A value may be undefined where the text does not determine it.
   * `known` holds the values that the line so far, or the template, has determined.
   */
  parse(
    text: string,
    pc: bigint,
    known: readonly (number | undefined)[],
  ): { length: number; values: readonly (number | undefined)[] } | undefined;
}
