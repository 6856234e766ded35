import { alignUp } from "../../base/bits.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { type AcpiTables, layOutTables } from "../../platform/acpi/table-layout.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";
import type { Smbios } from "../../platform/smbios/structures.ts";
import { writeEntryPoint } from "../../platform/smbios/structures.ts";
import { crc32 } from "./crc32.ts";
import { EFI_GUID, encodeGuid } from "./guid.ts";
import { type EfiMemoryRange, efiMemoryMap, encodeMemoryMap } from "./memory-map.ts";
import { runtimeServices, SUPPORTED_SERVICES } from "./runtime-services.ts";

/** What an operating system that is started by EFI finds. */
export interface EfiInput {
  readonly memory: readonly AddressRange[];
  /** Tables to be put into the image, or those that are in memory. */
  readonly acpi: AcpiTables | TablesInMemory;
  readonly smbios: Smbios;
  /** The machine's PL031. */
  readonly clock: AddressRange;
}

/** ACPI tables that others have put into memory, for which system software must keep the memory. */
export interface TablesInMemory {
  /** Address of the RSDP. */
  readonly rsdp: number;
  readonly range: AddressRange;
}

/** Bytes for a place in memory. */
export interface EfiImage {
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly systemTable: number;
  readonly memoryMap: AddressRange;
}

/** Runtime regions are multiples of this, so that systems with pages of 64 KiB can map them (UEFI 2.10, section 2.3.6). */
const REGION = 0x1_0000;

/** EFI_TABLE_HEADER.Signature of the two tables, and the UEFI revision that they follow, 2.8 (section 4.2). */
const SYSTEM_TABLE = { signature: 0x5453_5953_2049_4249n, size: 120 } as const;
const RUNTIME_TABLE = { signature: 0x5652_4553_544e_5552n, size: 136 } as const;
const REVISION = (2 << 16) | 80;

const VENDOR = "Elvisor";
const FIRMWARE_REVISION = 1;

/** Bytes of the image for these tables, wherever it goes. */
export function efiImageSize(input: EfiInput): number {
  return efiImage(input, 0).bytes.length;
}

/**
 * An EFI system table after ExitBootServices and SetVirtualAddressMap, with all that it leads to, for the address
 * `base`, a multiple of 64 KiB: code, then data, then what system software may reclaim (ACPI tables).
 */
export function efiImage(input: EfiInput, base: number): EfiImage {
  const { code, entries } = runtimeServices(base, input.clock.base);
  const dataBase = base + alignUp(code.length, REGION);
  // Room for the data is fixed, so that its size does not depend on its contents, which hold addresses.
  const acpiBase = dataBase + alignUp(dataSize(input), REGION);
  const acpi = placeTables(input.acpi, acpiBase);
  const end = alignUp(acpiBase + acpi.bytes.length, REGION);
  const ranges: EfiMemoryRange[] = [
    { type: "runtimeServicesCode", base, size: dataBase - base },
    { type: "runtimeServicesData", base: dataBase, size: acpiBase - dataBase },
    ...acpi.ranges,
    { type: "memoryMappedIo", base: input.clock.base, size: alignUp(input.clock.size, REGION) },
  ];
  const map = encodeMemoryMap(efiMemoryMap(input.memory, ranges));
  const data = writeData(input, dataBase, { entries, rsdp: acpi.rsdp, map });
  const bytes = new Uint8Array(end - base);
  bytes.set(code);
  bytes.set(data.bytes, dataBase - base);
  bytes.set(acpi.bytes, acpiBase - base);
  return { base, bytes, systemTable: data.systemTable, memoryMap: data.memoryMap };
}

/** The part of the image at `base` with the tables, which is empty where they are in memory already. */
function placeTables(acpi: EfiInput["acpi"], base: number) {
  const kept = (range: AddressRange): EfiMemoryRange => ({ type: "acpiReclaim", ...range });
  if ("rsdp" in acpi) {
    const first = acpi.range.base - (acpi.range.base % REGION);
    const end = alignUp(acpi.range.base + acpi.range.size, REGION);
    return {
      bytes: new Uint8Array(0),
      rsdp: acpi.rsdp,
      ranges: [kept({ base: first, size: end - first })],
    };
  }
  const block = layOutTables(acpi, base);
  const rsdpAt = alignUp(block.bytes.length, 16);
  const bytes = new Uint8Array(rsdpAt + block.rsdp.length);
  bytes.set(block.bytes);
  bytes.set(block.rsdp, rsdpAt);
  const ranges = [kept({ base, size: alignUp(bytes.length, REGION) })];
  return { bytes, rsdp: base + rsdpAt, ranges };
}

/** Descriptors in a map: those of the four ranges, and conventional memory on both sides of each. */
function mapLimit({ memory }: EfiInput): number {
  return 40 * (4 + 4 + memory.length);
}

function dataSize(input: EfiInput): number {
  return SYSTEM_TABLE.size + RUNTIME_TABLE.size + input.smbios.structures.length + mapLimit(input) + 1024;
}

interface DataFacts {
  readonly entries: readonly number[];
  readonly rsdp: number;
  readonly map: Uint8Array;
}

function writeData(input: EfiInput, base: number, { entries, rsdp, map }: DataFacts) {
  const writer = new ByteWriter();
  /** Appends bytes at a multiple of 16; the result is their address. */
  const place = (bytes: Uint8Array): number => {
    writer.align(16);
    const address = base + writer.length;
    writer.bytes(bytes);
    return address;
  };
  const vendor = place(utf16(VENDOR));
  const structures = place(input.smbios.structures);
  const anchor = place(writeEntryPoint(input.smbios, structures));
  const properties = place(new ByteWriter().u16(1).u16(8).u32(SUPPORTED_SERVICES).finish());
  // Linux keeps what a later kernel must not touch (tables of the translation service) in a list that begins here:
  // size, count and address of the next part, all zero. Its EFI stub makes it.
  const reservations = place(new Uint8Array(16));
  const tables: readonly (readonly [string, number])[] = [
    [EFI_GUID.ACPI_20_TABLE, rsdp],
    [EFI_GUID.SMBIOS3_TABLE, anchor],
    [EFI_GUID.RT_PROPERTIES_TABLE, properties],
    [EFI_GUID.LINUX_MEMRESERVE, reservations],
  ];
  const configuration = new ByteWriter();
  for (const [guid, address] of tables) configuration.bytes(encodeGuid(guid)).u64(address);
  const configurationAt = place(configuration.finish());
  const runtimeAt = place(runtimeTable(entries));
  const systemTable = place(systemTableBytes(vendor, runtimeAt, tables.length, configurationAt));
  const memoryMap = { base: place(map), size: map.length };
  return { bytes: writer.finish(), systemTable, memoryMap };
}

function runtimeTable(entries: readonly number[]): Uint8Array {
  const writer = header(RUNTIME_TABLE);
  for (const entry of entries) writer.u64(entry);
  return withCrc(writer.finish());
}

function systemTableBytes(
  vendor: number,
  runtime: number,
  tableCount: number,
  configuration: number,
): Uint8Array {
  const writer = header(SYSTEM_TABLE).u64(vendor).u32(FIRMWARE_REVISION).u32(0);
  // Console handles and protocols, which ended with the boot services.
  writer.zeros(6 * 8).u64(runtime);
  // The boot services themselves.
  writer.u64(0).u64(tableCount).u64(configuration);
  return withCrc(writer.finish());
}

function header({ signature, size }: { signature: bigint; size: number }): ByteWriter {
  return new ByteWriter().u64(signature).u32(REVISION).u32(size).u32(0).u32(0);
}

/** The header's checksum at byte 16 is taken with zero in its place. */
function withCrc(table: Uint8Array): Uint8Array {
  new DataView(table.buffer).setUint32(16, crc32(table), true);
  return table;
}

function utf16(text: string): Uint8Array {
  const writer = new ByteWriter();
  for (const character of text) writer.u16(character.charCodeAt(0));
  return writer.u16(0).finish();
}

/**
 * The address that an EFI system table at `systemTable` gives for a configuration table (UEFI 2.10, section 4.6);
 * undefined where there is none. `read` reads physical memory.
 */
export function findConfigurationTable(
  read: (address: number, length: number) => Uint8Array | undefined,
  systemTable: number,
  guid: string,
): number | undefined {
  const system = read(systemTable, SYSTEM_TABLE.size);
  if (system === undefined) return undefined;
  const view = new DataView(system.buffer, system.byteOffset);
  if (view.getBigUint64(0, true) !== SYSTEM_TABLE.signature) return undefined;
  const count = Math.min(Number(view.getBigUint64(CONFIGURATION.count, true)), CONFIGURATION.most);
  const wanted = encodeGuid(guid);
  const entries = read(Number(view.getBigUint64(CONFIGURATION.address, true)), count * CONFIGURATION.entry);
  for (let at = 0; entries !== undefined && at < entries.length; at += CONFIGURATION.entry) {
    const found = wanted.every((byte, index) => entries[at + index] === byte);
    if (found) return Number(new DataView(entries.buffer, entries.byteOffset).getBigUint64(at + 16, true));
  }
  return undefined;
}

/** Where the system table has the number of configuration tables and their address; bytes of each, and most to look at. */
const CONFIGURATION = { count: 104, address: 112, entry: 24, most: 256 } as const;
