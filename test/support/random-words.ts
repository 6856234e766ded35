import type { EncodedInstruction } from "../../src/isa/decoder.ts";
import { insertFields } from "../../src/isa/encoding-pattern.ts";
import type { Random } from "./random.ts";

/** A random word of a row: each field is uniform or, often, one of its extremes. */
export function randomWord(row: EncodedInstruction, random: Random): number {
  const values: Record<string, number> = {};
  for (const { name, width } of row.pattern.fields) {
    const ones = 2 ** width - 1;
    values[name] =
      random.below(4) === 0 ? random.pick([0, 1, ones >>> 1, ones]) & ones : random.below(ones + 1);
  }
  const ignored =
    ~row.pattern.mask &
    ~row.pattern.fields.reduce((mask, { low, width }) => mask | ((2 ** width - 1) << low), 0);
  return (insertFields(row.pattern, values) | (random.u32() & ignored)) >>> 0;
}
