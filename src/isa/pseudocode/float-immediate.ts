import type { FloatFormat } from "../softfloat/format.ts";

/** VFPExpandImm: sign, three bits of exponent, four of fraction. */
export function expandFloatImmediate(format: FloatFormat, imm8: number): bigint {
  const sign = imm8 >> 7;
  const high = (imm8 >> 6) & 1;
  const repeated = high ? 2 ** (format.exponentBits - 3) - 1 : 0;
  const exponent = ((high ^ 1) << (format.exponentBits - 1)) | (repeated << 2) | ((imm8 >> 4) & 3);
  const magnitude =
    (BigInt(exponent) << BigInt(format.fractionBits)) |
    (BigInt(imm8 & 15) << BigInt(format.fractionBits - 4));
  return sign ? magnitude | format.signBit : magnitude;
}
