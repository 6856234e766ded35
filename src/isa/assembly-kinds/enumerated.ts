import type { OperandKind } from "../assembly.ts";

/** What a text may consist of where several operands touch: everything up to a separator. */
const WORD = /^[^\s,{}#]+/;

/**
 * An operand kind given by its printing alone: reading looks the text up among all that the fields can print
 * (the first of several field values with one text wins, so write the canonical one lowest).
 *
 * @param widths Bits of each field, in the order of the template; at most some 16 in sum.
 * @param print The text, or undefined for field values that have none.
 * @param word What a text looks like.
 */
export function enumerated(
  widths: readonly number[],
  print: (...values: number[]) => string | undefined,
  word: RegExp = WORD,
): OperandKind {
  let texts: Map<string, readonly number[]> | undefined;
  return {
    print: (values) => print(...values) ?? "?",
    parse: (text) => {
      texts ??= allTexts(widths, print);
      const match = word.exec(text);
      if (!match) return undefined;
      const values = texts.get(match[0].replace(/\s+/g, "").toLowerCase());
      return values && { length: match[0].length, values };
    },
  };
}

function allTexts(
  widths: readonly number[],
  print: (...values: number[]) => string | undefined,
): Map<string, readonly number[]> {
  const texts = new Map<string, readonly number[]>();
  const total = widths.reduce((sum, width) => sum + width, 0);
  for (let packed = 0; packed < 1 << total; packed++) {
    let rest = packed;
    const values = widths.map((width) => {
      const value = rest & ((1 << width) - 1);
      rest >>= width;
      return value;
    });
    const text = print(...values)?.replace(/\s+/g, "");
    if (text !== undefined && !texts.has(text)) texts.set(text, values);
  }
  return texts;
}
