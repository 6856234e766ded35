import { gunzipSync, gzipSync } from "node:zlib";
import type { Decompressors } from "../../src/machine/boot/kernel-image.ts";

/** Node's gzip as the machine's; it throws for damaged data and past the limit. */
export const TEST_DECOMPRESSORS: Decompressors = {
  gzip: (packed, limit) => gunzipSync(packed, { maxOutputLength: limit }),
};

/** `nop`, little-endian. */
const NOP = 0xd503201f;
const PE_OFFSET = 64;
const SECTION_OFFSET = PE_OFFSET + 24;

/** A Linux arm64 Image with an EFI header of one section that ends where the file does. */
export function linuxImage({
  textOffset = 0n,
  imageSize = 0x10000n,
  flags = 0xan,
  fileSize = 4096,
} = {}): Uint8Array {
  const bytes = new Uint8Array(fileSize);
  const view = new DataView(bytes.buffer);
  for (let at = SECTION_OFFSET + 40; at + 4 <= fileSize; at += 4) view.setUint32(at, NOP, true);
  bytes.set(ascii("MZ"));
  view.setBigUint64(8, textOffset, true);
  view.setBigUint64(16, imageSize, true);
  view.setBigUint64(24, flags, true);
  bytes.set(ascii("ARM\x64"), 56);
  view.setUint32(60, PE_OFFSET, true);
  bytes.set(ascii("PE\0\0"), PE_OFFSET);
  view.setUint16(PE_OFFSET + 4, 0xaa64, true);
  view.setUint16(PE_OFFSET + 6, 1, true);
  view.setUint32(SECTION_OFFSET + 16, fileSize - 256, true);
  view.setUint32(SECTION_OFFSET + 20, 256, true);
  return bytes;
}

/** An EFI zboot image around `payload`, which is packed already. */
export function zbootImage(payload: Uint8Array, compression = "gzip"): Uint8Array {
  const start = 512;
  const bytes = new Uint8Array(start + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(ascii("MZ\0\0zimg"));
  view.setUint32(8, start, true);
  view.setUint32(12, payload.length, true);
  bytes.set(ascii(compression), 24);
  view.setUint32(60, PE_OFFSET, true);
  bytes.set(ascii("PE\0\0"), PE_OFFSET);
  view.setUint16(PE_OFFSET + 4, 0xaa64, true);
  bytes.set(payload, start);
  return bytes;
}

export interface TestSegment {
  readonly physicalAddress: bigint;
  readonly virtualAddress?: bigint;
  readonly bytes: Uint8Array;
  readonly memorySize?: number;
  readonly executable?: boolean;
}

/** An AArch64 ELF program. */
export function elfProgram(entry: bigint, segments: readonly TestSegment[]): Uint8Array {
  const headersEnd = 64 + 56 * segments.length;
  const bytes = new Uint8Array(headersEnd + segments.reduce((sum, segment) => sum + segment.bytes.length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 183, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segments.length, true);
  let offset = headersEnd;
  segments.forEach((segment, index) => {
    const header = 64 + 56 * index;
    view.setUint32(header, 1, true);
    view.setUint32(header + 4, segment.executable === false ? 4 : 5, true);
    view.setBigUint64(header + 8, BigInt(offset), true);
    view.setBigUint64(header + 16, segment.virtualAddress ?? segment.physicalAddress, true);
    view.setBigUint64(header + 24, segment.physicalAddress, true);
    view.setBigUint64(header + 32, BigInt(segment.bytes.length), true);
    view.setBigUint64(header + 40, BigInt(segment.memorySize ?? segment.bytes.length), true);
    bytes.set(segment.bytes, offset);
    offset += segment.bytes.length;
  });
  return bytes;
}

export function gzip(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(gzipSync(bytes));
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
