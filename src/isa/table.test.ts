import { expect, test } from "vitest";
import type { EncodedInstruction } from "./decoder.ts";
import { disassemble } from "./disassembler.ts";
import { extractFields, insertFields } from "./encoding-pattern.ts";
import { DECODER, INSTRUCTIONS } from "./table.ts";

/** Up to 2^`LIMIT` words of the overlap are tried: all values of few free bits, or corners of many. */
const LIMIT = 12;

test("INSTRUCTIONS have unique names", () => {
  const names = INSTRUCTIONS.map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test("every pattern puts its fields back where it found them", () => {
  for (const { instruction, pattern } of DECODER.rows) {
    for (const word of [pattern.value, (pattern.value | ~pattern.mask) >>> 0]) {
      const again = insertFields(pattern, extractFields(pattern, word));
      const ignored = ~pattern.mask & ~fieldMask(pattern);
      expect((again ^ word) & ~ignored, instruction.name).toBe(0);
    }
  }
});

test("the tree finds the row that a search from the front finds", () => {
  let word = 0x1234_5678;
  for (let round = 0; round < 20_000; round++) {
    word = (Math.imul(word, 0x9e37_79b1) + 0x7f4a_7c15) >>> 0;
    const expected = DECODER.rows.find(
      ({ instruction, pattern }) =>
        (word & pattern.mask) >>> 0 === pattern.value &&
        (instruction.where?.(extractFields(pattern, word)) ?? true),
    );
    expect(DECODER.match(word)?.row.instruction.name).toBe(expected?.instruction.name);
  }
});

test("rows that overlap are ordered by specificity or kept apart by their conditions", () => {
  const thefts: string[] = [];
  DECODER.rows.forEach((first, index) => {
    for (const second of DECODER.rows.slice(index + 1)) {
      if (!overlap(first, second) || isMoreSpecific(first, second)) continue;
      const word = commonWord(first, second);
      if (word !== undefined) {
        thefts.push(`${first.instruction.name} and ${second.instruction.name}: ${disassemble(word, 0n)}`);
      }
    }
  });
  expect(thefts).toEqual([]);
});

function fieldMask(pattern: EncodedInstruction["pattern"]): number {
  return pattern.fields.reduce((mask, { low, width }) => mask | ((2 ** width - 1) << low), 0);
}

function overlap(a: EncodedInstruction, b: EncodedInstruction): boolean {
  return ((a.pattern.value ^ b.pattern.value) & a.pattern.mask & b.pattern.mask) === 0;
}

/** Every word of `a` has the bits that `b` fixes: `a` is a special case that is meant to come first. */
function isMoreSpecific(a: EncodedInstruction, b: EncodedInstruction): boolean {
  return a.pattern.mask !== b.pattern.mask && (b.pattern.mask & ~a.pattern.mask) === 0;
}

/** A word that both rows accept, conditions and reserved values included. */
function commonWord(a: EncodedInstruction, b: EncodedInstruction): number | undefined {
  const fixed = a.pattern.value | b.pattern.value;
  const free: number[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if (!(((a.pattern.mask | b.pattern.mask) >>> bit) & 1)) free.push(bit);
  }
  // The upper free bits hold opcodes and sizes, the lower ones register numbers: those get common values only.
  const walked = free.slice(-LIMIT);
  for (let value = 0; value < 2 ** walked.length; value++) {
    let word = fixed;
    walked.forEach((bit, index) => {
      if ((value >>> index) & 1) word |= 1 << bit;
    });
    if (accepts(a, word) && accepts(b, word)) return word >>> 0;
  }
  return undefined;
}

function accepts({ instruction, pattern }: EncodedInstruction, word: number): boolean {
  const fields = extractFields(pattern, word);
  if (instruction.where && !instruction.where(fields)) return false;
  return !instruction.operands || instruction.operands(fields) !== undefined;
}
