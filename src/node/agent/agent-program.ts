import { assemble } from "../../isa/assembler.ts";
import { AGENT_SOURCE } from "./agent-source.ts";

/** Where the program lies in its process's memory. */
const BASE = 0x40_0000;
const HEADERS = 64 + 56;

let program: Uint8Array | undefined;

/** The agent as an ELF executable for arm64 Linux (System V ABI, "Object Files"; one loadable segment). */
export function agentProgram(): Uint8Array {
  program ??= link();
  return program;
}

function link(): Uint8Array {
  const { bytes } = assemble(AGENT_SOURCE, { origin: BigInt(BASE + HEADERS) });
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
