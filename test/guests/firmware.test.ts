import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { VirtualMachineOptions } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { GuestConsole, typeLine } from "../support/guest-console.ts";
import { firmwareFile, guestFiles } from "../support/guest-images.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = FULL ? 1_200_000 : 200_000;
const SECONDS = FULL ? 300 : 60;

interface Firmware
  extends Partial<
    Pick<
      VirtualMachineOptions,
      "secure" | "virtualization" | "kernel" | "initrd" | "commandLine" | "acpi" | "identity"
    >
  > {
  readonly name: "firmware:uboot" | "firmware:edk2";
}

/** Starts firmware from flash 0 and lets `body` talk to it over the serial port. */
async function withFirmware(
  { name, ...options }: Firmware,
  body: (console: GuestConsole, type: (line: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const console = new GuestConsole();
  const machine = await createMachine({
    memoryBytes: 512 * 2 ** 20,
    cpus: 1,
    firmware: await firmwareFile(name),
    ...options,
    serial: console.output,
  });
  const ended = machine.run();
  try {
    await body(console, (line) => typeLine(machine.serial, line));
  } finally {
    machine.stop();
    await ended;
  }
}

/** What U-Boot answers to a command, its prompt and the echo taken away. */
async function answer(
  console: GuestConsole,
  type: (line: string) => Promise<void>,
  command: string,
): Promise<string> {
  await type(command);
  const match = await console.expect(/\r?\n([\s\S]*?)=> $/, SECONDS);
  return match[1]!.replaceAll("\r", "");
}

async function reachPrompt(console: GuestConsole, type: (line: string) => Promise<void>): Promise<void> {
  await console.expect(/Hit any key to stop autoboot/, SECONDS);
  await type("");
  await console.expect(/=> $/, SECONDS);
  // What was typed ahead may bring a second prompt.
  await delay(300);
  await console.expect(/^/, 1);
}

describe("U-Boot", () => {
  test.each([
    { name: "firmware:uboot" },
    { name: "firmware:uboot", virtualization: true },
    { name: "firmware:uboot", secure: true },
    { name: "firmware:uboot", secure: true, virtualization: true },
  ] as const)(
    "reaches its prompt and computes (secure $secure, virtualization $virtualization)",
    async (firmware) => {
      await withFirmware(firmware, async (console, type) => {
        await reachPrompt(console, type);
        expect(await answer(console, type, "setexpr x 0x1234 * 0x10; printenv x")).toBe("x=12340\n");
        expect(await answer(console, type, "mw.l 50000000 cafebabe 4; md.l 50000000 4")).toContain(
          "50000000: cafebabe cafebabe cafebabe cafebabe",
        );
      });
    },
    LIMIT,
  );
});

describe.runIf(FULL)("EDK2", () => {
  test(
    "reaches its shell",
    async () => {
      await withFirmware({ name: "firmware:edk2" }, async (console, type) => {
        await console.expect(/startup\.nsh/, SECONDS);
        await console.expect(/Shell> /, SECONDS);
        await type("ver\r");
        await console.expect(/UEFI Interactive Shell v2\.2/, SECONDS);
      });
    },
    LIMIT,
  );

  test(
    "reaches its boot manager",
    async () => {
      await withFirmware({ name: "firmware:edk2" }, async (console, type) => {
        await console.expect(/Shell> /, SECONDS);
        await type("exit\r");
        // The first page: with the machine's name from SMBIOS, and a list in which the third line is the boot manager.
        await console.expect(/Elvisor Virtual Machine/, SECONDS);
        await console.expect(/Boot Manager/, SECONDS);
        await console.expect(/Reset/, SECONDS);
        const down = "\x1b[B";
        await type(`${down}${down}\r`);
        await console.expect(/Boot Manager Menu/, SECONDS);
      });
    },
    LIMIT,
  );

  test(
    "boots the kernel that it finds in fw_cfg, with device tree, initial file system and command line",
    async () => {
      const files = await guestFiles("kernel:6.1-cloud");
      const kernel = { ...files, commandLine: "console=ttyAMA0", acpi: "off" } as const;
      await withFirmware({ name: "firmware:edk2", ...kernel }, async (console, type) => {
        await console.expect(/EFI stub: Booting Linux Kernel/, SECONDS);
        await console.expect(/EFI stub: Using DTB from configuration table/, SECONDS);
        await console.expect(/~ # /, 2 * SECONDS);
        await type("cat /proc/cmdline; dmesg | grep 'efi: EFI v'");
        await console.expect(/\nconsole=ttyAMA0/, SECONDS);
        await console.expect(/efi: EFI v2/, SECONDS);
      });
    },
    LIMIT,
  );

  test(
    "hands ACPI tables and SMBIOS structures on to the kernel",
    async () => {
      const files = await guestFiles("kernel:6.1-cloud");
      const identity = { 1: { manufacturer: "Probe", serial: "4711" } };
      const kernel = { ...files, commandLine: "console=ttyAMA0", identity };
      await withFirmware({ name: "firmware:edk2", ...kernel }, async (console, type) => {
        await console.expect(/EFI stub: Generating empty DTB/, SECONDS);
        await console.expect(/~ # /, 2 * SECONDS);
        await type("cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_serial");
        await console.expect(/\nProbe\r?\n4711/, SECONDS);
        await type("ls /proc/device-tree/ /sys/firmware/acpi/tables; echo done");
        const listed = await console.expect(/([\s\S]*)\ndone/, SECONDS);
        expect(listed[1]).toMatch(/APIC +DSDT/);
        expect(listed[1]).not.toContain("pl011");
      });
    },
    LIMIT,
  );
});
