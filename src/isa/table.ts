import { Decoder } from "./decoder.ts";
import { rows as atomicMemory } from "./encodings/atomic-memory.ts";
import { rows as bitfield } from "./encodings/bitfield.ts";
import { rows as branches } from "./encodings/branches.ts";
import { rows as dataProcessingImmediate } from "./encodings/data-processing-immediate.ts";
import { rows as dataProcessingRegister } from "./encodings/data-processing-register.ts";
import { rows as dataProcessingSources } from "./encodings/data-processing-sources.ts";
import { rows as fpCompare } from "./encodings/fp-compare.ts";
import { rows as fpConvert } from "./encodings/fp-convert.ts";
import { rows as fpDataProcessing } from "./encodings/fp-data-processing.ts";
import { rows as fpMove } from "./encodings/fp-move.ts";
import { rows as fpSimdByElement } from "./encodings/fp-simd-by-element.ts";
import { rows as fpSimdFixedPoint } from "./encodings/fp-simd-fixed-point.ts";
import { rows as fpSimdReduce } from "./encodings/fp-simd-reduce.ts";
import { rows as fpSimdThreeSame } from "./encodings/fp-simd-three-same.ts";
import { rows as fpSimdTwoRegister } from "./encodings/fp-simd-two-register.ts";
import { rows as laterExtensions } from "./encodings/later-extensions.ts";
import { rows as loadStoreExclusive } from "./encodings/load-store-exclusive.ts";
import { rows as loadStorePair } from "./encodings/load-store-pair.ts";
import { rows as loadStoreRegister } from "./encodings/load-store-register.ts";
import { rows as simdAcrossLanes } from "./encodings/simd-across-lanes.ts";
import { rows as simdByElement } from "./encodings/simd-by-element.ts";
import { rows as simdCopy } from "./encodings/simd-copy.ts";
import { rows as simdCrypto } from "./encodings/simd-crypto.ts";
import { rows as simdLaterExtensions } from "./encodings/simd-later-extensions.ts";
import { rows as simdLoadStore } from "./encodings/simd-load-store.ts";
import { rows as simdModifiedImmediate } from "./encodings/simd-modified-immediate.ts";
import { rows as simdPermute } from "./encodings/simd-permute.ts";
import { rows as simdShiftImmediate } from "./encodings/simd-shift-immediate.ts";
import { rows as simdThreeDifferent } from "./encodings/simd-three-different.ts";
import { rows as simdThreeSame } from "./encodings/simd-three-same.ts";
import { rows as simdThreeSameExtra } from "./encodings/simd-three-same-extra.ts";
import { rows as simdTwoRegisterMisc } from "./encodings/simd-two-register-misc.ts";
import { rows as system } from "./encodings/system.ts";
import type { Feature, Instruction } from "./instruction.ts";

/** Every instruction that is known, in the manual's order. */
export const INSTRUCTIONS: readonly Instruction[] = [
  // Base.
  ...dataProcessingImmediate,
  ...bitfield,
  ...branches,
  ...system,
  ...loadStoreExclusive,
  ...atomicMemory,
  ...loadStorePair,
  ...loadStoreRegister,
  ...dataProcessingSources,
  ...dataProcessingRegister,
  ...laterExtensions,
  // Floating point.
  ...fpMove,
  ...fpConvert,
  ...fpCompare,
  ...fpDataProcessing,
  ...fpSimdThreeSame,
  ...fpSimdTwoRegister,
  ...fpSimdByElement,
  ...fpSimdReduce,
  ...fpSimdFixedPoint,
  // Advanced SIMD.
  ...simdThreeSame,
  ...simdThreeSameExtra,
  ...simdThreeDifferent,
  ...simdTwoRegisterMisc,
  ...simdAcrossLanes,
  ...simdByElement,
  ...simdShiftImmediate,
  ...simdModifiedImmediate,
  ...simdCopy,
  ...simdPermute,
  ...simdLoadStore,
  ...simdCrypto,
  ...simdLaterExtensions,
];

/** The features whose instructions have a meaning; the others' rows are UNDEFINED everywhere. */
export const IMPLEMENTED_FEATURES: ReadonlySet<Feature> = new Set(
  INSTRUCTIONS.flatMap(({ execute, feature }) => (execute && feature ? [feature] : [])),
);

/** The decoder of the whole table. */
export const DECODER: Decoder = new Decoder(INSTRUCTIONS);
