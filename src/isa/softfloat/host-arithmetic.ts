import type { FloatingPointContext } from "../runtime-functions.ts";
import { FPCR, FPSR } from "./control.ts";

/** Magnitudes between which no product, quotient or error term of doubles leaves the normal range. */
const SMALLEST_DOUBLE = 2 ** -450;
const LARGEST_DOUBLE = 2 ** 450;
const SMALLEST_NORMAL_SINGLE = 2 ** -126;
/** Splits a double into two halves of 26 bits (Veltkamp). */
const SPLITTER = 2 ** 27 + 1;

export type HostOperation = "add" | "subtract" | "multiply" | "divide" | "squareRoot";

/**
 * Ordinary numbers by the host's own arithmetic, which is some ten times as fast as the general way: rounding
 * to nearest, no denormals (so that FZ does not matter), and inexactness found by error-free transforms.
 * Methods return undefined, having raised nothing, when the operands are not of this kind.
 */
export class HostArithmetic {
  // Scratch to reach a number's bits: fresh arrays would cost more than the arithmetic.
  readonly #doubles = new Float64Array(2);
  readonly #doubleBits = new BigUint64Array(this.#doubles.buffer);
  readonly #singles = new Float32Array(2);
  readonly #singleBits = new Int32Array(this.#singles.buffer);

  /** Operands and result as bits; `b` is not used by squareRoot. */
  double(
    operation: HostOperation,
    aBits: bigint,
    bBits: bigint,
    context: FloatingPointContext,
  ): bigint | undefined {
    if ((context.control & FPCR.RMODE) !== 0) return undefined;
    this.#doubleBits[0] = aBits;
    this.#doubleBits[1] = bBits;
    const a = this.#doubles[0]!;
    const b = this.#doubles[1]!;
    if (!isMiddling(a) || !isMiddling(b)) return undefined;
    const result = compute(operation, a, b);
    if (result !== 0 && !isMiddling(result)) return undefined;
    if (!doubleIsExact(operation, a, b, result)) context.raise(FPSR.IXC);
    this.#doubles[0] = result;
    return this.#doubleBits[0]!;
  }

  /** The same for singles. */
  single(
    operation: HostOperation,
    aBits: number,
    bBits: number,
    context: FloatingPointContext,
  ): number | undefined {
    if ((context.control & FPCR.RMODE) !== 0) return undefined;
    this.#singleBits[0] = aBits;
    this.#singleBits[1] = bBits;
    const a = this.#singles[0]!;
    const b = this.#singles[1]!;
    if (!isNormalSingle(a) || !isNormalSingle(b)) return undefined;
    // Rounding to double first never changes the single result of these operations.
    const wide = compute(operation, a, b);
    const result = Math.fround(wide);
    if (wide !== 0 && !(Math.abs(result) > SMALLEST_NORMAL_SINGLE && Math.abs(result) < Infinity)) {
      return undefined;
    }
    if (!singleIsExact(operation, a, b, wide, result)) context.raise(FPSR.IXC);
    this.#singles[0] = result;
    return this.#singleBits[0]!;
  }
}

function compute(operation: HostOperation, a: number, b: number): number {
  switch (operation) {
    case "add":
      return a + b;
    case "subtract":
      return a - b;
    case "multiply":
      return a * b;
    case "divide":
      return a / b;
    case "squareRoot":
      return Math.sqrt(a);
  }
}

/** False for zero, too: its signs and quotients are left to the general way. */
function isMiddling(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude > SMALLEST_DOUBLE && magnitude < LARGEST_DOUBLE;
}

function isNormalSingle(value: number): boolean {
  const magnitude = Math.abs(value);
  return magnitude >= SMALLEST_NORMAL_SINGLE && magnitude < Infinity;
}

function sumIsExact(a: number, b: number, sum: number): boolean {
  return sum - a === b && sum - b === a;
}

/** a * b - `product`, exactly. */
function productError(a: number, b: number, product: number): number {
  const aBig = a * SPLITTER;
  const aHigh = aBig - (aBig - a);
  const aLow = a - aHigh;
  const bBig = b * SPLITTER;
  const bHigh = bBig - (bBig - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

function doubleIsExact(operation: HostOperation, a: number, b: number, result: number): boolean {
  switch (operation) {
    case "add":
      return sumIsExact(a, b, result);
    case "subtract":
      return sumIsExact(a, -b, result);
    case "multiply":
      return productError(a, b, result) === 0;
    case "divide": {
      const product = result * b;
      return product === a && productError(result, b, product) === 0;
    }
    case "squareRoot": {
      const square = result * result;
      return square === a && productError(result, result, square) === 0;
    }
  }
}

/** In doubles, products of singles are exact. */
function singleIsExact(
  operation: HostOperation,
  a: number,
  b: number,
  wide: number,
  result: number,
): boolean {
  switch (operation) {
    case "add":
      return sumIsExact(a, b, wide) && wide === result;
    case "subtract":
      return sumIsExact(a, -b, wide) && wide === result;
    case "multiply":
      return wide === result;
    case "divide":
      return result * b === a;
    case "squareRoot":
      return result * result === a;
  }
}
