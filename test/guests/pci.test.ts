import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { type GuestOptions, withGuest } from "../support/guest.ts";
import type { GuestKernel } from "../support/guest-images.ts";
import { type LogRecord, readKernelLog, troublesOnlyIn } from "../support/kernel-log.ts";
import { createQemuMachine } from "../support/qemu-virtual-machine.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 2 ** 20;
const FULL = process.env["ELVISOR_FULL"] === "1";
const SIZE = (FULL ? 50 : 8) * MEBIBYTE;
const LIMIT = 900_000;
const SECONDS = 400;

const KERNELS: readonly GuestKernel[] = FULL
  ? ["kernel:6.1-cloud", "kernel:6.12-generic", "kernel:6.12-cloud"]
  : ["kernel:6.1-cloud"];

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}

async function bootLog(options: GuestOptions): Promise<LogRecord[]> {
  return await withGuest(options, async (guest) => readKernelLog(await guest.output("dmesg -r")));
}

describe("virtio devices over PCI, with MSI-X through the translation service", () => {
  test.each(KERNELS)(
    `%s: console, disks and entropy; ${SIZE / MEBIBYTE} MiB are right`,
    async (kernel) => {
      const random = Random.ofThisRun();
      const bytes = new Uint8Array(Uint32Array.from({ length: SIZE / 4 }, () => random.u32()).buffer);
      const folder = temporaryDirectory();
      const [source, target, other] = ["source.img", "target.img", "other.img"].map((name) =>
        join(folder, name),
      ) as [string, string, string];
      await writeFile(source, bytes);
      await writeFile(target, new Uint8Array(SIZE));
      await writeFile(other, new Uint8Array(MEBIBYTE));
      // One disk stays in an MMIO slot: both buses work side by side.
      const drives = [
        await openDrive(source, { readOnly: true }),
        await openDrive(target),
        await openDrive(other, { bus: "mmio" }),
      ];
      let log: LogRecord[] = [];
      try {
        await withGuest({ kernel, cpus: 2, drives, virtioBus: "pci" }, async (guest) => {
          log = readKernelLog(await guest.output("dmesg -r"));
          const places = await guest.output("for d in /sys/block/vd*/device; do readlink -f $d; done");
          expect(places.match(/pci0000:00/g)?.length, places).toBe(2);
          expect(places).toMatch(/virtio_mmio/);
          const names = await guest.output("cat /sys/bus/pci/devices/*/class");
          expect(names).toBe("0x060000\n0x078000\n0x00ff00\n0x010000\n0x010000\n");
          const disk = async (size: number) =>
            (await guest.output("grep -l . /sys/block/vd*/size; cat /sys/block/vd*/size"))
              .split("\n")
              .includes(String(size / 512));
          expect([await disk(SIZE), await disk(MEBIBYTE)]).toEqual([true, true]);
          // The read-only disk is the source.
          const find = 'for d in /sys/block/vd*; do [ "$(cat $d/ro) $(cat $d/size)" = ';
          const from = `$(${find}"1 ${SIZE / 512}" ] && echo /dev/\${d##*/}; done)`;
          const to = `$(${find}"0 ${SIZE / 512}" ] && echo /dev/\${d##*/}; done)`;
          expect(await guest.output(`md5sum <${from}`, SECONDS), `seed ${random.seed}`).toContain(md5(bytes));
          await guest.output(`dd if=${from} of=${to} bs=1M conv=fsync 2>&1`, SECONDS);
          await guest.output("echo 3 >/proc/sys/vm/drop_caches");
          expect(await guest.output(`md5sum <${to}`, SECONDS), `seed ${random.seed}`).toContain(md5(bytes));
          expect(await guest.output("head -c 100 /dev/hwrng | wc -c")).toBe("100\n");
          const interrupts = await guest.output("cat /proc/interrupts");
          const used = (name: RegExp) =>
            interrupts
              .split("\n")
              .filter((line) => /ITS-(PCI-)?MSI/.test(line) && name.test(line))
              .reduce(
                (sum, line) =>
                  sum +
                  line
                    .split(/\s+/)
                    .slice(2, 4)
                    .map(Number)
                    .reduce((a, b) => a + b),
                0,
              );
          expect(used(/virtio\d+-req/), interrupts).toBeGreaterThan(20);
          expect(used(/virtio\d+-control/), interrupts).toBeGreaterThan(0);
          expect(used(/virtio\d+-input/), interrupts).toBeGreaterThan(0);
        });
      } finally {
        for (const drive of drives) await drive.close();
      }
      expect(md5(await readFile(target)), `seed ${random.seed}`).toBe(md5(bytes));
      const reference = { kernel, cpus: 2, drives, virtioBus: "pci", factory: createQemuMachine } as const;
      expect(troublesOnlyIn(log, await bootLog(reference))).toEqual([]);
    },
    LIMIT,
  );
});
