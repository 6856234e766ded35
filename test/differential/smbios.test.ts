import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeSmbios, ENTRY_POINT_SIZE, writeEntryPoint } from "../../src/platform/smbios/structures.ts";
import { GIBIBYTE, MEBIBYTE } from "../../src/platform/units.ts";
import { virtPlatform } from "../../src/platform/virt-device-tree.ts";
import { runHostProgram } from "../support/host-program.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

/** In a dump the structures begin here, and the entry point says so. */
const STRUCTURES_AT = 32;
const UUID = "01234567-89ab-cdef-0123-456789abcdef";
const IDENTITY = {
  0: { vendor: "Makers", version: "9.9", date: "12/31/2025" },
  1: {
    manufacturer: "ACME",
    product: "Anvil",
    version: "2",
    serial: "S1",
    uuid: UUID,
    sku: "K1",
    family: "F1",
  },
  2: { manufacturer: "Boards", product: "B1", serial: "S2", asset: "A2", location: "Here" },
  3: { manufacturer: "Boxes", version: "V3", serial: "S3", asset: "A3", sku: "K3" },
} as const;

/** What dmidecode says of a machine. */
function decode(cpus: number, memoryBytes: number): string {
  const platform = virtPlatform({ cpus, memoryBytes, secure: false, virtualization: false });
  const smbios = describeSmbios({ platform, identity: IDENTITY, firmware: true });
  const dump = new Uint8Array(STRUCTURES_AT + smbios.structures.length);
  dump.set(writeEntryPoint(smbios, STRUCTURES_AT));
  dump.set(smbios.structures, STRUCTURES_AT);
  return withTemporaryDirectory((folder) => {
    const path = join(folder, "dump");
    writeFileSync(path, dump);
    const { stdout, stderr, status } = runHostProgram("dmidecode", ["--from-dump", path]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.toString();
  });
}

describe("dmidecode", () => {
  test("reads who the machine is", () => {
    const text = decode(4, 512 * MEBIBYTE);
    expect(text).toContain("SMBIOS 3.4.0 present.");
    expect(text).not.toMatch(/bad|broken|wrong|invalid|out of spec|truncated/i);
    for (const line of [
      ...["Vendor: Makers", "Version: 9.9", "Release Date: 12/31/2025", "UEFI is supported"],
      ...["System is a virtual machine", "Manufacturer: ACME", "Product Name: Anvil", `UUID: ${UUID}`],
      ...["SKU Number: K1", "Family: F1", "Manufacturer: Boards", "Location In Chassis: Here"],
      ...["Asset Tag: A2", "Manufacturer: Boxes", "Asset Tag: A3", "SKU Number: K3", "Core Count: 4"],
      ...["Family: ARMv8", "Type: Central Processor", "Maximum Capacity: 512 MB", "Size: 512 MB"],
      ...["Range Size: 512 MB", "Starting Address: 0x0000000040000000", "End Of Table"],
    ])
      expect(text).toContain(line);
  });

  test.each([
    [1 * MEBIBYTE, ["Size: 1 MB"], 1],
    [3 * MEBIBYTE + 4096, ["Size: 3076 kB"], 1],
    [40 * GIBIBYTE, ["Maximum Capacity: 40 GB", "Size: 16 GB", "Size: 8 GB", "Number Of Devices: 3"], 3],
  ])("reads %i bytes of memory", (memoryBytes, lines, devices) => {
    const text = decode(1, memoryBytes);
    for (const line of lines) expect(text).toContain(line);
    expect(text.match(/^Memory Device$/gm)).toHaveLength(devices);
  });
});

test("the entry point sums up to zero", () => {
  const entry = writeEntryPoint({ structures: new Uint8Array(77) }, 0x1_2345_6789);
  expect(entry).toHaveLength(ENTRY_POINT_SIZE);
  expect(entry.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
});
