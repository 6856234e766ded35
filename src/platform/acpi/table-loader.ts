import { ByteWriter } from "../../base/byte-writer.ts";
import { RSDP_LAYOUT } from "./root-tables.ts";
import { TABLE_OFFSET } from "./table.ts";
import { type AcpiTables, layOutTables } from "./table-layout.ts";

/** A file for the firmware configuration device. */
export interface LoaderFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Names that firmware for QEMU's machines looks for. */
const FILE = { tables: "etc/acpi/tables", rsdp: "etc/acpi/rsdp", script: "etc/table-loader" } as const;

/** Commands of the script; each takes 128 bytes, file names 56. */
const COMMAND = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
const COMMAND_SIZE = 128;
const NAME_SIZE = 56;
/** Zones of memory: anywhere, or where a PC's software looks for the RSDP. */
const ZONE = { high: 1, segment: 2 } as const;

/**
 * The tables as files and a script by which firmware loads them wherever it likes (QEMU's table-loader
 * protocol): it allocates the files, adds their addresses to the pointers, which hold offsets, and computes the
 * checksums, which hold zero.
 */
export function tableLoaderFiles(acpi: AcpiTables): LoaderFile[] {
  const { bytes, rsdp, tables, pointers } = layOutTables(acpi, 0);
  const script = new ByteWriter();
  allocate(script, FILE.rsdp, 16, ZONE.segment);
  allocate(script, FILE.tables, 64, ZONE.high);
  for (const { at } of pointers) addPointer(script, FILE.tables, FILE.tables, at);
  for (const { start, length } of tables) {
    bytes[start + TABLE_OFFSET.checksum] = 0;
    addChecksum(script, FILE.tables, start + TABLE_OFFSET.checksum, start, length);
  }
  rsdp[RSDP_LAYOUT.checksum] = 0;
  rsdp[RSDP_LAYOUT.extendedChecksum] = 0;
  addPointer(script, FILE.rsdp, FILE.tables, RSDP_LAYOUT.xsdt);
  addChecksum(script, FILE.rsdp, RSDP_LAYOUT.checksum, 0, RSDP_LAYOUT.checksummed);
  addChecksum(script, FILE.rsdp, RSDP_LAYOUT.extendedChecksum, 0, RSDP_LAYOUT.size);
  return [
    { name: FILE.tables, bytes },
    { name: FILE.rsdp, bytes: rsdp },
    { name: FILE.script, bytes: script.finish() },
  ];
}

function allocate(script: ByteWriter, file: string, alignment: number, zone: number): void {
  command(script, COMMAND.allocate, (body) => body.text(file, NAME_SIZE).u32(alignment).u8(zone));
}

/** The 64-bit pointer at `offset` of a file gets the address of `source` added. */
function addPointer(script: ByteWriter, file: string, source: string, offset: number): void {
  command(script, COMMAND.addPointer, (body) =>
    body.text(file, NAME_SIZE).text(source, NAME_SIZE).u32(offset).u8(8),
  );
}

/** The byte at `offset` of a file makes the sum of `length` bytes from `start` zero. */
function addChecksum(script: ByteWriter, file: string, offset: number, start: number, length: number): void {
  command(script, COMMAND.addChecksum, (body) =>
    body.text(file, NAME_SIZE).u32(offset).u32(start).u32(length),
  );
}

function command(script: ByteWriter, code: number, write: (body: ByteWriter) => ByteWriter): void {
  const end = script.length + COMMAND_SIZE;
  write(script.u32(code));
  script.zeros(end - script.length);
}
