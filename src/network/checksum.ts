import type { IpAddress } from "./addresses.ts";

/**
 * Adds the 16-bit big-endian words of `bytes` to a running sum (RFC 1071). An odd last byte counts as a high one, so
 * only the last of several pieces may be odd.
 */
export function sumWords(bytes: Uint8Array, sum = 0): number {
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (even !== bytes.length) sum += bytes[even]! << 8;
  // 2^53 holds far more words than a packet has; folding keeps it small across pieces.
  return (sum & 0xffff) + Math.floor(sum / 0x10000);
}

/** The sum of pieces that follow each other at any lengths. */
export function sumPieces(pieces: readonly Uint8Array[], sum = 0): number {
  let total = sum;
  let odd = false;
  for (const piece of pieces) {
    let rest = piece;
    if (odd && piece.length > 0) {
      total += piece[0]!;
      rest = piece.subarray(1);
      odd = false;
    }
    total = sumWords(rest, total);
    if (rest.length % 2 === 1) odd = !odd;
  }
  return total;
}

/** A sum in 16 bits, not complemented. */
export function fold(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** What stands in a checksum field. */
export function complement(sum: number): number {
  return ~fold(sum) & 0xffff;
}

/** The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 section 3.1, RFC 8200 section 8.1). */
export function pseudoSum(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  length: number,
): number {
  return sumWords(source, sumWords(destination)) + protocol + (length >>> 16) + (length & 0xffff);
}
