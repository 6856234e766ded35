import { alignUp } from "../../base/bits.ts";
import { Bug } from "../../base/errors.ts";
import { type EfiImage, efiImage, efiImageSize } from "../../firmware/efi/system-table.ts";
import { platformTables } from "../../platform/acpi/platform-tables.ts";
import { type LoaderFile, tableLoaderFiles } from "../../platform/acpi/table-loader.ts";
import type { AddressRange, PlatformSpec } from "../../platform/platform-spec.ts";
import type { SmbiosIdentity } from "../../platform/smbios/identity.ts";
import { describeSmbios, writeEntryPoint } from "../../platform/smbios/structures.ts";
import { requireRoom } from "./placement.ts";

/** Whether system software gets ACPI tables or a device tree. */
export type AcpiChoice = "on" | "off";

/** The EFI tables go to a boundary of this many bytes above what is loaded. */
const ALIGNMENT = 0x1_0000;

/** Tables for a kernel that is started without firmware, placed above `end`. */
export function placeEfiTables(
  platform: PlatformSpec,
  identity: SmbiosIdentity | undefined,
  end: number,
  ram: AddressRange,
): EfiImage {
  const clock = platform.devices.find(({ kind }) => kind === "pl031")?.registers[0];
  if (clock === undefined) throw new Bug("the platform has no clock for EFI's time services");
  const input = {
    memory: platform.memory,
    acpi: platformTables(platform),
    smbios: describeSmbios({ platform, identity, firmware: true }),
    clock,
  };
  const base = alignUp(end, ALIGNMENT);
  requireRoom("The ACPI tables", BigInt(base + efiImageSize(input) - ram.base), ram);
  return efiImage(input, base);
}

/** What firmware finds in fw_cfg to describe the machine with: ACPI tables if wanted, and SMBIOS structures. */
export function firmwareFiles(
  platform: PlatformSpec,
  identity: SmbiosIdentity | undefined,
  acpi: AcpiChoice,
): LoaderFile[] {
  const smbios = describeSmbios({ platform, identity, firmware: identity?.[0] !== undefined });
  return [
    ...(acpi === "on" ? tableLoaderFiles(platformTables(platform)) : []),
    { name: "etc/smbios/smbios-anchor", bytes: writeEntryPoint(smbios, 0) },
    { name: "etc/smbios/smbios-tables", bytes: smbios.structures },
  ];
}
