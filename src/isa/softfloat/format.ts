/** An IEEE 754 binary interchange format. */
export interface FloatFormat {
  readonly width: 16 | 32 | 64;
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** Exponent of the smallest normal number: -14, -126 or -1022. */
  readonly minimumExponent: number;
  /** All ones in the exponent field, at its place. */
  readonly infinity: bigint;
  readonly fractionMask: bigint;
  /** The top fraction bit, which tells quiet from signalling NaNs. */
  readonly quietBit: bigint;
  readonly signBit: bigint;
  readonly mask: bigint;
}

function format(width: 16 | 32 | 64, exponentBits: number): FloatFormat {
  const fractionBits = width - 1 - exponentBits;
  const one = 1n;
  return {
    width,
    exponentBits,
    fractionBits,
    minimumExponent: 2 - 2 ** (exponentBits - 1),
    infinity: ((one << BigInt(exponentBits)) - one) << BigInt(fractionBits),
    fractionMask: (one << BigInt(fractionBits)) - one,
    quietBit: one << BigInt(fractionBits - 1),
    signBit: one << BigInt(width - 1),
    mask: (one << BigInt(width)) - one,
  };
}

/** IEEE 754 binary16, binary32 and binary64. */
export const HALF = format(16, 5);
export const SINGLE = format(32, 8);
export const DOUBLE = format(64, 11);

export function zero(format: FloatFormat, sign: boolean): bigint {
  return sign ? format.signBit : 0n;
}

export function infinity(format: FloatFormat, sign: boolean): bigint {
  return sign ? format.signBit | format.infinity : format.infinity;
}

export function largestFinite(format: FloatFormat, sign: boolean): bigint {
  return infinity(format, sign) - 1n;
}

export function defaultNaN(format: FloatFormat): bigint {
  return format.infinity | format.quietBit;
}

/** Number of significant bits; 0 for 0. */
export function bitLength(value: bigint): number {
  let rest = value;
  let length = 0;
  while (rest > 0xffffffffn) {
    rest >>= 32n;
    length += 32;
  }
  return length + 32 - Math.clz32(Number(rest));
}
