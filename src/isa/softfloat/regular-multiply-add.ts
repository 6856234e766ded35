import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR } from "./control.ts";

/** Bounds within which no step below overflows and no error term underflows. */
const LARGEST_FACTOR = 2 ** 900;
const LARGEST_TERM = 2 ** 1000;
const SMALLEST_PRODUCT = 2 ** -900;

const SMALLEST_SINGLE = 2 ** -126;

/** Zero or beyond the denormals. */
function isNeverFlushed(value: number): boolean {
  return value === 0 || Math.abs(value) >= 2 ** -1022;
}

function isNormalSingle(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude >= SMALLEST_SINGLE && magnitude < Infinity;
}

/** Splits a double into two halves of 26 bits (Veltkamp). */
const SPLITTER = 2 ** 27 + 1;

/**
 * Computes `addend` + `a` * `b` with one rounding to nearest even, from doubles alone: the product and both
 * sums as unevaluated pairs, the middle one rounded to odd, which makes the last rounding right (Boldo and
 * Melquiond, "Emulation of a FMA and correctly rounded sums", IEEE TC 2008).
 */
export class RegularMultiplyAdd {
  // Scratch for one number's bits: a fresh array per call would cost more than the arithmetic.
  readonly #number = new Float64Array(3);
  readonly #words = new Int32Array(this.#number.buffer);
  readonly #bits = new BigUint64Array(this.#number.buffer);
  readonly #singles = new Float32Array(3);
  readonly #singleBits = new Int32Array(this.#singles.buffer);

  /**
   * The sum, raising IXC when it is inexact; NaN when the numbers are outside the range where this method
   * works, infinities and NaNs among them: then nothing has been raised.
   */
  run(context: FloatingPointContext, addend: number, a: number, b: number): number {
    const product = a * b;
    const size = Math.abs(product);
    const inRange =
      size > SMALLEST_PRODUCT &&
      size < LARGEST_TERM &&
      Math.abs(a) < LARGEST_FACTOR &&
      Math.abs(b) < LARGEST_FACTOR &&
      Math.abs(addend) < LARGEST_TERM;
    if (!inRange) {
      const finite = Math.abs(addend) < Infinity && size === 0;
      return finite && (a === 0 || b === 0) ? product + addend : NaN;
    }
    const aBig = a * SPLITTER;
    const aHigh = aBig - (aBig - a);
    const aLow = a - aHigh;
    const bBig = b * SPLITTER;
    const bHigh = bBig - (bBig - b);
    const bLow = b - bHigh;
    const productError = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);

    const low = addend + productError;
    const lowPart = low - addend;
    const lowError = addend - (low - lowPart) + (productError - lowPart);
    const high = product + low;
    const highPart = high - product;
    const highError = product - (high - highPart) + (low - highPart);

    const rest = this.#sumRoundedToOdd(lowError, highError);
    const result = high + rest;
    // `high` is not below `rest`, so the difference is exact. A `rest` rounded to odd has its last bit far
    // below the result's: then the result is inexact too.
    if (result - high !== rest) context.raise(FPSR.IXC);
    return result;
  }

  /** The same on bits, with FPCR's word on it; undefined where the general way has to be gone. */
  double(context: FloatingPointContext, addend: bigint, a: bigint, b: bigint): bigint | undefined {
    if ((context.control & FPCR.RMODE) !== 0) return undefined;
    this.#bits[0] = addend;
    this.#bits[1] = a;
    this.#bits[2] = b;
    const term = this.#number[0]!;
    const first = this.#number[1]!;
    const second = this.#number[2]!;
    const areNeverFlushed = isNeverFlushed(term) && isNeverFlushed(first) && isNeverFlushed(second);
    if ((context.control & FPCR.FZ) !== 0 && !areNeverFlushed) return undefined;
    const result = this.run(context, term, first, second);
    if (Number.isNaN(result)) return undefined;
    this.#number[0] = result;
    return this.#bits[0]!;
  }

  /** The same for singles, whose products are exact in doubles. */
  single(context: FloatingPointContext, addend: number, a: number, b: number): number | undefined {
    if ((context.control & FPCR.RMODE) !== 0) return undefined;
    this.#singleBits[0] = addend;
    this.#singleBits[1] = a;
    this.#singleBits[2] = b;
    const term = this.#singles[0]!;
    const first = this.#singles[1]!;
    const second = this.#singles[2]!;
    if (!isNormalSingle(term) || !isNormalSingle(first) || !isNormalSingle(second)) return undefined;
    const product = first * second;
    const sum = product + term;
    const result = Math.fround(sum);
    const isNormal = Math.abs(result) > SMALLEST_SINGLE && Math.abs(result) < Infinity;
    if (!isNormal && sum !== 0) return undefined;
    // Rounding twice goes wrong only when the first rounding ends halfway between two singles.
    this.#number[0] = sum;
    if ((this.#words[0]! & 0x1fffffff) === 0x10000000) return undefined;
    const isExact = sum - product === term && sum - term === product && result === sum;
    if (!isExact) context.raise(FPSR.IXC);
    this.#singles[0] = result;
    return this.#singleBits[0]!;
  }

  #sumRoundedToOdd(a: number, b: number): number {
    const sum = a + b;
    const part = sum - a;
    const error = a - (sum - part) + (b - part);
    if (error === 0) return sum;
    this.#number[0] = sum;
    const low = this.#words[0]!;
    if ((low & 1) !== 0) return sum;
    if (error > 0 === sum > 0) {
      this.#words[0] = low | 1;
    } else {
      this.#words[0] = low - 1;
      if (low === 0) this.#words[1] = this.#words[1]! - 1;
    }
    return this.#number[0]!;
  }
}
