import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeCpio } from "../../src/node/images/cpio.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import type { ShareItem } from "../items.ts";
import { BUILD } from "../paths.ts";
import { SHARE_TAG, type Workload } from "../workload.ts";
import { compile } from "./compile.ts";
import type { LinuxImages } from "./linux-workloads.ts";

const LIMIT = 900;

/** The default guest with an empty directory of the host, for `guest/share.c`. */
export async function shareWorkload(
  items: readonly ShareItem[],
  scale: number,
  images: LinuxImages,
): Promise<Workload> {
  const program = await compile("share", "guest", ["-static", "guest/share.c"]);
  const tests = items.map(({ name, iterations }) => `${name}:${Math.max(1, Math.round(iterations * scale))}`);
  const usual = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), {
    kind: "shell",
    terminal: "dumb",
    size: undefined,
  });
  const session = `#!/bin/sh
exec </dev/console >/dev/console 2>&1
modprobe virtiofs
mkdir /share
mount -t virtiofs ${SHARE_TAG} /share
/bin/share /share ${tests.join(",")}
poweroff -f
`;
  const changed = writeCpio([
    { kind: "file", path: "bin/share", content: await readFile(program), mode: 0o755 },
    { kind: "file", path: "etc/elvisor/session", content: Buffer.from(session), mode: 0o755 },
  ]);
  const share = join(BUILD, "share");
  await rm(share, { recursive: true, force: true });
  await mkdir(share, { recursive: true });
  const initrd = join(BUILD, "share-initrd");
  await writeFile(initrd, Buffer.concat([usual, changed]));
  return {
    title: "share",
    items,
    guest: { kernel: images.kernelFile, initrd, commandLine: "console=ttyAMA0 quiet", share },
    native: undefined,
    largeSystemExtensions: false,
    limitSeconds: LIMIT,
  };
}
