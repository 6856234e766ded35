import { expect, test } from "vitest";
import type { DeviceAlias } from "../../src/platform/aliases/device-aliases.ts";
import { decodeStrings, encodeStrings } from "../../src/platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../src/platform/device-tree/reader.ts";
import { walkTree } from "../../src/platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../src/platform/device-tree/writer.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { withGuest } from "../support/guest.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 400_000;
const MEMORY_MEBIBYTES = 512;

/** Ids that no kernel knows, in the place of those of two of our devices. */
const OBSCURE: Readonly<Record<string, string>> = { "arm,pl011": "ACME0001", "arm,pl061": "ACME0003" };
const ALIASES: readonly DeviceAlias[] = [
  { match: { hid: "ACME0001" }, as: ["ARMH0011", "arm,pl011", "arm,primecell"] },
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
  for (const { node } of walkTree(tree)) {
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
  return await withGuest({ ...options, acpi, aliases, deviceTree: obscureBoard() }, async (guest) => {
    const list = await guest.output(LIST_DRIVERS);
    if (acpi === "auto" && aliases !== undefined) {
      expect(await guest.output("head -c 4 /sys/firmware/acpi/tables/DIDM; echo")).toBe("DIDM\n");
      expect(await guest.output("dmesg")).not.toMatch(
        /ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)/i,
      );
    }
    return list
      .split("\n")
      .filter((line) => /ACME|^90[03]0000/.test(line))
      .toSorted();
  });
}

test(
  "obscure ids bind with aliases under ACPI, all of them",
  async () => {
    expect(await bindings("auto", ALIASES)).toEqual(["ACME0001:00 sbsa-uart", "ACME0003:00 pl061_gpio"]);
  },
  LIMIT,
);

test.runIf(FULL)(
  "and none of them without",
  async () => {
    expect(await bindings("auto", undefined)).toEqual(["ACME0001:00 none", "ACME0003:00 none"]);
  },
  LIMIT,
);

test.runIf(FULL)(
  "and in the same way under a device tree",
  async () => {
    const bound = ["9000000.pl011 uart-pl011", "9030000.pl061 pl061_gpio"];
    expect(await bindings("off", ALIASES)).toEqual(bound);
    expect(await bindings("off", undefined)).toEqual(bound.map((line) => line.replace(/ .*/, " none")));
  },
  LIMIT,
);
