/** A relocatable ELF64 file that has nothing but a section .modinfo with these lines. */
export function makeKernelModule(lines: readonly string[]): Uint8Array {
  const information = Buffer.from(lines.map((line) => `${line}\0`).join(""));
  const names = Buffer.from("\0.modinfo\0.shstrtab\0");
  const headerSize = 64;
  const sectionSize = 64;
  const namesOffset = headerSize + information.length;
  const sectionsOffset = namesOffset + names.length;
  const file = Buffer.alloc(sectionsOffset + 3 * sectionSize);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(1, 16);
  file.writeUInt16LE(183, 18);
  file.writeBigUInt64LE(BigInt(sectionsOffset), 0x28);
  file.writeUInt16LE(sectionSize, 0x3a);
  file.writeUInt16LE(3, 0x3c);
  file.writeUInt16LE(2, 0x3e);
  file.set(information, headerSize);
  file.set(names, namesOffset);
  const section = (index: number, name: number, offset: number, size: number): void => {
    const at = sectionsOffset + index * sectionSize;
    file.writeUInt32LE(name, at);
    file.writeBigUInt64LE(BigInt(offset), at + 0x18);
    file.writeBigUInt64LE(BigInt(size), at + 0x20);
  };
  section(1, 1, headerSize, information.length);
  section(2, 10, namesOffset, names.length);
  return file;
}
