/**
 * Logical immediates (DDI 0487, shared pseudo-code DecodeBitMasks): a run of ones, rotated and repeated.
 * Undefined for reserved values. `N` is 0 for 32-bit forms; the result then repeats up to 64 bits.
 */
export function decodeBitMask(N: number, immr: number, imms: number): bigint | undefined {
  const length = 31 - Math.clz32((N << 6) | (~imms & 0x3f));
  if (length < 1) return undefined;
  const size = 1 << length;
  const ones = imms & (size - 1);
  if (ones === size - 1) return undefined;
  const rotation = BigInt(immr & (size - 1));
  const width = BigInt(size);
  const run = (1n << BigInt(ones + 1)) - 1n;
  let element = ((run >> rotation) | (run << (width - rotation))) & ((1n << width) - 1n);
  for (let have = width; have < 64n; have *= 2n) element |= element << have;
  return element;
}

/** The fields (N, immr, imms) of a 64-bit pattern, or undefined when it is no logical immediate. */
export function encodeBitMask(pattern: bigint): [N: number, immr: number, imms: number] | undefined {
  for (let length = 1; length <= 6; length++) {
    const size = 1 << length;
    const element = pattern & ((1n << BigInt(size)) - 1n);
    if (repeat(element, size) !== pattern) continue;
    for (let rotation = 0; rotation < size; rotation++) {
      const rotated = rotateLeft(element, rotation, size);
      const ones = trailingOnes(rotated);
      if (ones === 0 || ones === size || rotated !== (1n << BigInt(ones)) - 1n) continue;
      const imms = (~(size * 2 - 1) & 0x3f) | (ones - 1);
      return [size === 64 ? 1 : 0, rotation, imms];
    }
    return undefined;
  }
  return undefined;
}

function repeat(element: bigint, size: number): bigint {
  let result = element;
  for (let have = size; have < 64; have *= 2) result |= result << BigInt(have);
  return result;
}

function rotateLeft(value: bigint, amount: number, size: number): bigint {
  const mask = (1n << BigInt(size)) - 1n;
  return ((value << BigInt(amount)) | (value >> BigInt(size - amount))) & mask;
}

function trailingOnes(value: bigint): number {
  let count = 0;
  while ((value >> BigInt(count)) & 1n) count++;
  return count;
}
