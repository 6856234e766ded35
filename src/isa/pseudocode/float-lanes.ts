import type { I32, V128, Value } from "../semantics.ts";
import { FPCR } from "../softfloat/control.ts";
import {
  controlIsClear,
  inexactIsRecorded,
  type RoundingLetter,
  roundedByOperator,
} from "./floating-point.ts";
import { type Conversion, type FractionBits, fixedToFp, fpToFixed } from "./floating-point-conversions.ts";
import type { FloatSize, Floats } from "./floats.ts";
import { asV128 } from "./value-types.ts";
import { shuffleElements } from "./vector.ts";

/** The static shape of a floating-point vector: singles or doubles, and how many. */
export interface FloatVector {
  readonly size: FloatSize;
  readonly lanes: number;
}

/** The shape by its fields; one double is reserved. */
export function floatVector(sz: number, Q: number): FloatVector | undefined {
  if (sz === 1 && Q === 0) return undefined;
  return sz === 1 ? { size: 64, lanes: 2 } : { size: 32, lanes: Q ? 4 : 2 };
}

/** Neighbours of the vectors n:m, the first of each pair in one vector, the second in the other. */
export function neighbours(f: Floats, n: Value, m: Value): [V128, V128] {
  const { s, size, lanes } = f;
  const shuffled = (start: number) => {
    const elements = Array.from({ length: lanes }, (_, index) => {
      const pair = 2 * index;
      // Elements of m come after all elements of n, those that do not count included.
      return pair < lanes ? pair + start : pair - lanes + start + 128 / size;
    });
    const copies = lanes * size === 64 ? [...elements, ...elements] : elements;
    return shuffleElements(s, size, asV128(n), asV128(m), copies);
  };
  return [shuffled(0), shuffled(1)];
}

/** Conversion of every lane to fixed point of the same width; a vector of integers. */
export function lanesToFixed(
  f: Floats,
  value: Value,
  unsigned: boolean,
  letter: RoundingLetter,
  fraction?: FractionBits,
): V128 {
  const { s, size } = f;
  const conversion: Conversion = { width: size, unsigned };
  const oneByOne = () =>
    asV128(f.eachLane((lane) => fpToFixed(f.one, f.number(value, lane), conversion, letter, fraction)));
  if (size === 64) return oneByOne();
  const scaled = fraction ? f.op("mul", value, f.splat(fraction.scale)) : value;
  const rounded = roundedByOperator(f, scaled, letter);
  const limit = f.constant(2 ** (unsigned ? 32 : 31));
  const inRange = unsigned
    ? f.and(f.test("ge", rounded, f.constant(0)), f.test("lt", rounded, limit))
    : f.test("lt", f.op("abs", rounded), limit);
  const isFast = s.choose(
    "i32",
    s.op("i32.and", controlIsClear(s, FPCR.FZ), f.all(inRange)),
    () => inexactIsRecorded(s, () => f.all(f.test("eq", rounded, scaled))),
    () => s.i32(0),
  );
  const truncate = unsigned ? "i32x4.trunc_sat_f32x4_u" : "i32x4.trunc_sat_f32x4_s";
  return s.choose("v128", isFast, () => s.op(truncate, asV128(rounded)), oneByOne);
}

/** Conversion of every lane from fixed point of the same width. */
export function lanesFromFixed(f: Floats, value: V128, unsigned: boolean, fraction?: FractionBits): V128 {
  const { s, size } = f;
  const conversion: Conversion = { width: size, unsigned };
  const oneByOne = () =>
    asV128(
      f.eachLane((lane) => {
        const integer = f.bits(value, lane);
        return f.one.bits(fixedToFp(f.one, integer, conversion, fraction));
      }),
    );
  if (size === 64) return oneByOne();
  const convert = unsigned ? "f32x4.convert_i32x4_u" : "f32x4.convert_i32x4_s";
  const converted = s.op(convert, value);
  const result = asV128(fraction ? f.op("div", converted, f.splat(fraction.scale)) : converted);
  const limit = (power: number) => s.op("i32x4.splat", s.i32(2 ** power));
  const isExact = (): I32 =>
    s.op(
      "i32x4.all_true",
      unsigned
        ? s.op("i32x4.le_u", value, limit(24))
        : s.op("i32x4.le_u", s.op("i32x4.add", value, limit(24)), limit(25)),
    );
  const isFast = s.choose("i32", controlIsClear(s, FPCR.RMODE), () => inexactIsRecorded(s, isExact), isExact);
  return s.choose("v128", isFast, () => result, oneByOne);
}
