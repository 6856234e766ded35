/** One loadable piece of a program. */
export interface ElfSegment {
  /** Virtual address, a multiple of the page size (64 KiB to be safe everywhere). */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Bytes in memory, zero-filled behind `bytes`; as many as in the file when not given. */
  readonly memorySize?: number;
  readonly executable?: boolean;
}

const PAGE = 0x10000;
const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const MACHINE_AARCH64 = 183;

/** A static ELF64 executable for AArch64 Linux. All segments are readable and writable. */
export function writeElf(entry: bigint, segments: readonly ElfSegment[]): Uint8Array {
  const offsets: number[] = [];
  let end = HEADER_SIZE + segments.length * PROGRAM_HEADER_SIZE;
  for (const { bytes } of segments) {
    end = Math.ceil(end / PAGE) * PAGE;
    offsets.push(end);
    end += bytes.length;
  }
  const file = new Uint8Array(end);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, MACHINE_AARCH64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, BigInt(HEADER_SIZE), true);
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, segments.length, true);
  segments.forEach(({ address, bytes, memorySize, executable }, index) => {
    const at = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, executable ? 7 : 6, true);
    view.setBigUint64(at + 8, BigInt(offsets[index]!), true);
    view.setBigUint64(at + 16, address, true);
    view.setBigUint64(at + 24, address, true);
    view.setBigUint64(at + 32, BigInt(bytes.length), true);
    view.setBigUint64(at + 40, BigInt(memorySize ?? bytes.length), true);
    view.setBigUint64(at + 48, BigInt(PAGE), true);
    file.set(bytes, offsets[index]!);
  });
  return file;
}
