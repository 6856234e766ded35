import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import type { VariableStore } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { openVariableFile } from "../../src/node/disks/variable-file.ts";
import { prepareSystem } from "../../src/node/machines/system-guest.ts";
import { makeEfiDisk } from "../support/efi-disk.ts";
import { runElvisor } from "../support/fake-host.ts";
import { GuestConsole, typeLine } from "../support/guest-console.ts";
import {
  busyboxFile,
  debianSystem,
  firmwareFile,
  firmwareVariables,
  grubFile,
  guestFiles,
} from "../support/guest-images.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 1_200_000;
const SECONDS = 300;

const GRUB_CONFIGURATION = `
set timeout=1
menuentry "Debian on the disk" {
  linux /vmlinuz console=ttyAMA0 quiet
  initrd /initrd.img
}
`;

let folder = "";
let contents: Record<string, Uint8Array | string>;
let grub: Uint8Array;

beforeAll(async () => {
  if (!FULL) return;
  folder = mkdtempSync(join(tmpdir(), "elvisor-uefi-"));
  const { kernel, initrd } = await guestFiles("kernel:6.1-cloud");
  grub = (await grubFile()).bytes;
  contents = {
    vmlinuz: kernel.bytes,
    "initrd.img": initrd.bytes,
    "EFI/debian/grub.cfg": GRUB_CONFIGURATION,
  };
}, LIMIT);
afterAll(() => {
  if (folder !== "") rmSync(folder, { recursive: true, force: true });
});

/** Starts EDK2 with a disk and lets `body` talk to it over the serial port, until the machine is off or stopped. */
async function withFirmware(
  disk: string,
  variables: VariableStore,
  body: (console: GuestConsole, type: (line: string) => Promise<void>) => Promise<void>,
  options: { deterministic?: boolean } = {},
): Promise<void> {
  const drive = await openDrive(disk);
  const console = new GuestConsole();
  const machine = await createMachine({
    memoryBytes: 512 * 2 ** 20,
    cpus: 1,
    firmware: await firmwareFile("firmware:edk2"),
    variables,
    drives: [drive],
    serial: console.output,
    ...options,
  });
  const ended = machine.run();
  try {
    await body(console, (line) => typeLine(machine.serial, line));
  } finally {
    machine.stop();
    await ended;
    await drive.close();
  }
}

test(
  "elvisor run --uefi keeps a named machine's variables with it, until it is removed",
  async () => {
    const environment = { ...process.env, XDG_DATA_HOME: mkdtempSync(join(tmpdir(), "elvisor-data-")) };
    const seen: (number | undefined)[] = [];
    const run = async (...words: string[]) => {
      const outcome = await runElvisor(["run", "--uefi", "--console", "serial", ...words], {
        environment,
        // Looks at the variables and changes one byte of them, as firmware would.
        createMachine: (options) => {
          const { contents, write } = options.variables!;
          seen.push(contents.bytes[0x1000]);
          expect(write(0x1000, Uint8Array.of(0x5a))).toBe(true);
          return Promise.reject(new UserError("This machine is not made."));
        },
      });
      expect(outcome.stderr).toContain("This machine is not made.");
    };
    try {
      const fresh = (await firmwareVariables()).bytes[0x1000];
      await run("--name", "one");
      await run("--name", "one");
      await run("--name", "two");
      await run();
      await run();
      expect(seen).toEqual([fresh, 0x5a, fresh, fresh, fresh]);
      expect((await runElvisor(["rm", "one"], { environment })).status).toBe(0);
      await run("--name", "one");
      expect(seen.at(-1)).toBe(fresh);
      const gone = await runElvisor(["rm", "three"], { environment });
      expect(gone.stderr).toMatch(/There is no machine called three/);
    } finally {
      rmSync(environment.XDG_DATA_HOME, { recursive: true, force: true });
    }
  },
  LIMIT,
);

describe.runIf(FULL)("UEFI", () => {
  test(
    "boots Debian's kernel by GRUB from the removable path of a disk",
    async () => {
      const disk = join(folder, "removable.img");
      makeEfiDisk(disk, { ...contents, "EFI/BOOT/BOOTAA64.EFI": grub }, folder);
      const variables = { contents: await firmwareVariables(), write: () => true };
      await withFirmware(disk, variables, async (console, type) => {
        await console.expect(/Debian on the disk/, SECONDS);
        await console.expect(/~ # /, 2 * SECONDS);
        await type("cat /proc/cmdline; ls /sys/firmware; cat /sys/class/dmi/id/sys_vendor");
        await console.expect(
          /BOOT_IMAGE=\/vmlinuz console=ttyAMA0[\s\S]*acpi[\s\S]*efi[\s\S]*Elvisor/,
          SECONDS,
        );
      });
    },
    LIMIT,
  );

  test(
    "boots Debian from one disk: GRUB of the removable path, the kernel in /boot, systemd, a shell",
    async () => {
      const disk = join(folder, "debian.img");
      const root = await debianSystem();
      const session = { kind: "shell", terminal: "dumb", size: undefined } as const;
      const { initrd, commandLine } = await prepareSystem(root.image, session, "serial", await busyboxFile());
      // GRUB finds the kernel where Debian's package put it; the initial file system is the one of our images.
      const configuration = `
set timeout=1
menuentry "Debian 12" {
  search --set=system --fs-uuid ${root.uuid}
  for kernel in ($system)/boot/vmlinuz-*; do
    linux $kernel console=ttyAMA0 ${commandLine}
  done
  search --set=efi --file /initrd.img
  initrd ($efi)/initrd.img
}
`;
      const files = {
        "EFI/BOOT/BOOTAA64.EFI": grub,
        "EFI/debian/grub.cfg": configuration,
        "initrd.img": initrd.bytes,
      };
      makeEfiDisk(disk, files, folder, root);
      const variables = { contents: await firmwareVariables(), write: () => true };
      const look = async (console: GuestConsole, type: (line: string) => Promise<void>): Promise<void> => {
        await console.expect(/Debian 12/, 2 * SECONDS);
        await console.expect(/root@[\w-]+:~# /, 5 * SECONDS);
        await type("head -1 /etc/os-release; findmnt -no SOURCE /; ls /sys/firmware");
        await console.expect(/Debian GNU\/Linux 12/, SECONDS);
        await console.expect(/\/dev\/vda2/, SECONDS);
        await console.expect(/acpi[\s\S]*efi/, SECONDS);
        await type("systemctl is-system-running --wait; systemctl --failed --no-legend; echo done");
        await console.expect(/\nrunning\r?\ndone/, SECONDS);
        await type(
          "dmesg | grep -ciE 'ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)'; echo done",
        );
        await console.expect(/\n0\r?\ndone/, SECONDS);
        await type("systemctl poweroff");
        await console.expect(/reboot: Power down/, SECONDS);
      };
      // The guest's own pace: on a busy host, login's minute would pass before there is a session.
      await withFirmware(disk, variables, look, { deterministic: true });
    },
    2 * LIMIT,
  );

  test(
    "keeps a boot entry in a variable file and boots by it in the next run",
    async () => {
      const disk = join(folder, "installed.img");
      makeEfiDisk(disk, { ...contents, "EFI/debian/grubaa64.efi": grub }, folder);
      const path = join(folder, "vars.fd");
      const first = openVariableFile(path, await firmwareVariables());
      try {
        await withFirmware(disk, first, async (console, type) => {
          await console.expect(/Shell> /, 2 * SECONDS);
          await type('bcfg boot add 0 FS0:\\EFI\\debian\\grubaa64.efi "debian"\r');
          await console.expect(/bcfg: Add Boot0[0-9A-F]{3} as 0/, SECONDS);
          expect(() => openVariableFile(path, first.contents)).toThrow(/in use/);
        });
      } finally {
        first.close();
      }
      expect(existsSync(`${path}.lock`)).toBe(false);
      const second = openVariableFile(path, first.contents);
      try {
        await withFirmware(disk, second, async (console) => {
          await console.expect(/Debian on the disk/, 2 * SECONDS);
        });
      } finally {
        second.close();
      }
    },
    LIMIT,
  );
});
