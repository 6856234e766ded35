import type { V128, Value } from "../semantics.ts";
import {
  controlIsClear,
  guarded,
  isNormal,
  isNormalOr,
  NEAREST_WITHOUT_FLUSH,
  sumIsExact,
} from "./floating-point.ts";
import type { Floats, SizedFunction } from "./floats.ts";
import { asF32, asF64, asI32, asI64, asV128 } from "./value-types.ts";

/** A fused sum, `addend` + `a` * `b`, and what is made of it. */
interface FusedSum {
  readonly addend: Value;
  readonly a: Value;
  readonly b: Value;
  /** Applied to the sum; exact for every sum that the fast ways give. */
  readonly finish?: (shape: Floats, sum: Value) => Value;
  /** The runtime function for all other cases, finish included. */
  readonly slow: SizedFunction;
  readonly operands: readonly Value[];
}

/** FPMulAdd: `addend` + `a` * `b` with one rounding. */
export function fpMulAdd(f: Floats, addend: Value, a: Value, b: Value): Value {
  return fusedSum(f, { addend, a, b, slow: "fpMulAdd", operands: [addend, a, b] });
}

/** FPRecipStepFused: 2 - `a` * `b`. */
export function fpRecipStep(f: Floats, a: Value, b: Value): Value {
  const addend = f.constant(2);
  return fusedSum(f, { addend, a: f.op("neg", a), b, slow: "fpRecipStep", operands: [a, b] });
}

/** FPRSqrtStepFused: (3 - `a` * `b`) / 2. Cancellation leaves far more than the smallest normal number. */
export function fpRSqrtStep(f: Floats, a: Value, b: Value): Value {
  const finish = (shape: Floats, sum: Value) => shape.op("mul", sum, shape.constant(0.5));
  const addend = f.constant(3);
  return fusedSum(f, { addend, a: f.op("neg", a), b, finish, slow: "fpRSqrtStep", operands: [a, b] });
}

function fusedSum(f: Floats, sum: FusedSum): Value {
  if (f.s.fusedMultiplyAdd) return fusedByOperator(f, sum);
  if (f.size === 64) return doubleSum(f, sum);
  return f.isVector ? singleVectorSum(f, sum) : singleSum(f, sum);
}

function finished(f: Floats, sum: FusedSum, value: Value): Value {
  return sum.finish ? sum.finish(f, value) : value;
}

/** Where WebAssembly's own operator rounds once. */
function fusedByOperator(f: Floats, fused: FusedSum): Value {
  const { s } = f;
  const { addend, a, b } = fused;
  const sum = f.multiplyAdd(a, b, addend);
  const zero = f.constant(0);
  const isZeroProduct = () => f.or(f.test("eq", a, zero), f.test("eq", b, zero));
  const isExactZero = () =>
    f.and(f.and(f.test("eq", sum, zero), f.test("eq", addend, zero)), isZeroProduct());
  const isOrdinary = isNormalOr(f, sum, isExactZero);
  const isExact = () => {
    const product = f.op("mul", a, b);
    const error = f.multiplyAdd(a, b, f.op("neg", product));
    // Below that the error itself could be rounded to nothing.
    const isLarge = f.test("gt", f.op("abs", product), f.constant(f.size === 64 ? 2 ** -960 : 2 ** -100));
    const hasNoError = () =>
      s.choose(
        "i32",
        f.haveShortFractions(a, b),
        () => s.i32(1),
        () => f.all(f.test("eq", error, zero)),
      );
    const productIsExact = s.choose("i32", f.all(isLarge), hasNoError, () =>
      f.all(f.or(f.and(isLarge, f.test("eq", error, zero)), isZeroProduct())),
    );
    return s.op("i32.and", productIsExact, sumIsExact(f, sum, product, addend));
  };
  const fast = { control: NEAREST_WITHOUT_FLUSH, result: finished(f, fused, sum), isOrdinary, isExact };
  return guarded(f, fast, () => f.call(fused.slow, fused.operands));
}

/** Doubles without such an operator use the runtime's error-free transforms. */
function doubleSum(f: Floats, sum: FusedSum): Value {
  const { s } = f;
  const number = (value: Value, lane: number) => asF64(f.number(value, lane));
  const regular = (lane: number) => {
    const result = s.call(
      "fpMulAddRegular64",
      number(sum.addend, lane),
      number(sum.a, lane),
      number(sum.b, lane),
    );
    return s.choose(
      "i64",
      s.op("f64.eq", result, result),
      () => asI64(f.one.bits(finished(f.one, sum, result))),
      () => asI64(f.callLane(lane, sum.slow, sum.operands)),
    );
  };
  return s.choose(
    f.type,
    controlIsClear(s, NEAREST_WITHOUT_FLUSH),
    () => f.eachLane(regular),
    () => f.call(sum.slow, sum.operands),
  );
}

/** The bits of a double below a single's fraction, and what they are halfway between two singles. */
const TAIL = 0x1fffffff;
const HALFWAY = 0x10000000;

/**
 * A single-precision fused sum in doubles: there the product is exact, and rounding the sum twice goes wrong
 * only when the first rounding ends halfway between two singles.
 */
function singleSum(f: Floats, fused: FusedSum): Value {
  const { s } = f;
  const term = s.op("f64.promote_f32", asF32(fused.addend));
  const a = s.op("f64.promote_f32", asF32(fused.a));
  const product = s.op("f64.mul", a, s.op("f64.promote_f32", asF32(fused.b)));
  const sum = s.op("f64.add", product, term);
  const result = s.op("f32.demote_f64", sum);
  const tail = s.op("i32.and", s.op("i32.wrap_i64", s.op("i64.reinterpret_f64", sum)), s.i32(TAIL));
  const isNotHalfway = s.op("i32.ne", tail, s.i32(HALFWAY));
  const inRange = s.op("i32.or", asI32(isNormal(f, result)), s.op("f64.eq", sum, s.f64(0)));
  const isOrdinary = s.op("i32.and", isNotHalfway, inRange);
  const isExact = () => {
    const productIsRest = s.op("f64.eq", s.op("f64.sub", sum, term), product);
    const termIsRest = s.op("f64.eq", s.op("f64.sub", sum, product), term);
    const isSingle = s.op("f64.eq", s.op("f64.promote_f32", result), sum);
    return s.op("i32.and", s.op("i32.and", productIsRest, termIsRest), isSingle);
  };
  const fast = { control: NEAREST_WITHOUT_FLUSH, result: finished(f, fused, result), isOrdinary, isExact };
  return guarded(f, fast, () => f.call(fused.slow, fused.operands));
}

/** The same for vectors, two lanes at a time. */
function singleVectorSum(f: Floats, fused: FusedSum): Value {
  const { s } = f;
  const half = (value: Value, high: boolean) => {
    const vector = asV128(value);
    const chosen = high ? s.shuffle(vector, vector, [...UPPER, ...UPPER]) : vector;
    return s.op("f64x2.promote_low_f32x4", chosen);
  };
  const halves = (f.lanes > 2 ? [false, true] : [false]).map((high) => {
    const term = half(fused.addend, high);
    const product = s.op("f64x2.mul", half(fused.a, high), half(fused.b, high));
    const sum = s.op("f64x2.add", product, term);
    return { term, product, sum, result: s.op("f32x4.demote_f64x2_zero", sum) };
  });
  const [low, high] = [halves[0]!, halves.at(-1)!];
  const result = s.shuffle(low.result, high.result, [...LOWER, ...LOWER.map((lane) => lane + 16)]);
  const everywhere = (truth: (part: typeof low) => V128) => {
    const truths = halves.map((part) => s.op("i64x2.all_true", truth(part)));
    return truths.reduce((a, b) => s.op("i32.and", a, b));
  };
  const both = (a: V128, b: V128) => s.op("v128.and", a, b);
  const isNotHalfway = everywhere(({ sum }) => {
    const tail = both(sum, s.op("i64x2.splat", s.i64(TAIL)));
    return s.op("i64x2.ne", tail, s.op("i64x2.splat", s.i64(HALFWAY)));
  });
  // A zero that is exact is as good as a normal number; the sum in doubles tells.
  const nothing = s.op("f64x2.splat", s.f64(0));
  const isZero = halves.map(({ sum }) => s.op("f64x2.eq", sum, nothing));
  const zeros = s.shuffle(isZero[0]!, isZero.at(-1)!, EVEN_WORDS);
  const inRange = f.all(f.or(isNormal(f, result), zeros));
  const isOrdinary = s.op("i32.and", isNotHalfway, inRange);
  const isExact = () =>
    everywhere(({ term, product, sum, result: single }) => {
      const productIsRest = s.op("f64x2.eq", s.op("f64x2.sub", sum, term), product);
      const termIsRest = s.op("f64x2.eq", s.op("f64x2.sub", sum, product), term);
      const isSingle = s.op("f64x2.eq", s.op("f64x2.promote_low_f32x4", single), sum);
      return both(both(productIsRest, termIsRest), isSingle);
    });
  const fast = { control: NEAREST_WITHOUT_FLUSH, result: finished(f, fused, result), isOrdinary, isExact };
  return guarded(f, fast, () => f.call(fused.slow, fused.operands));
}

const LOWER = [0, 1, 2, 3, 4, 5, 6, 7];
const UPPER = [8, 9, 10, 11, 12, 13, 14, 15];
/** The low words of four double words, two of them in each vector. */
const EVEN_WORDS = [0, 8, 16, 24].flatMap((byte) => [byte, byte + 1, byte + 2, byte + 3]);
