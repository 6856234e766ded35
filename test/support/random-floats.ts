import type { FloatFormat } from "../../src/isa/softfloat/format.ts";
import type { Random } from "./random.ts";

/** A bit pattern biased towards the edges: zeros, denormals, limits, NaNs, few or many fraction bits. */
export function randomFloat(random: Random, format: FloatFormat): bigint {
  const sign = random.below(2) === 1 ? format.signBit : 0n;
  return sign | randomMagnitude(random, format);
}

function randomMagnitude(random: Random, format: FloatFormat): bigint {
  const exponents = 2 ** format.exponentBits;
  const bias = exponents / 2 - 1;
  const at = (exponent: number, fraction: bigint) =>
    (BigInt(Math.max(0, Math.min(exponents - 1, exponent))) << BigInt(format.fractionBits)) | fraction;
  switch (random.below(12)) {
    case 0:
      return random.pick([0n, 1n, format.fractionMask, format.fractionMask + 1n, format.infinity - 1n]);
    case 1:
      return random.pick([format.infinity, format.infinity | format.quietBit | 5n, format.infinity | 3n]);
    case 2:
      return at(0, randomFraction(random, format));
    case 3:
      return at(exponents - 1, randomFraction(random, format));
    case 4:
      return at(1 + random.below(3), randomFraction(random, format));
    case 5:
      return at(exponents - 2 - random.below(3), randomFraction(random, format));
    case 6:
      return at(random.below(exponents), randomFraction(random, format));
    case 7:
      return at(bias + random.below(66), randomFraction(random, format));
    case 8:
      return at(bias >> 1, randomFraction(random, format));
    default:
      return at(bias - 4 + random.below(9), randomFraction(random, format));
  }
}

function randomFraction(random: Random, format: FloatFormat): bigint {
  const bits = format.fractionBits;
  switch (random.below(6)) {
    case 0:
      return 0n;
    case 1:
      return 1n << BigInt(random.below(bits));
    case 2:
      return format.fractionMask >> BigInt(random.below(bits));
    case 3:
      return (format.fractionMask << BigInt(random.below(bits))) & format.fractionMask;
    case 4:
      return (random.u64() << BigInt(random.below(bits))) & format.fractionMask;
    default:
      return random.u64() & format.fractionMask;
  }
}

/** Every control word that changes results: rounding mode, FZ, DN, AHP. */
export function randomControl(random: Random): number {
  return random.below(2) === 0 ? 0 : random.below(32) << 22;
}
