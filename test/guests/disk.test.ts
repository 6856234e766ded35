import { createHash } from "node:crypto";
import { readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { type Guest, startGuest } from "../support/guest.ts";
import { typeLine } from "../support/guest-console.ts";
import { Random } from "../support/random.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const MEBIBYTE = 2 ** 20;
const FULL = process.env["ELVISOR_FULL"] === "1";
const SIZE = (FULL ? 50 : 8) * MEBIBYTE;
const LIMIT = 600_000;
const SECONDS = 300;

/** Half of it compresses, half does not. */
function content(random: Random): Uint8Array {
  const words = new Uint32Array(SIZE / 4);
  for (let index = 0; index < words.length; index++) {
    words[index] = (index >>> 12) & 1 ? random.u32() : (index >>> 6) * 0x01010101;
  }
  return new Uint8Array(words.buffer);
}

function digest(algorithm: "md5" | "sha256", bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest("hex");
}

async function withDrives(paths: readonly string[], body: (guest: Guest) => Promise<void>): Promise<void> {
  const drives = [];
  for (const path of paths) drives.push(await openDrive(path));
  const guest = await startGuest({ kernel: "kernel:6.1-cloud", drives });
  try {
    await guest.ready();
    await body(guest);
  } finally {
    await guest.stop();
    for (const drive of drives) await drive.close();
  }
}

describe("the block device", () => {
  test(
    `md5sum, sha256sum, dd, cmp and gzip over ${SIZE / MEBIBYTE} MiB are right`,
    async () => {
      const random = Random.ofThisRun();
      const bytes = content(random);
      const folder = temporaryDirectory();
      const [source, target] = [join(folder, "source.img"), join(folder, "target.img")];
      await writeFile(source, bytes);
      await writeFile(target, "");
      await truncate(target, 2 * SIZE);
      const blocks = SIZE / MEBIBYTE;
      await withDrives([source, target], async (guest) => {
        const note = `seed ${random.seed}`;
        expect(await guest.output("cat /sys/block/vda/size /sys/block/vdb/size")).toBe(
          `${SIZE / 512}\n${(2 * SIZE) / 512}\n`,
        );
        expect(await guest.output("md5sum </dev/vda", SECONDS), note).toContain(digest("md5", bytes));
        await guest.output("echo 3 >/proc/sys/vm/drop_caches");
        expect(await guest.output("sha256sum </dev/vda", SECONDS), note).toContain(digest("sha256", bytes));
        await guest.output(`dd if=/dev/vda of=/dev/vdb bs=1M count=${blocks} conv=fsync`, SECONDS);
        await guest.output("echo 3 >/proc/sys/vm/drop_caches");
        await guest.output(`dd if=/dev/vdb bs=64k count=${blocks * 16} | cmp - /dev/vda`, SECONDS);
        await guest.output(
          `gzip -1 </dev/vda | dd of=/dev/vdb bs=64k seek=${blocks * 16} conv=fsync`,
          SECONDS,
        );
        const unpack = `dd if=/dev/vdb bs=1M skip=${blocks} | gzip -dc 2>/dev/null | md5sum`;
        expect(await guest.output(unpack, SECONDS), note).toContain(digest("md5", bytes));
        expect(await guest.powerOff()).toEqual({ kind: "power-off" });
      });
      const after = new Uint8Array(await readFile(target));
      expect(digest("md5", after.subarray(0, SIZE))).toBe(digest("md5", bytes));
      // Zeros after the end do not matter to gzip.
      expect(digest("md5", gunzipSync(after.subarray(SIZE)))).toBe(digest("md5", bytes));
    },
    LIMIT,
  );

  test(
    "a file that was written is there after a reboot and on the next start",
    async () => {
      const path = join(temporaryDirectory(), "disk.img");
      await writeFile(path, "");
      await truncate(path, 16 * MEBIBYTE);
      await withDrives([path], async (guest) => {
        await guest.output("mke2fs /dev/vda >/dev/null && mount -t ext4 /dev/vda /mnt", SECONDS);
        await guest.output("seq 1 100000 >/mnt/numbers && umount /mnt", SECONDS);
        await typeLine(guest.input, "reboot -f");
        await guest.ready();
        expect(guest.machine.stats()["resets"]).toBe(1);
        await guest.output("mount -t ext4 /dev/vda /mnt");
        expect(await guest.output("tail -n 1 /mnt/numbers; wc -l </mnt/numbers")).toBe("100000\n100000\n");
        await guest.output("echo more >>/mnt/numbers; umount /mnt");
        await guest.powerOff();
      });
      await withDrives([path], async (guest) => {
        await guest.output("mount -t ext4 -o ro /dev/vda /mnt");
        expect(await guest.output("tail -n 1 /mnt/numbers")).toBe("more\n");
      });
    },
    LIMIT,
  );
});
