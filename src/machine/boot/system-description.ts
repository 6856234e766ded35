import { alignUp } from "../../base/bits.ts";
import { assertNever, Bug, UserError } from "../../base/errors.ts";
import { type EfiImage, type EfiInput, efiImage, efiImageSize } from "../../firmware/efi/system-table.ts";
import { platformTables } from "../../platform/acpi/platform-tables.ts";
import type { AcpiTables } from "../../platform/acpi/table-layout.ts";
import { type LoaderFile, tableLoaderFiles } from "../../platform/acpi/table-loader.ts";
import type { DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { convertTree } from "../../platform/conversion/convert.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { findChild } from "../../platform/device-tree/tree.ts";
import type { AddressRange, PlatformSpec } from "../../platform/platform-spec.ts";
import type { SmbiosIdentity } from "../../platform/smbios/identity.ts";
import { describeSmbios, writeEntryPoint } from "../../platform/smbios/structures.ts";
import type { BootFile } from "./boot-file.ts";
import { requireRoom } from "./placement.ts";

/**
 * Whether system software gets ACPI tables ("on": the machine's own) or a device tree ("off"). "auto": tables that are
 * converted from the device tree, unless that or what lies in memory already leads to some.
 */
export type AcpiChoice = "on" | "off" | "auto";

/** The tables for a choice; undefined where system software is to go by the device tree. */
export function chooseTables(
  choice: AcpiChoice,
  platform: PlatformSpec,
  deviceTree: BootFile,
  aliases?: readonly DeviceAlias[],
): AcpiTables | undefined {
  switch (choice) {
    case "on":
      return platformTables(platform);
    case "off":
      return undefined;
    case "auto":
      return convertedTables(deviceTree, aliases);
    default:
      return assertNever(choice, "choice of tables");
  }
}

/** Firmware that leaves an RSDP leaves it in the configuration table of an EFI system table, which is named here. */
const SYSTEM_TABLE = "linux,uefi-system-table";

function convertedTables(
  { name, bytes }: BootFile,
  aliases: readonly DeviceAlias[] | undefined,
): AcpiTables | undefined {
  const tree = readDeviceTree(bytes, name);
  if (findChild(tree.root, "chosen")?.properties.has(SYSTEM_TABLE) === true) return undefined;
  const conversion = convertTree(tree, { source: name, ...(aliases === undefined ? {} : { aliases }) });
  if (conversion.status === "refused") {
    throw new UserError(
      `${name} cannot become ACPI tables: ${conversion.reason.replace(/\.$/, "")}; leave out --acpi auto.`,
    );
  }
  const { DSDT: dsdt, FACP: fadt, ...others } = Object.fromEntries(conversion.tables);
  if (dsdt === undefined || fadt === undefined) throw new Bug("a conversion gave neither DSDT nor FADT");
  return { dsdt, fadt, others: Object.values(others) };
}

/** The EFI tables go to a boundary of this many bytes above what is loaded. */
const ALIGNMENT = 0x1_0000;

/** Tables for a kernel that is started without firmware, placed above `end`. */
export function placeEfiTables(
  acpi: EfiInput["acpi"],
  platform: PlatformSpec,
  identity: SmbiosIdentity | undefined,
  end: number,
  ram: AddressRange,
): EfiImage {
  const clock = platform.devices.find(({ kind }) => kind === "pl031")?.registers[0];
  if (clock === undefined) throw new Bug("the platform has no clock for EFI's time services");
  const input = {
    memory: withoutDomains(platform.memory),
    acpi,
    smbios: describeSmbios({ platform, identity, firmware: true }),
    clock,
  };
  const base = alignUp(end, ALIGNMENT);
  requireRoom("The block of ACPI tables", BigInt(base + efiImageSize(input) - ram.base), ram);
  return efiImage(input, base);
}

/** Ranges that follow each other as one: what lies in memory may cross from one NUMA domain into the next. */
function withoutDomains(memory: readonly AddressRange[]): AddressRange[] {
  const merged: AddressRange[] = [];
  for (const { base, size } of memory) {
    const last = merged.at(-1);
    if (last !== undefined && last.base + last.size === base) {
      merged.splice(-1, 1, { base: last.base, size: last.size + size });
    } else merged.push({ base, size });
  }
  return merged;
}

/** What firmware finds in fw_cfg to describe the machine with: ACPI tables if wanted, and SMBIOS structures. */
export function firmwareFiles(
  acpi: AcpiTables | undefined,
  platform: PlatformSpec,
  identity: SmbiosIdentity | undefined,
): LoaderFile[] {
  const smbios = describeSmbios({ platform, identity, firmware: identity?.[0] !== undefined });
  return [
    ...(acpi === undefined ? [] : tableLoaderFiles(acpi)),
    { name: "etc/smbios/smbios-anchor", bytes: writeEntryPoint(smbios, 0) },
    { name: "etc/smbios/smbios-tables", bytes: smbios.structures },
  ];
}
