import type { Semantics, V128 } from "../semantics.ts";
import { absoluteDifference, binary, type Extent, multiplyLong, type Shape, splat, widen } from "./vector.ts";
import { saturatingAdd, saturatingDoublingMultiplyLong, saturatingSubtract } from "./vector-saturation.ts";

/** An operation from `size` to twice as many bits, over the low or high half of the sources. */
export interface LongShape {
  readonly size: 8 | 16 | 32;
  /** "q", or "scalar" where one element is made. */
  readonly extent: Extent;
  readonly high: boolean;
}

/** The result's elements from the sources and the destination's old value. */
export type LongMeaning = (s: Semantics, shape: LongShape, n: V128, m: V128, d: () => V128) => V128;

export const doubled = (size: 8 | 16 | 32): 16 | 32 | 64 => (size * 2) as 16 | 32 | 64;

/** The shape of what a long operation makes. */
export function resultShape({ size, extent }: LongShape): Shape {
  return { size: doubled(size), extent };
}

/** SADDL, SSUBL and siblings, and with `wide` SADDW, SSUBW, where n has wide elements already. */
export function addLong(operation: "add" | "sub", wide: boolean, unsigned: boolean): LongMeaning {
  return (s, { size, high }, n, m) => {
    const first = wide ? n : widen(s, size, unsigned, high, n);
    return binary(s, doubled(size), operation, first, widen(s, size, unsigned, high, m));
  };
}

/** SABDL, SABAL and siblings. */
export function absoluteDifferenceLong(accumulate: boolean, unsigned: boolean): LongMeaning {
  return (s, { size, high }, n, m, d) => {
    const difference = widen(s, size, true, high, absoluteDifference(s, size, unsigned, n, m));
    return accumulate ? binary(s, doubled(size), "add", d(), difference) : difference;
  };
}

/** SMULL, SMLAL, SMLSL and siblings. */
export function multiplyAccumulateLong(operation: "add" | "sub" | undefined, unsigned: boolean): LongMeaning {
  return (s, { size, high }, n, m, d) => {
    const product = multiplyLong(s, size, unsigned, high, n, m);
    return operation ? binary(s, doubled(size), operation, d(), product) : product;
  };
}

/** SQDMULL, SQDMLAL, SQDMLSL. */
export function saturatingMultiplyAccumulateLong(operation: "add" | "sub" | undefined): LongMeaning {
  return (s, shape, n, m, d) => {
    const result = resultShape(shape);
    const product = saturatingDoublingMultiplyLong(s, shape.size, shape.extent, shape.high, n, m);
    if (operation === undefined) return product;
    return operation === "add"
      ? saturatingAdd(s, result, false, d(), product)
      : saturatingSubtract(s, result, false, d(), product);
  };
}

/** The whole sums or differences whose high halves ADDHN, SUBHN keep, rounded or not. */
export function addForHighHalf(
  s: Semantics,
  size: 8 | 16 | 32,
  operation: "add" | "sub",
  rounding: boolean,
  n: V128,
  m: V128,
): V128 {
  const wide = doubled(size);
  const sum = binary(s, wide, operation, n, m);
  return rounding ? binary(s, wide, "add", sum, splat(s, wide, 1n << BigInt(size - 1))) : sum;
}
