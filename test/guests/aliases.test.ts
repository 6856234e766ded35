import { expect, test } from "vitest";
import { writeAliasTable } from "../../src/platform/aliases/alias-table.ts";
import type { DeviceAlias } from "../../src/platform/aliases/device-aliases.ts";
import { decodeStrings, encodeStrings } from "../../src/platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../src/platform/device-tree/reader.ts";
import { walkTree } from "../../src/platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../src/platform/device-tree/writer.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { withGuest } from "../support/guest.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 800_000;
const BOOT_SECONDS = 300;
const MEMORY_MEBIBYTES = 512;

/** Ids that no kernel knows, in the place of those of our devices. */
const OBSCURE: Readonly<Record<string, string>> = {
  "arm,pl011": "ACME0001",
  "virtio,mmio": "ACME0002",
  "arm,pl061": "ACME0003",
};
/** The first slot has the console through which the test sees anything; the second has the entropy device. */
const KEPT = "/virtio_mmio@a000000";
/** Slots without a device, for which the driver is not there under any id. */
const EMPTY_SLOT = /^(a000[4-9a-f]|a00[1-9a-f]).*virtio_mmio|^ACME0002:(0[1-9a-f]|1)/;
const ALIASES: readonly DeviceAlias[] = [
  { match: { hid: "ACME0001" }, as: ["ARMH0011", "arm,pl011", "arm,primecell"] },
  { match: { hid: "ACME0002" }, as: ["LNRO0005", "virtio,mmio"] },
  { match: { hid: "ACME0003" }, as: ["ARMH0061", "arm,pl061", "arm,primecell"] },
];

/** Shell: "device driver" of every device on two buses. */
const LIST_DRIVERS = [
  "for d in /sys/bus/platform/devices/* /sys/bus/amba/devices/*; do r=none",
  "[ -e $d/driver ] && r=$(readlink $d/driver)",
  "echo $(basename $d) $(basename $r); done",
].join("; ");

function obscureBoard(): Uint8Array {
  const memoryBytes = MEMORY_MEBIBYTES * 2 ** 20;
  const blob = virtDeviceTreeBlob({ memoryBytes, cpus: 1, secure: false, virtualization: false });
  const tree = readDeviceTree(blob, "virt");
  for (const { node, path } of walkTree(tree)) {
    if (path === KEPT) continue;
    const id = OBSCURE[decodeStrings(node.properties.get("compatible") ?? new Uint8Array(0))?.[0] ?? ""];
    if (id !== undefined) node.properties.set("compatible", encodeStrings(id));
  }
  return writeDeviceTree(tree);
}

/** "device driver" of each device whose name or place is one of ours; "none" where no driver is bound. */
async function bindings(
  acpi: "auto" | "off",
  aliases: readonly DeviceAlias[] | undefined,
): Promise<string[]> {
  const options = { kernel: "kernel:6.1-cloud", memoryMebibytes: MEMORY_MEBIBYTES, cpus: 1 } as const;
  return await withGuest(
    { ...options, acpi, aliases, deviceTree: obscureBoard() },
    async (guest) => {
      const list = await guest.output(LIST_DRIVERS);
      if (acpi === "auto" && aliases !== undefined) {
        const table = await guest.output("base64 /sys/firmware/acpi/tables/DIDM");
        expect(Buffer.from(table, "base64")).toEqual(Buffer.from(writeAliasTable(aliases)));
        expect(await guest.output("dmesg")).not.toMatch(
          /ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)|invalid checksum/i,
        );
      }
      return list
        .split("\n")
        .filter((line) => /ACME|^90[03]0000|^a000200/.test(line) && !EMPTY_SLOT.test(line))
        .toSorted();
    },
    BOOT_SECONDS,
  );
}

test(
  "obscure ids bind with aliases under ACPI, all of them",
  async () => {
    expect(await bindings("auto", ALIASES)).toEqual([
      "ACME0001:00 sbsa-uart",
      "ACME0002:00 virtio-mmio",
      "ACME0003:00 pl061_gpio",
    ]);
  },
  LIMIT,
);

test.runIf(FULL)(
  "and none of them without",
  async () => {
    expect(await bindings("auto", undefined)).toEqual([
      "ACME0001:00 none",
      "ACME0002:00 none",
      "ACME0003:00 none",
    ]);
  },
  LIMIT,
);

test.runIf(FULL)(
  "and in the same way under a device tree",
  async () => {
    const bound = ["9000000.pl011 uart-pl011", "9030000.pl061 pl061_gpio", "a000200.virtio_mmio virtio-mmio"];
    expect(await bindings("off", ALIASES)).toEqual(bound);
    expect(await bindings("off", undefined)).toEqual(bound.map((line) => line.replace(/ .*/, " none")));
  },
  LIMIT,
);
