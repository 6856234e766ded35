import { type EncodingPattern, extractFields, parseEncodingPattern } from "./encoding-pattern.ts";
import type { Feature, FieldValues, Instruction, OperandValues } from "./instruction.ts";

/** An instruction word with its meaning's operands. */
export interface Decoded {
  readonly instruction: Instruction;
  readonly operands: OperandValues;
}

/** A row that a word belongs to. */
export interface EncodingMatch {
  readonly row: EncodedInstruction;
  readonly fields: FieldValues;
}

/** A row with its pattern taken apart. */
export interface EncodedInstruction {
  readonly instruction: Instruction;
  readonly pattern: EncodingPattern;
}

/** Divides by a bit, or (bit -1) lists the rows that remain. */
interface Node {
  readonly bit: number;
  readonly zero: Node | undefined;
  readonly one: Node | undefined;
  readonly rows: readonly EncodedInstruction[];
}

const NO_OPERANDS: OperandValues = {};

/** Lists up to this length are searched one after the other. */
const LEAF_LENGTH = 2;

/**
 * Finds the row of an instruction word. Rows with more fixed bits come first; among equals, table order.
 * A binary tree over the bits that best divide the rows leaves a few rows to compare.
 */
export class Decoder {
  /** In order of decreasing specificity. */
  readonly rows: readonly EncodedInstruction[];
  readonly #root: Node;

  constructor(instructions: readonly Instruction[]) {
    this.rows = instructions
      .map((instruction) => ({ instruction, pattern: parseEncodingPattern(instruction.encoding) }))
      .sort((a, b) => populationCount(b.pattern.mask) - populationCount(a.pattern.mask));
    this.#root = divide(this.rows, 0);
  }

  /**
   * The first row that `word` belongs to. Rows that need a feature outside `features` are passed over;
   * without `features` all rows count (disassembly).
   */
  match(word: number, features?: ReadonlySet<Feature>): EncodingMatch | undefined {
    let node = this.#root;
    while (node.bit >= 0) node = ((word >>> node.bit) & 1 ? node.one : node.zero) ?? node;
    for (const row of node.rows) {
      const { instruction, pattern } = row;
      if ((word & pattern.mask) >>> 0 !== pattern.value) continue;
      if (features && instruction.feature !== undefined && !features.has(instruction.feature)) continue;
      const fields = extractFields(pattern, word);
      if (instruction.where && !instruction.where(fields)) continue;
      return { row, fields };
    }
    return undefined;
  }

  /** The instruction and its operands, or undefined where `word` is UNDEFINED on a processor with `features`. */
  decode(word: number, features: ReadonlySet<Feature>): Decoded | undefined {
    const match = this.match(word, features);
    if (!match) return undefined;
    const { instruction } = match.row;
    if (!instruction.execute) return undefined;
    const operands = instruction.operands ? instruction.operands(match.fields) : NO_OPERANDS;
    return operands && { instruction, operands };
  }
}

function divide(rows: readonly EncodedInstruction[], tried: number): Node {
  const leaf = { bit: -1, zero: undefined, one: undefined, rows };
  if (rows.length <= LEAF_LENGTH) return leaf;
  let best: { bit: number; zero: EncodedInstruction[]; one: EncodedInstruction[] } | undefined;
  let bestCost = rows.length * 2;
  for (let bit = 31; bit >= 0; bit--) {
    if ((tried >>> bit) & 1) continue;
    const zero = rows.filter((row) => !(((row.pattern.mask & row.pattern.value) >>> bit) & 1));
    const one = rows.filter((row) => !(((row.pattern.mask & ~row.pattern.value) >>> bit) & 1));
    const cost = zero.length + one.length + Math.abs(zero.length - one.length) / 4;
    if (Math.max(zero.length, one.length) < rows.length && cost < bestCost) {
      best = { bit, zero, one };
      bestCost = cost;
    }
  }
  if (!best) return leaf;
  const seen = tried | (1 << best.bit);
  return { bit: best.bit, zero: divide(best.zero, seen), one: divide(best.one, seen), rows: [] };
}

function populationCount(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
