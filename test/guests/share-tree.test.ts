import { mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDrive } from "../../src/node/disks/drive-file.ts";
import { openShare } from "../../src/node/share/share.ts";
import { withGuest } from "../support/guest.ts";
import { runHostProgram } from "../support/host-program.ts";
import { SOURCE_PACKAGE, unpackKernelSource } from "../support/kernel-source.ts";
import { withLargeDirectory } from "../support/large-directory.ts";
import { listTree } from "../support/list-tree.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
/** Bytes of the guest's disk, of which the tree takes about half. */
const DISK_SIZE = 4 * 2 ** 30;
/** Seconds for a copy of the whole tree on a busy host. */
const COPY_LIMIT = 7200;
/** The sources of Linux 6.1 are 83,000 files, directories and links. */
const LEAST_ENTRIES = 80_000;

test.runIf(FULL)(
  "the whole of a kernel's sources from a share to the guest's disk and back",
  { timeout: 18_000_000 },
  () => withLargeDirectory(copyBothWays),
);

async function copyBothWays(folder: string): Promise<void> {
  const [source, root, disk] = [join(folder, "source"), join(folder, "share"), join(folder, "disk")];
  for (const directory of [source, root]) mkdirSync(directory);
  await unpackKernelSource(source);
  writeFileSync(disk, "");
  truncateSync(disk, DISK_SIZE);
  expect(runHostProgram("mke2fs", ["-q", "-t", "ext4", disk], { seconds: 300 }).status).toBe(0);
  const shares = [
    openShare({ directory: join(source, SOURCE_PACKAGE), mountPoint: "/source", readOnly: true }, "source"),
    openShare({ directory: root, mountPoint: "/share", readOnly: false }, "share"),
  ];
  const drive = await openDrive(disk);
  try {
    await withGuest(
      { kernel: "kernel:6.1-cloud", engine: "translator", shares, drives: [drive] },
      async (guest) => {
        // Some of Debian's kernels have ext4 built in.
        await guest.output("modprobe virtiofs && { modprobe ext4 || grep ext4 /proc/filesystems; }");
        await guest.output("mkdir -p /source /share /disk");
        await guest.output("mount -t virtiofs -o ro source /source && mount -t virtiofs share /share");
        await guest.output("mount -t ext4 /dev/vda /disk");
        await guest.output("cp -a /source /disk/tree", COPY_LIMIT);
        // What is copied back is read from the disk, not from what the kernel kept.
        await guest.output("umount /disk /source && mount -t ext4 /dev/vda /disk", COPY_LIMIT);
        await guest.output("cp -a /disk/tree /share/tree && sync", COPY_LIMIT);
        await guest.powerOff();
      },
    );
  } finally {
    await drive.close();
    for (const share of shares) share.close();
  }
  expect(readdirSync(root)).toEqual(["tree"]);
  const copy = listTree(join(root, "tree"));
  expect(copy.length).toBeGreaterThan(LEAST_ENTRIES);
  // Not compared as a whole: a report of what differs would be as long as the tree.
  const original = listTree(join(source, SOURCE_PACKAGE));
  expect(copy.length).toBe(original.length);
  expect(copy.filter((entry, index) => entry !== original[index])).toEqual([]);
}
