import { ByteWriter } from "../../base/byte-writer.ts";
import type { AddressRange, PlatformSpec } from "../platform-spec.ts";
import { GIBIBYTE, MEBIBYTE } from "../units.ts";
import type { SmbiosIdentity } from "./identity.ts";

/** All structures of a machine, ready for memory (DMTF DSP0134, "System Management BIOS", version 3.4). */
export interface Smbios {
  readonly structures: Uint8Array;
}

/** What the structures tell. */
export interface SmbiosInput {
  readonly platform: Pick<PlatformSpec, "cpus" | "memory" | "model">;
  readonly identity?: SmbiosIdentity | undefined;
  /** Describe the firmware, too (type 0); software that is the firmware describes itself. */
  readonly firmware: boolean;
}

/** Structure handles: hundreds by type, as usual in virtual machines. */
const HANDLE = {
  firmware: 0x0000,
  system: 0x0100,
  board: 0x0200,
  chassis: 0x0300,
  processor: 0x0400,
  memoryArray: 0x1000,
  memoryDevice: 0x1100,
  memoryRange: 0x1300,
  boot: 0x2000,
  end: 0x7f00,
} as const;

const MAKER = "Elvisor";
const PRODUCT = "Elvisor Virtual Machine";
/** Date of the tables' contents, in the only form that the standard has. */
const FIRMWARE_DATE = "01/01/2026";

/** "Other", "unknown" and the like, where a virtual machine has nothing to tell. */
const OTHER = 1;
const NO_HANDLE = 0xffff;
const NO_ERROR_INFORMATION = 0xfffe;

/** Largest memory device: one is made for each 16 GiB. */
const DEVICE_LIMIT = 16 * GIBIBYTE;

export function describeSmbios(input: SmbiosInput): Smbios {
  const { platform, identity = {} } = input;
  const writer = new ByteWriter();
  if (input.firmware) firmware(writer, identity[0]);
  system(writer, identity[1]);
  if (identity[2] !== undefined) board(writer, identity[2]);
  chassis(writer, identity[3]);
  processor(writer, platform);
  memory(writer, platform.memory);
  structure(writer, 32, HANDLE.boot, new ByteWriter().zeros(7), []);
  structure(writer, 127, HANDLE.end, new ByteWriter(), []);
  return { structures: writer.finish() };
}

/** The 64-bit entry point (section 5.2.2) for structures at this physical address. */
export function writeEntryPoint({ structures }: Smbios, address: number): Uint8Array {
  const bytes = new ByteWriter()
    .text("_SM3_")
    .u8(0)
    .u8(ENTRY_POINT_SIZE)
    // Version 3.4, no errata; revision 1 of the entry point.
    .u8(3)
    .u8(4)
    .u8(0)
    .u8(1)
    .u8(0)
    .u32(structures.length)
    .u64(address)
    .finish();
  bytes[5] = -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return bytes;
}

export const ENTRY_POINT_SIZE = 24;

type Texts = Readonly<Record<string, string | undefined>> | undefined;

/** The strings of one structure: the formatted part holds their numbers, from 1; 0 is "none". */
class Strings {
  readonly list: string[] = [];

  number(text: string | undefined): number {
    return text === undefined ? 0 : this.list.push(text);
  }
}

/** Header, formatted part, strings, and the two zeros that end it. */
function structure(
  writer: ByteWriter,
  type: number,
  handle: number,
  formatted: ByteWriter,
  strings: readonly string[],
): void {
  writer
    .u8(type)
    .u8(4 + formatted.length)
    .u16(handle)
    .bytes(formatted.finish());
  for (const text of strings) writer.text(text).u8(0);
  writer.zeros(strings.length === 0 ? 2 : 1);
}

function firmware(writer: ByteWriter, texts: Texts): void {
  const strings = new Strings();
  const body = new ByteWriter()
    .u8(strings.number(texts?.["vendor"] ?? MAKER))
    .u8(strings.number(texts?.["version"] ?? "1"))
    // No starting segment: it is not a PC's.
    .u16(0)
    .u8(strings.number(texts?.["date"] ?? FIRMWARE_DATE))
    // ROM of 64 KiB; no characteristics but ACPI, UEFI, and that the machine is virtual.
    .u8(0)
    .u64(1n << 3n)
    .u8(1 << 0)
    .u8((1 << 3) | (1 << 4))
    // Release 1.0; there is no embedded controller.
    .u8(1)
    .u8(0)
    .u8(0xff)
    .u8(0xff);
  structure(writer, 0, HANDLE.firmware, body, strings.list);
}

function system(writer: ByteWriter, texts: Texts): void {
  const strings = new Strings();
  const body = new ByteWriter()
    .u8(strings.number(texts?.["manufacturer"] ?? MAKER))
    .u8(strings.number(texts?.["product"] ?? PRODUCT))
    .u8(strings.number(texts?.["version"] ?? "virt"))
    .u8(strings.number(texts?.["serial"]))
    .bytes(uuidBytes(texts?.["uuid"]))
    // Woken by its power switch.
    .u8(6)
    .u8(strings.number(texts?.["sku"]))
    .u8(strings.number(texts?.["family"]));
  structure(writer, 1, HANDLE.system, body, strings.list);
}

/** The first three fields are little-endian (section 7.2.1); all zeros is "not set". */
function uuidBytes(text: string | undefined): Uint8Array {
  const digits = (text ?? "").replaceAll("-", "").padEnd(32, "0");
  const bytes = Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16),
  );
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

function board(writer: ByteWriter, texts: Texts): void {
  const strings = new Strings();
  const body = new ByteWriter()
    .u8(strings.number(texts?.["manufacturer"] ?? MAKER))
    .u8(strings.number(texts?.["product"] ?? PRODUCT))
    .u8(strings.number(texts?.["version"]))
    .u8(strings.number(texts?.["serial"]))
    .u8(strings.number(texts?.["asset"]))
    // It hosts the processors.
    .u8(1)
    .u8(strings.number(texts?.["location"]))
    .u16(HANDLE.chassis)
    // A motherboard without further objects.
    .u8(0x0a)
    .u8(0);
  structure(writer, 2, HANDLE.board, body, strings.list);
}

function chassis(writer: ByteWriter, texts: Texts): void {
  const strings = new Strings();
  const SAFE = 3;
  const UNKNOWN = 2;
  const body = new ByteWriter()
    .u8(strings.number(texts?.["manufacturer"] ?? MAKER))
    .u8(OTHER)
    .u8(strings.number(texts?.["version"] ?? "virt"))
    .u8(strings.number(texts?.["serial"]))
    .u8(strings.number(texts?.["asset"]))
    .u8(SAFE)
    .u8(SAFE)
    .u8(SAFE)
    .u8(UNKNOWN)
    // OEM data, height, power cords, contained elements.
    .u32(0)
    .u8(0)
    .u8(0)
    .u8(0)
    .u8(0)
    .u8(strings.number(texts?.["sku"]));
  structure(writer, 3, HANDLE.chassis, body, strings.list);
}

/** One socket for all processing elements. */
function processor(writer: ByteWriter, { cpus }: SmbiosInput["platform"]): void {
  const strings = new Strings();
  const CENTRAL = 3;
  const FAMILY_IN_SECOND_FIELD = 0xfe;
  const ARMV8 = 0x101;
  const POPULATED_AND_ENABLED = 0x41;
  const UNKNOWN_UPGRADE = 2;
  const WIDE_MULTICORE = (1 << 2) | (1 << 3);
  const count = cpus.length;
  const body = new ByteWriter()
    .u8(strings.number("CPU 0"))
    .u8(CENTRAL)
    .u8(FAMILY_IN_SECOND_FIELD)
    .u8(strings.number(MAKER))
    // No identification beyond the version; voltage, clock and speeds are unknown.
    .u64(0)
    .u8(strings.number(cpus[0]?.compatible[0]))
    .u8(0)
    .u16(0)
    .u16(0)
    .u16(0)
    .u8(POPULATED_AND_ENABLED)
    .u8(UNKNOWN_UPGRADE)
    .u16(NO_HANDLE)
    .u16(NO_HANDLE)
    .u16(NO_HANDLE)
    // Serial number, asset tag, part number.
    .zeros(3)
    .u8(Math.min(count, 0xff))
    .u8(Math.min(count, 0xff))
    .u8(Math.min(count, 0xff))
    .u16(count > 1 ? WIDE_MULTICORE : 1 << 2)
    .u16(ARMV8)
    .u16(count)
    .u16(count)
    .u16(count);
  structure(writer, 4, HANDLE.processor, body, strings.list);
}

/** An array of memory devices of at most 16 GiB, and where each range of RAM is. */
function memory(writer: ByteWriter, ranges: readonly AddressRange[]): void {
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  const count = Math.max(1, Math.ceil(total / DEVICE_LIMIT));
  const SYSTEM_BOARD = 3;
  const SYSTEM_MEMORY = 3;
  const NO_CORRECTION = 3;
  const IN_EXTENDED_FIELD = 0x8000_0000;
  const array = new ByteWriter()
    .u8(SYSTEM_BOARD)
    .u8(SYSTEM_MEMORY)
    .u8(NO_CORRECTION)
    .u32(IN_EXTENDED_FIELD)
    .u16(NO_ERROR_INFORMATION)
    .u16(count)
    .u64(total);
  structure(writer, 16, HANDLE.memoryArray, array, []);
  for (let index = 0; index < count; index++) {
    memoryDevice(writer, index, Math.min(DEVICE_LIMIT, total - index * DEVICE_LIMIT));
  }
  for (const [index, { base, size }] of ranges.entries()) {
    const IN_EXTENDED_FIELDS = 0xffff_ffff;
    const range = new ByteWriter()
      .u32(IN_EXTENDED_FIELDS)
      .u32(IN_EXTENDED_FIELDS)
      .u16(HANDLE.memoryArray)
      .u8(count)
      .u64(base)
      .u64(base + size - 1);
    structure(writer, 19, HANDLE.memoryRange + index, range, []);
  }
}

function memoryDevice(writer: ByteWriter, index: number, size: number): void {
  const strings = new Strings();
  const DIMM = 9;
  const RAM = 7;
  const OTHER_DETAIL = 1 << 1;
  const IN_EXTENDED_FIELD = 0x7fff;
  const UNKNOWN_WIDTH = 0xffff;
  const IN_KIBIBYTES = 0x8000;
  const mebibytes = Math.floor(size / MEBIBYTE);
  const wide = mebibytes >= IN_EXTENDED_FIELD;
  const odd = size % MEBIBYTE !== 0 && size / 1024 < IN_KIBIBYTES;
  const body = new ByteWriter()
    .u16(HANDLE.memoryArray)
    .u16(NO_ERROR_INFORMATION)
    .u16(UNKNOWN_WIDTH)
    .u16(UNKNOWN_WIDTH)
    .u16(wide ? IN_EXTENDED_FIELD : odd ? IN_KIBIBYTES | (size / 1024) : mebibytes)
    .u8(DIMM)
    // Not part of a set.
    .u8(0)
    .u8(strings.number(`DIMM ${index}`))
    .u8(0)
    .u8(RAM)
    .u16(OTHER_DETAIL)
    // Speed.
    .u16(0)
    .u8(strings.number(MAKER))
    // Serial number, asset tag, part number; attributes.
    .zeros(4)
    .u32(wide ? mebibytes : 0)
    // Configured speed, and the least, greatest and configured voltage.
    .zeros(8);
  structure(writer, 17, HANDLE.memoryDevice + index, body, strings.list);
}
