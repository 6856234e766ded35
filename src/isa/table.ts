import { Decoder } from "./decoder.ts";
import { rows as bitfield } from "./encodings/bitfield.ts";
import { rows as dataProcessingImmediate } from "./encodings/data-processing-immediate.ts";
import type { Feature, Instruction } from "./instruction.ts";

/** Every instruction that is known, in the manual's order. */
export const INSTRUCTIONS: readonly Instruction[] = [
  // Base.
  ...dataProcessingImmediate,
  ...bitfield,
  // Floating point.
  // Advanced SIMD.
];

/** The features whose instructions have a meaning; the others' rows are UNDEFINED everywhere. */
export const IMPLEMENTED_FEATURES: ReadonlySet<Feature> = new Set(
  INSTRUCTIONS.flatMap(({ execute, feature }) => (execute && feature ? [feature] : [])),
);

/** The decoder of the whole table. */
export const DECODER: Decoder = new Decoder(INSTRUCTIONS);
