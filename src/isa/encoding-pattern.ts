import { Bug } from "../base/errors.ts";
import type { FieldValues } from "./instruction.ts";

/** One named field of an encoding: `width` bits, the lowest at bit `low`. */
export interface Field {
  readonly name: string;
  readonly low: number;
  readonly width: number;
  /** The greatest value: `width` ones. */
  readonly ones: number;
}

/** An encoding pattern taken apart. A word belongs to it when `(word & mask) === value`, both unsigned. */
export interface EncodingPattern {
  readonly mask: number;
  readonly value: number;
  readonly fields: readonly Field[];
}

/** Fields of this name hold bits that software should write as one (Arm's "(1)"); any value decodes. */
export const SHOULD_BE_ONE = /^sbo/;

/** Parses a pattern such as `"sf:1 0 S:1 100010 imm12:12 Rn:5 Rd:5"`, bit 31 first. */
export function parseEncodingPattern(pattern: string): EncodingPattern {
  const fields: Field[] = [];
  let mask = 0;
  let value = 0;
  let position = 32;
  for (const part of pattern.split(" ")) {
    const named = /^([A-Za-z]\w*):(\d+)$/.exec(part);
    if (named) {
      const [name, width] = [named[1]!, Number(named[2])];
      if (fields.some((field) => field.name === name)) throw new Bug(`"${pattern}" has ${name} twice`);
      position -= width;
      fields.push({ name, low: position, width, ones: 2 ** width - 1 });
      continue;
    }
    if (!/^[01x]+$/.test(part)) throw new Bug(`"${part}" is no part of an encoding pattern`);
    for (const character of part) {
      position--;
      if (position < 0) break;
      if (character !== "x") mask |= 1 << position;
      if (character === "1") value |= 1 << position;
    }
  }
  if (position !== 0) throw new Bug(`"${pattern}" has ${32 - position} bits`);
  return { mask: mask >>> 0, value: value >>> 0, fields };
}

/** The value of every field in `word`. */
export function extractFields(pattern: EncodingPattern, word: number): FieldValues {
  const values: Record<string, number> = {};
  for (const { name, low, ones } of pattern.fields) values[name] = (word >>> low) & ones;
  return values;
}

/** The word with these field values; fields not given are 0, or ones where they should be one. */
export function insertFields(
  pattern: EncodingPattern,
  values: Readonly<Record<string, number | undefined>>,
): number {
  let word = pattern.value;
  for (const { name, low, ones } of pattern.fields) {
    const value = values[name] ?? (SHOULD_BE_ONE.test(name) ? ones : 0);
    word |= (value & ones) << low;
  }
  return word >>> 0;
}
