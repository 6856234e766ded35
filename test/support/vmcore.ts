const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const MACHINE_AARCH64 = 183;
const TYPE_CORE = 4;
const SEGMENT = { load: 1, note: 4 } as const;
const PAGE = 4096;

/** A page of RAM and where the kernel has it. */
export interface KernelPage {
  readonly virtual: bigint;
  readonly physical: number;
}

/**
 * A dump of a machine's RAM as kdump writes it: ELF64 with the kernel's VMCOREINFO as a note, and all of the RAM by its
 * physical addresses. Only `pages` can be found by virtual ones without a walk.
 */
export function writeVmcore(
  information: Uint8Array,
  ramBase: number,
  ram: Uint8Array,
  pages: readonly KernelPage[],
): Uint8Array {
  const segments = 2 + pages.length;
  const name = Buffer.from("VMCOREINFO\0\0");
  const notesOffset = HEADER_BYTES + segments * SEGMENT_BYTES;
  const notesBytes = 12 + name.length + Math.ceil(information.length / 4) * 4;
  const ramOffset = Math.ceil((notesOffset + notesBytes) / PAGE) * PAGE;
  const file = Buffer.alloc(ramOffset + ram.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(TYPE_CORE, 16);
  file.writeUInt16LE(MACHINE_AARCH64, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  file.writeUInt16LE(HEADER_BYTES, 52);
  file.writeUInt16LE(SEGMENT_BYTES, 54);
  file.writeUInt16LE(segments, 56);
  const segment = (index: number, type: number, offset: number, place: KernelPage, bytes: number): void => {
    const at = HEADER_BYTES + index * SEGMENT_BYTES;
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(type === SEGMENT.load ? 7 : 0, at + 4);
    file.writeBigUInt64LE(BigInt(offset), at + 8);
    file.writeBigUInt64LE(place.virtual, at + 16);
    file.writeBigUInt64LE(BigInt(place.physical), at + 24);
    file.writeBigUInt64LE(BigInt(bytes), at + 32);
    file.writeBigUInt64LE(BigInt(bytes), at + 40);
  };
  segment(0, SEGMENT.note, notesOffset, { virtual: 0n, physical: 0 }, notesBytes);
  segment(1, SEGMENT.load, ramOffset, { virtual: 0n, physical: ramBase }, ram.length);
  pages.forEach((place, index) => {
    segment(2 + index, SEGMENT.load, ramOffset + place.physical - ramBase, place, PAGE);
  });
  file.writeUInt32LE(name.length - 1, notesOffset);
  file.writeUInt32LE(information.length, notesOffset + 4);
  file.set(name, notesOffset + 12);
  file.set(information, notesOffset + 12 + name.length);
  file.set(ram, ramOffset);
  return file;
}
