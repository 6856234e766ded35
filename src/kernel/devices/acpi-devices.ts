import { RSDP_LAYOUT, xsdtEntryOffset } from "../../platform/acpi/root-tables.ts";
import { byteSum, signatureOf, TABLE_HEADER_SIZE, TABLE_OFFSET } from "../../platform/acpi/table.ts";
import { ALIAS_TABLE_SIGNATURE, readAliasTable } from "../../platform/aliases/alias-table.ts";
import type { DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { type AmlDevice, type AmlValue, readDefinitionBlock } from "../../platform/aml/reader.ts";
import { readResources } from "../../platform/aml/resource-reader.ts";
import {
  DeviceCounter,
  type DeviceStructure,
  type Enumeration,
  type PhysicalMemory,
} from "./device-structure.ts";

/** Where the FADT has the DSDT's address (ACPI 6.4, section 5.2.9). */
const FADT_DSDT = 140;
/** Bytes of a table that is believed; ours are far smaller. */
const LARGEST_TABLE = 16 * 2 ** 20;
/** "Look for the names in the property compatible" (section 9.1.x, Linux's PRP0001). */
const BY_PROPERTY = "PRP0001";
/** Bit of _STA: the device is there. */
const PRESENT = 1n;

/** The devices and aliases to which an RSDP in memory leads. */
export function readAcpiDevices(memory: PhysicalMemory, rsdp: number): Enumeration {
  const problems: string[] = [];
  const devices: DeviceStructure[] = [];
  let aliases: readonly DeviceAlias[] = [];
  const table = (address: number): Uint8Array | undefined => {
    const found = readTable(memory, address);
    if (found === undefined) problems.push(`There is no sound table at 0x${address.toString(16)}.`);
    return found;
  };
  const pointer = memory.read(rsdp, RSDP_LAYOUT.size);
  const xsdt =
    pointer === undefined || byteSum(pointer) !== 0 ? undefined : table(u64(pointer, RSDP_LAYOUT.xsdt));
  if (xsdt === undefined) problems.push(`No tables can be reached from 0x${rsdp.toString(16)}.`);
  for (let index = 0; xsdt !== undefined && xsdtEntryOffset(index + 1) <= xsdt.length; index++) {
    const entry = table(u64(xsdt, xsdtEntryOffset(index)));
    if (entry === undefined) continue;
    const signature = signatureOf(entry);
    if (signature === "FACP" && entry.length >= FADT_DSDT + 8) {
      const block = table(u64(entry, FADT_DSDT));
      if (block !== undefined) devices.push(...devicesIn(block.subarray(TABLE_HEADER_SIZE), problems));
    } else if (signature === ALIAS_TABLE_SIGNATURE) {
      const read = readAliasTable(entry);
      if (read.status === "read") aliases = read.aliases;
      else problems.push(`The table DIDM is not used: ${read.reason}.`);
    }
  }
  return { source: "ACPI", devices, aliases, problems };
}

function readTable(memory: PhysicalMemory, address: number): Uint8Array | undefined {
  const header = memory.read(address, TABLE_HEADER_SIZE);
  if (header === undefined) return undefined;
  const length = new DataView(header.buffer, header.byteOffset).getUint32(TABLE_OFFSET.length, true);
  if (length < TABLE_HEADER_SIZE || length > LARGEST_TABLE) return undefined;
  const bytes = memory.read(address, length);
  return bytes !== undefined && byteSum(bytes) === 0 ? bytes : undefined;
}

function u64(bytes: Uint8Array, offset: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true));
}

function devicesIn(block: Uint8Array, problems: string[]): DeviceStructure[] {
  const contents = readDefinitionBlock(block);
  if (contents.status === "malformed") {
    problems.push(`The DSDT is not used: ${contents.reason}.`);
    return [];
  }
  const counter = new DeviceCounter();
  return contents.devices.flatMap((device): DeviceStructure[] => {
    const { path, names } = device;
    const [id, ...compatibleIds] = idsOf(device);
    const status = names.get("_STA");
    const absent = status?.kind === "integer" && (status.value & PRESENT) === 0n;
    if (id === undefined || absent) return [];
    const current = names.get("_CRS");
    const resources = current?.kind === "buffer" ? readResources(current.value) : undefined;
    if (current !== undefined && resources === undefined)
      problems.push(`The resources of ${path} are not understood.`);
    const { registers = [], interrupts = [] } = resources ?? {};
    return [{ path, id, compatibleIds, number: counter.next(id), registers, interrupts }];
  });
}

/** _HID, then the names in its properties, then _CID. */
function idsOf({ names }: AmlDevice): string[] {
  const listed = names.get("_CID");
  const compatible = listed?.kind === "package" ? listed.elements : listed === undefined ? [] : [listed];
  const own = idText(names.get("_HID"));
  const ids = [...(own === undefined ? [] : [own]), ...compatible.flatMap((value) => idText(value) ?? [])];
  const named = ids.includes(BY_PROPERTY) ? compatibleProperty(names.get("_DSD")) : [];
  const others = ids.filter((id) => id !== BY_PROPERTY);
  return own === BY_PROPERTY ? [...named, ...others] : [...others.slice(0, 1), ...named, ...others.slice(1)];
}

/** An id is a string or the number that one is compressed to (ACPI 6.5, section 19.6.36). */
function idText(value: AmlValue | undefined): string | undefined {
  if (value?.kind === "string") return value.value;
  if (value?.kind !== "integer" || value.value > 0xffff_ffffn) return undefined;
  const number = Number(value.value);
  const bytes = [0, 8, 16, 24].map((shift) => (number >>> shift) & 0xff);
  const vendor = (bytes[0]! << 8) | bytes[1]!;
  const letters = [10, 5, 0].map((shift) => String.fromCharCode(0x40 + ((vendor >> shift) & 0x1f)));
  const product = (bytes[2]! << 8) | bytes[3]!;
  return `${letters.join("")}${product.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The value of "compatible" in a _DSD: pairs of names and values in a package behind a UUID. */
function compatibleProperty(data: AmlValue | undefined): string[] {
  if (data?.kind !== "package") return [];
  for (const part of data.elements) {
    if (part.kind !== "package") continue;
    for (const pair of part.elements) {
      if (pair.kind !== "package") continue;
      const [name, value] = pair.elements;
      if (name?.kind !== "string" || name.value !== "compatible" || value === undefined) continue;
      const values = value.kind === "package" ? value.elements : [value];
      return values.flatMap((one) => (one.kind === "string" ? [one.value] : []));
    }
  }
  return [];
}
