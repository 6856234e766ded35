import { hasMagic, viewOf } from "./boot-file.ts";

/** IMAGE_FILE_MACHINE values (PE format, "Machine Types"). */
const MACHINE_NAMES: Readonly<Record<number, string>> = {
  43620: "arm64",
  332: "x86",
  34404: "x86-64",
  448: "32-bit Arm",
  450: "32-bit Arm",
  452: "32-bit Arm",
  20530: "RISC-V 32",
  20580: "RISC-V 64",
  25138: "LoongArch 32",
  25188: "LoongArch 64",
};

const ARM64_MACHINE = 0xaa64;
/** Offset of the PE header's offset in the DOS header, and sizes of what follows. */
const PE_OFFSET_FIELD = 60;
const COFF_HEADER_SIZE = 24;
const SECTION_HEADER_SIZE = 40;

export interface PortableExecutable {
  readonly isArm64: boolean;
  readonly machine: string;
  /** Bytes that the file must have for all its sections to be there. */
  readonly neededBytes: number;
}

/** What a file's PE header says; undefined when it has none. */
export function readPortableExecutable(bytes: Uint8Array): PortableExecutable | undefined {
  if (!hasMagic(bytes, 0, "MZ") || bytes.length < PE_OFFSET_FIELD + 4) return undefined;
  const view = viewOf(bytes);
  const header = view.getUint32(PE_OFFSET_FIELD, true);
  if (header + COFF_HEADER_SIZE > bytes.length || !hasMagic(bytes, header, "PE\0\0")) return undefined;
  const machine = view.getUint16(header + 4, true);
  const sectionCount = view.getUint16(header + 6, true);
  const sections = header + COFF_HEADER_SIZE + view.getUint16(header + 20, true);
  let neededBytes = sections + sectionCount * SECTION_HEADER_SIZE;
  for (let index = 0; index < sectionCount; index++) {
    const section = sections + index * SECTION_HEADER_SIZE;
    if (section + SECTION_HEADER_SIZE > bytes.length) break;
    const rawSize = view.getUint32(section + 16, true);
    const rawOffset = view.getUint32(section + 20, true);
    neededBytes = Math.max(neededBytes, rawOffset + rawSize);
  }
  return {
    isArm64: machine === ARM64_MACHINE,
    machine: MACHINE_NAMES[machine] ?? `machine type 0x${machine.toString(16)}`,
    neededBytes,
  };
}
