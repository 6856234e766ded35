import { describe, expect, test } from "vitest";
import { createMachine } from "../../src/node/create-machine.ts";
import { platformTables } from "../../src/platform/acpi/platform-tables.ts";
import { signatureOf, TABLE_OFFSET } from "../../src/platform/acpi/table.ts";
import { layOutTables } from "../../src/platform/acpi/table-layout.ts";
import { describeSmbios } from "../../src/platform/smbios/structures.ts";
import { MEBIBYTE } from "../../src/platform/units.ts";
import { virtPlatform } from "../../src/platform/virt-device-tree.ts";
import { type Guest, type GuestOptions, startGuest, withGuest } from "../support/guest.ts";
import { firmwareFile } from "../support/guest-images.ts";
import { readKernelLog, troublesOnlyIn } from "../support/kernel-log.ts";
import { createQemuMachine } from "../support/qemu-virtual-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 800_000;
/** Two boots in a row, of a kernel that evaluates AML besides. */
const BOOT_SECONDS = 300;
const MEMORY = 512;

/**
 * The two devices in which a machine described by ACPI may differ from the same machine described by a device tree. A
 * test checks exactly that.
 */
const DIFFERENCES: readonly {
  readonly device: string;
  readonly deviceTree: readonly string[];
  readonly acpi: readonly string[];
  readonly reason: string;
}[] = [
  {
    device: "PL011",
    deviceTree: ["uart-pl011 9000000"],
    acpi: ["sbsa-uart 9000000"],
    reason: "Linux drives ARMH0011 by another part of its PL011 driver, which is no AMBA driver",
  },
  {
    device: "PL031",
    deviceTree: ["rtc-pl031 9010000", "34 Level rtc-pl031"],
    acpi: [],
    reason: "Linux has no ACPI binding for the PL031; EFI gives the time",
  },
];

/** What Linux says under ACPI on QEMU's machine, too. */
const SAID_UNDER_ACPI = [
  // There is no SRAT on a machine with one node.
  /^NUMA: Failed to initialise from firmware$/,
  // PPTT names no caches, since there are none whose size means anything.
  /^Early cacheinfo failed, ret = -2$/,
  // The PCI core has claimed its configuration space before the device that reserves it.
  /^system 00:00: \[mem 0x4010000000-0x401fffffff window\] could not be reserved$/,
];

interface Boot {
  readonly devices: ReadonlySet<string>;
  readonly log: string;
  readonly tables: ReadonlyMap<string, Uint8Array>;
}

/**
 * A device tree's host bridge is a platform device of this driver, ACPI's a root that the PCI core itself finds. Both
 * are the same code on the same configuration space, which it claims as "PCI ECAM"; that is compared.
 */
const PCI_HOST_DRIVER = "pci-host-generic";

/** "driver address" of each device that has both, and "interrupt trigger action" of each that the GIC gives. */
async function devicesOf(guest: Guest): Promise<Set<string>> {
  const devices = new Set<string>();
  const iomem = await guest.output("cat /proc/iomem");
  const drivers = await guest.output(
    // Newer kernels show the parts of a serial port as devices on a bus of their own, by the name of the port.
    "for d in /sys/bus/*/devices/*/driver; do case $d in /sys/bus/serial-base/*) continue; esac; " +
      "echo $(basename $(dirname $d)) $(basename $(readlink $d)); done",
  );
  const driverOf = new Map(drivers.split("\n").map((line) => line.split(" ") as [string, string]));
  for (const [, base, text] of iomem.matchAll(/^ *([0-9a-f]+)-[0-9a-f]+ : (.+)$/gm)) {
    // Newer kernels say a device's name twice.
    const driver = driverOf.get(text!.split(" ")[0]!);
    const address = Number.parseInt(base!, 16).toString(16);
    if (text === "PCI ECAM") devices.add(`PCI host ${address}`);
    else if (driver !== undefined) devices.add(`${driver} ${address}`);
  }
  // Devices of a tree have their address in their name.
  for (const [name, driver] of driverOf) {
    const base = /^([0-9a-f]+)\./.exec(name)?.[1];
    if (base !== undefined && driver !== PCI_HOST_DRIVER) devices.add(`${driver} ${base}`);
  }
  const interrupts = await guest.output("cat /proc/interrupts");
  for (const [, rest] of interrupts.matchAll(/GICv3 +(\d+ \w+ +.*)$/gm))
    devices.add(rest!.replace(/ +/g, " "));
  return devices;
}

async function bytesOf(guest: Guest, path: string): Promise<Uint8Array> {
  return new Uint8Array(Buffer.from(await guest.output(`base64 ${path}`), "base64"));
}

async function boot(options: GuestOptions): Promise<Boot> {
  // Deterministic, so that a busy host's pauses do not get into the log.
  const guest = await startGuest({ memoryMebibytes: MEMORY, deterministic: true, ...options });
  try {
    await guest.ready(BOOT_SECONDS);
    const tables = new Map<string, Uint8Array>();
    if (options.acpi === "on") {
      const names = await guest.output("cd /sys/firmware/acpi/tables; ls -p | grep -v /");
      for (const name of names.trim().split("\n")) {
        tables.set(name, await bytesOf(guest, `/sys/firmware/acpi/tables/${name}`));
      }
      expect(await guest.output("ls /proc/device-tree 2>/dev/null | grep -c @; true")).toBe("0\n");
      expect(await guest.output("cat /sys/class/dmi/id/product_name")).toBe("Elvisor Virtual Machine\n");
      tables.set("DMI", await bytesOf(guest, "/sys/firmware/dmi/tables/DMI"));
    }
    return { devices: await devicesOf(guest), log: await guest.output("dmesg -r"), tables };
  } finally {
    await guest.stop();
  }
}

const KERNELS = FULL
  ? (["kernel:6.1-cloud", "kernel:6.12-generic"] as const)
  : (["kernel:6.1-cloud"] as const);

describe.each(KERNELS)("%s", (kernel) => {
  test.each(FULL ? [1, 4] : [1])(
    "finds the same devices by ACPI as by the device tree, with %i processor(s)",
    async (cpus) => {
      const byTree = await boot({ kernel, cpus, acpi: "off" });
      const byAcpi = await boot({ kernel, cpus, acpi: "on" });
      const expected = new Set(byTree.devices);
      for (const { deviceTree, acpi } of DIFFERENCES) {
        for (const line of deviceTree)
          expect(expected.delete(line), `${line} in ${[...byTree.devices].join(", ")}`).toBe(true);
        for (const line of acpi) expected.add(line);
      }
      expect([...expected].filter((line) => line.startsWith("PCI host"))).toEqual(["PCI host 4010000000"]);
      expect([...byAcpi.devices].toSorted()).toEqual([...expected].toSorted());

      expect(byAcpi.log).not.toMatch(/ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)/i);
      const troubles = troublesOnlyIn(readKernelLog(byAcpi.log), readKernelLog(byTree.log));
      expect(troubles.filter((text) => !SAID_UNDER_ACPI.some((known) => known.test(text)))).toEqual([]);

      const platform = virtPlatform({
        ...{ cpus, secure: false, virtualization: false },
        memoryBytes: MEMORY * MEBIBYTE,
      });
      const smbios = describeSmbios({ platform, firmware: true });
      expect([...byAcpi.tables.get("DMI")!]).toEqual([...smbios.structures]);
      const generated = layOutTables(platformTables(platform), 0);
      for (const { start, length } of generated.tables) {
        const table = generated.bytes.subarray(start, start + length);
        const name = signatureOf(table);
        if (name === "XSDT") continue;
        expect([...withoutAddresses(byAcpi.tables.get(name))], name).toEqual([...withoutAddresses(table)]);
      }
    },
    LIMIT,
  );
});

test.runIf(FULL)(
  "tables that are in memory are used as they are, and none are made",
  async () => {
    const address = 0x5a00_0000;
    const platform = virtPlatform({
      cpus: 1,
      secure: false,
      virtualization: false,
      memoryBytes: MEMORY * MEBIBYTE,
    });
    const tables = layOutTables(platformTables(platform), address);
    const bytes = Buffer.concat([tables.bytes, new Uint8Array(-tables.bytes.length & 15), tables.rsdp]);
    const files = [{ file: { name: "tables", bytes }, address }];
    await withGuest(
      { kernel: "kernel:6.1-cloud", memoryMebibytes: MEMORY, acpi: "auto", files },
      async (guest) => {
        for (const { start, length } of tables.tables) {
          const table = tables.bytes.subarray(start, start + length);
          const name = signatureOf(table);
          if (name === "XSDT") continue;
          expect([...(await bytesOf(guest, `/sys/firmware/acpi/tables/${name}`))], name).toEqual([...table]);
        }
        const log = await guest.output("dmesg");
        expect(log).toContain(
          `ACPI: RSDP 0x${(address + bytes.length - 36).toString(16).padStart(16, "0").toUpperCase()}`,
        );
        expect(log).not.toMatch(/ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)/i);
      },
      BOOT_SECONDS,
    );
  },
  LIMIT,
);

describe.runIf(FULL)("NUMA domains", () => {
  test.each(["off", "on"] as const)(
    "are the kernel's with --acpi %s",
    async (acpi) => {
      const options = {
        kernel: "kernel:6.1-cloud",
        cpus: 4,
        numaDomains: 2,
        memoryMebibytes: MEMORY,
      } as const;
      await withGuest(
        { ...options, acpi },
        async (guest) => {
          const shown = "cd /sys/devices/system/node; cat online node*/cpulist node*/distance";
          expect(await guest.output(shown)).toBe("0-1\n0-1\n2-3\n10 20\n20 10\n");
          const sizes = await guest.output("grep -h MemTotal /sys/devices/system/node/node*/meminfo");
          for (const [, kibibytes] of sizes.matchAll(/(\d+) kB/g))
            expect(Number(kibibytes)).toBeGreaterThan((MEMORY / 2 - 100) * 1024);
          expect(await guest.output("dmesg")).not.toMatch(
            /Failed to initialise from firmware|Firmware (Bug|Warn)/,
          );
        },
        BOOT_SECONDS,
      );
    },
    LIMIT,
  );
});

describe.runIf(FULL)("under EDK2", () => {
  test(
    "the kernel says nothing that it does not say on QEMU",
    async () => {
      const options = { kernel: "kernel:6.1-cloud", firmware: await firmwareFile("firmware:edk2") } as const;
      const logs: string[] = [];
      for (const factory of [createMachine, createQemuMachine]) {
        const guest = await startGuest({ ...options, factory });
        try {
          await guest.ready(BOOT_SECONDS);
          logs.push(await guest.output("dmesg -r"));
        } finally {
          await guest.stop();
        }
      }
      const [ours, theirs] = logs.map(readKernelLog);
      expect(logs[0]).toMatch(/ACPI: Interpreter enabled/);
      expect(troublesOnlyIn(ours!, theirs!)).toEqual([]);
    },
    LIMIT,
  );
});

/** The FADT holds the address of the DSDT, and so another checksum. */
function withoutAddresses(table: Uint8Array | undefined): Uint8Array {
  const copy = (table ?? new Uint8Array(0)).slice();
  if (copy.length > 0 && signatureOf(copy) === "FACP") {
    copy[TABLE_OFFSET.checksum] = 0;
    copy.fill(0, 140, 148);
  }
  return copy;
}
