import { describe, expect, test } from "vitest";
import { linuxImage, TEST_DECOMPRESSORS } from "../../../test/support/boot-images.ts";
import { decodeCells } from "../../platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { createNode, findChild } from "../../platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../platform/device-tree/writer.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { type BootInputs, planBoot } from "./boot-plan.ts";
import { readKernelImage } from "./kernel-image.ts";

const MACHINE = { memoryBytes: 256 * MEBIBYTE, cpus: 2, secure: false, virtualization: false };
const INITRD = { name: "initrd", bytes: new TextEncoder().encode(`070701${"0".repeat(200)}`) };
const FIRMWARE = { name: "firmware", bytes: Uint8Array.of(0, 0, 0, 0x14) };

async function plan(inputs: Partial<BootInputs>) {
  const bytes = linuxImage();
  const kernel = await readKernelImage({ name: "kernel", bytes }, TEST_DECOMPRESSORS);
  return planBoot({ machine: MACHINE, kernel, initrd: INITRD, commandLine: "quiet", ...inputs });
}

function chosenOf(blob: Uint8Array) {
  const { root } = readDeviceTree(blob, "the plan's tree");
  return { names: root.children.map(({ name }) => name), chosen: findChild(root, "chosen")! };
}

describe("a kernel that is started directly", () => {
  test("has a device tree unless it is to have ACPI", async () => {
    for (const acpi of [undefined, "off"] as const) {
      const { loads, deviceTree } = await plan({ acpi });
      expect(loads.map(({ what }) => what)).toEqual(["kernel", "initrd", "device tree"]);
      expect(chosenOf(deviceTree).names).toContain("timer");
    }
  });

  test.each(["on", "auto"] as const)("has EFI tables and a tree of /chosen alone (%s)", async (acpi) => {
    const { loads, deviceTree } = await plan({ acpi });
    const efi = loads.find(({ what }) => what === "EFI tables")!;
    const tree = loads.find(({ what }) => what === "device tree")!;
    const { names, chosen } = chosenOf(deviceTree);
    expect(names).toEqual(["chosen"]);
    const [high, low] = decodeCells(chosen.properties.get("linux,uefi-system-table")!)!;
    expect(high).toBe(0);
    expect(low).toBeGreaterThanOrEqual(efi.address);
    expect(low).toBeLessThan(efi.address + efi.size);
    expect(Buffer.from(efi.bytes).toString("latin1", low! - efi.address, low! - efi.address + 8)).toBe(
      "IBI SYST",
    );
    expect(chosen.properties.has("linux,initrd-start")).toBe(true);
    expect(chosen.properties.has("bootargs")).toBe(true);
    const places = loads.toSorted((one, other) => one.address - other.address);
    places.forEach(({ address, size }, index) => {
      expect(address + size).toBeLessThanOrEqual(
        places[index + 1]?.address ?? 0x4000_0000 + MACHINE.memoryBytes,
      );
    });
    expect(tree.address % 8).toBe(0);
  });

  test("is given no tables over those that its device tree leads to", async () => {
    const tree = readDeviceTree(virtDeviceTreeBlob(MACHINE), "ours");
    const chosen = findChild(tree.root, "chosen") ?? createNode("chosen");
    chosen.properties.set("linux,uefi-system-table", Uint8Array.of(0, 0, 0, 0, 0x48, 0, 0, 0));
    const deviceTree = { name: "led.dtb", bytes: writeDeviceTree(tree) };
    const { loads } = await plan({ acpi: "auto", deviceTree });
    expect(loads.map(({ what }) => what)).toEqual(["kernel", "initrd", "device tree"]);
  });
});

describe("firmware", () => {
  const names = async (inputs: Partial<BootInputs>) =>
    (await plan({ firmware: FIRMWARE, ...inputs })).firmwareFiles.map(({ name }) => name);
  const SMBIOS = ["etc/smbios/smbios-anchor", "etc/smbios/smbios-tables"];
  const ACPI = ["etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"];

  test("finds ACPI tables unless it is not to, and SMBIOS structures always", async () => {
    expect(await names({})).toEqual([...ACPI, ...SMBIOS]);
    expect(await names({ acpi: "auto" })).toEqual([...ACPI, ...SMBIOS]);
    expect(await names({ acpi: "off" })).toEqual(SMBIOS);
  });

  test("goes by a device tree of the user's", async () => {
    const deviceTree = { name: "board.dtb", bytes: virtDeviceTreeBlob(MACHINE) };
    expect(await names({ deviceTree })).toEqual(SMBIOS);
    expect(await names({ deviceTree, acpi: "auto" })).toEqual([...ACPI, ...SMBIOS]);
  });
});

describe("what cannot be is refused with a sentence", () => {
  test("tables for a tree of the user's", async () => {
    const deviceTree = { name: "board.dtb", bytes: virtDeviceTreeBlob(MACHINE) };
    await expect(plan({ acpi: "on", deviceTree })).rejects.toThrow(
      /leave out --dtb, or convert it with --acpi auto/,
    );
  });

  test("a tree that cannot be converted", async () => {
    const tree = { reservations: [], bootProcessor: 0, root: createNode("") };
    const deviceTree = { name: "bare.dtb", bytes: writeDeviceTree(tree) };
    await expect(plan({ acpi: "auto", deviceTree })).rejects.toThrow(
      /^bare\.dtb cannot become ACPI tables: /,
    );
  });

  test("tables that do not fit", async () => {
    const machine = { ...MACHINE, memoryBytes: 64 * MEBIBYTE };
    const bytes = new Uint8Array(32 * MEBIBYTE - 65_536);
    bytes.set(INITRD.bytes);
    await expect(plan({ machine, acpi: "on", initrd: { name: "large", bytes } })).rejects.toThrow(
      /^The block of ACPI tables does not fit: .*; give --memory 128M or more\.$/,
    );
  });
});
