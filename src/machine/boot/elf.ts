import { UserError } from "../../base/errors.ts";
import { type BootFile, hasMagic, viewOf } from "./boot-file.ts";

/** A piece of an ELF file and where it belongs. */
export interface ElfSegment {
  /** Guest-physical address. */
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** Bytes of memory, at least as many as there are in the file; the rest is zero. */
  readonly memorySize: bigint;
}

/** A statically linked AArch64 program, loaded at its segments' physical addresses. */
export interface ElfImage {
  readonly kind: "elf";
  readonly name: string;
  /** Guest-physical address of the first instruction. */
  readonly entry: bigint;
  /** At least one, in the file's order. */
  readonly segments: readonly ElfSegment[];
}

/** Offsets in the ELF-64 header and program headers (System V ABI, "ELF Header", "Program Header"). */
const HEADER = {
  class: 4,
  data: 5,
  type: 16,
  machine: 18,
  entry: 24,
  programHeaders: 32,
  entrySize: 54,
  entryCount: 56,
  SIZE: 64,
} as const;
const PROGRAM = {
  type: 0,
  flags: 4,
  offset: 8,
  virtualAddress: 16,
  physicalAddress: 24,
  fileSize: 32,
  memorySize: 40,
  SIZE: 56,
} as const;

const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const MACHINE_AARCH64 = 183;
const TYPE_EXECUTABLE = 2;
const TYPE_SHARED = 3;
const SEGMENT_LOAD = 1;
const FLAG_EXECUTE = 1;

const MACHINE_NAMES: Readonly<Record<number, string>> = {
  3: "x86",
  8: "MIPS",
  20: "PowerPC",
  21: "64-bit PowerPC",
  22: "S/390",
  40: "32-bit Arm",
  62: "x86-64",
  243: "RISC-V",
  258: "LoongArch",
};

/** Whether the bytes begin as an ELF file does. */
export function isElf(bytes: Uint8Array): boolean {
  return hasMagic(bytes, 0, "\x7fELF");
}

/** Reads a file that {@link isElf}. One that this machine cannot run is a {@link UserError}. */
export function readElf({ name, bytes }: BootFile): ElfImage {
  if (bytes.length < HEADER.SIZE) throw truncated(name, HEADER.SIZE, bytes);
  checkIdentity(name, bytes);
  const view = viewOf(bytes);
  const headers = Number(view.getBigUint64(HEADER.programHeaders, true));
  const entryCount = view.getUint16(HEADER.entryCount, true);
  if (entryCount > 0 && view.getUint16(HEADER.entrySize, true) !== PROGRAM.SIZE) {
    throw unfit(
      name,
      `has program headers of ${view.getUint16(HEADER.entrySize, true)} instead of ${PROGRAM.SIZE} bytes`,
    );
  }
  const headersEnd = headers + entryCount * PROGRAM.SIZE;
  if (headersEnd > bytes.length) throw truncated(name, headersEnd, bytes);

  const programEntry = view.getBigUint64(HEADER.entry, true);
  let entry = programEntry;
  const segments: ElfSegment[] = [];
  for (let at = headers; at < headersEnd; at += PROGRAM.SIZE) {
    if (view.getUint32(at + PROGRAM.type, true) !== SEGMENT_LOAD) continue;
    const virtualAddress = view.getBigUint64(at + PROGRAM.virtualAddress, true);
    const segment = readSegment(name, bytes, at);
    if (segment.memorySize === 0n) continue;
    segments.push(segment);
    // The header has the entry's virtual address, but the processor starts with its MMU off.
    const executable = (view.getUint32(at + PROGRAM.flags, true) & FLAG_EXECUTE) !== 0;
    const into = programEntry - virtualAddress;
    if (executable && into >= 0n && into < segment.memorySize) entry = segment.address + into;
  }
  if (segments.length === 0) throw unfit(name, "has no segments to load");
  const holdsEntry = ({ address, memorySize }: ElfSegment) =>
    entry >= address && entry - address < memorySize;
  if (!segments.some(holdsEntry) || entry % 4n !== 0n) {
    throw unfit(name, `has the entry point 0x${entry.toString(16)}, where none of its instructions can be`);
  }
  return { kind: "elf", name, entry, segments };
}

function checkIdentity(name: string, bytes: Uint8Array): void {
  const view = viewOf(bytes);
  const littleEndian = bytes[HEADER.data] === LITTLE_ENDIAN;
  const machine = view.getUint16(HEADER.machine, littleEndian);
  if (machine !== MACHINE_AARCH64 || bytes[HEADER.class] !== CLASS_64 || !littleEndian) {
    const endianness = littleEndian ? "" : "big-endian ";
    const what = machine === MACHINE_AARCH64 ? "AArch64 with another data model" : MACHINE_NAMES[machine];
    throw unfit(name, `is for ${endianness}${what ?? `ELF machine ${machine}`}`);
  }
  const type = view.getUint16(HEADER.type, true);
  if (type !== TYPE_EXECUTABLE && type !== TYPE_SHARED) {
    throw unfit(name, `is of ELF type ${type}, neither an executable (2) nor position-independent (3)`);
  }
}

function readSegment(name: string, bytes: Uint8Array, header: number): ElfSegment {
  const view = viewOf(bytes);
  const offset = view.getBigUint64(header + PROGRAM.offset, true);
  const fileSize = view.getBigUint64(header + PROGRAM.fileSize, true);
  const memorySize = view.getBigUint64(header + PROGRAM.memorySize, true);
  if (fileSize > memorySize) throw unfit(name, "has a segment that is larger in the file than in memory");
  if (offset + fileSize > BigInt(bytes.length)) throw truncated(name, offset + fileSize, bytes);
  return {
    address: view.getBigUint64(header + PROGRAM.physicalAddress, true),
    bytes: bytes.subarray(Number(offset), Number(offset + fileSize)),
    memorySize,
  };
}

function truncated(name: string, neededBytes: number | bigint, bytes: Uint8Array): UserError {
  return new UserError(
    `The program ${name} is truncated: it has ${bytes.length} of at least ${neededBytes} bytes; build it again.`,
  );
}

function unfit(name: string, what: string): UserError {
  return new UserError(`The program ${name} ${what}; give a little-endian AArch64 ELF executable.`);
}
