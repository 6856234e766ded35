import type { FloatingPointContext } from "../runtime-functions.ts";

/** The carry-less product of two 64-bit polynomials, 127 bits. */
export function polynomialMultiply(a: bigint, b: bigint): bigint {
  let product = 0n;
  const multiplicand = BigInt.asUintN(64, a);
  for (let rest = BigInt.asUintN(64, b), shift = 0n; rest !== 0n; rest >>= 1n, shift++) {
    if (rest & 1n) product ^= multiplicand << shift;
  }
  return product;
}

/** AES, SHA and polynomial functions that are tables or loops. */
export const CRYPTO_FUNCTIONS = {
  polynomialMultiplyLow: {
    operands: ["i64", "i64"],
    result: "i64",
    run: (_: FloatingPointContext, a: bigint, b: bigint) => polynomialMultiply(a, b),
  },
} as const;
