import { assemble } from "./assembler.ts";

/** Where a program lies in its process's memory. */
const BASE = 0x40_0000;
/** The ELF header and one program header. */
const HEADERS = 64 + 56;

/**
 * A64 assembly as an ELF executable for arm64 Linux, which needs no library (System V ABI, "Object Files"; one loadable
 * segment, which cannot be written). It begins with its first instruction.
 */
export function staticProgram(source: string): Uint8Array {
  const { bytes } = assemble(source, { origin: BigInt(BASE + HEADERS) });
  const file = new Uint8Array(HEADERS + bytes.length);
  const view = new DataView(file.buffer);
  // Magic, 64 bits, little-endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // an executable
  view.setUint16(18, 183, true); // EM_AARCH64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE + HEADERS), true);
  view.setBigUint64(32, 64n, true); // program headers
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // readable, executable
  view.setBigUint64(80, BigInt(BASE), true);
  view.setBigUint64(88, BigInt(BASE), true);
  view.setBigUint64(96, BigInt(file.length), true);
  view.setBigUint64(104, BigInt(file.length), true);
  view.setBigUint64(112, 0x1_0000n, true);
  file.set(bytes, HEADERS);
  return file;
}
