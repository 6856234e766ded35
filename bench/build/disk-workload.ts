import { mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createQcow2 } from "../../src/devices/storage/qcow2/create.ts";
import { HostFile } from "../../src/node/disks/host-file.ts";
import { writeCpio } from "../../src/node/images/cpio.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import type { DiskItem } from "../items.ts";
import { BUILD } from "../paths.ts";
import type { Workload } from "../workload.ts";
import { compile } from "./compile.ts";
import type { LinuxImages } from "./linux-workloads.ts";

const LIMIT = 900;
/** Bytes of each disk. */
const DISK_SIZE = 256 << 20;

/** Two empty disks, raw and qcow2, for `guest/disk.c` in the default guest. The contenders use them in turns. */
export async function diskWorkload(
  items: readonly DiskItem[],
  scale: number,
  images: LinuxImages,
): Promise<Workload> {
  const program = await compile("disk", "guest", ["-static", "guest/disk.c"]);
  const tests = items.map(({ name, iterations }) => `${name}:${Math.max(1, Math.round(iterations * scale))}`);
  const usual = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), {
    kind: "shell",
    terminal: "dumb",
    size: undefined,
  });
  const session = `#!/bin/sh\nexec </dev/console >/dev/console 2>&1\n/bin/disk ${tests.join(",")}\npoweroff -f\n`;
  const changed = writeCpio([
    { kind: "file", path: "bin/disk", content: await readFile(program), mode: 0o755 },
    { kind: "file", path: "etc/elvisor/session", content: Buffer.from(session), mode: 0o755 },
  ]);
  await mkdir(BUILD, { recursive: true });
  const initrd = join(BUILD, "disk-initrd");
  await writeFile(initrd, Buffer.concat([usual, changed]));
  return {
    title: "disk",
    items,
    guest: {
      kernel: images.kernelFile,
      initrd,
      commandLine: "console=ttyAMA0 quiet",
      drives: [
        { path: await rawDisk(), format: "raw" },
        { path: await qcow2Disk(), format: "qcow2" },
      ],
    },
    native: undefined,
    largeSystemExtensions: false,
    limitSeconds: LIMIT,
  };
}

async function rawDisk(): Promise<string> {
  const path = join(BUILD, "disk.raw");
  await rm(path, { force: true });
  await writeFile(path, "");
  await truncate(path, DISK_SIZE);
  return path;
}

async function qcow2Disk(): Promise<string> {
  const path = join(BUILD, "disk.qcow2");
  const file = await HostFile.open(path, "w+");
  await createQcow2(file, { size: DISK_SIZE });
  await file.close();
  return path;
}
