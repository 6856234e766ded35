import type { Random } from "./random.ts";

/** 128 bits whose elements, of a random size, are often extremes or small numbers. */
export function randomVector(random: Random): bigint {
  const size = random.pick([8, 16, 32, 64]);
  let value = 0n;
  for (let low = 0; low < 128; low += size) value |= randomElement(random, size) << BigInt(low);
  return value;
}

/** Up to 64 bits, often an extreme or a small number of either sign. */
export function randomElement(random: Random, size: number): bigint {
  const top = 1n << BigInt(size - 1);
  const choice = random.below(8);
  let value: bigint;
  if (choice === 0) value = random.pick([0n, 1n, -1n, top, top - 1n, top + 1n]);
  else if (choice <= 2) value = BigInt(random.below(160) - 80);
  else if (choice === 3) value = random.u64() & ((1n << BigInt(random.below(size + 1))) - 1n);
  else if (choice === 4) value = random.pick([top, -top, 0n]) + BigInt(random.below(9) - 4);
  else value = random.u64();
  return BigInt.asUintN(size, value);
}
