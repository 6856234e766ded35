import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeCpio } from "../../src/node/images/cpio.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import type { NetworkItem } from "../items.ts";
import { BUILD } from "../paths.ts";
import type { Workload } from "../workload.ts";
import { compile } from "./compile.ts";
import type { LinuxImages } from "./linux-workloads.ts";

const LIMIT = 900;
/** The host's loopback address, as both networks call it. */
const HOST = "10.0.2.2";

/** The default guest, whose session measures one item after the other with the server at `port`. */
export async function networkWorkload(
  items: readonly NetworkItem[],
  scale: number,
  images: LinuxImages,
  port: number,
): Promise<Workload> {
  const program = await compile("network", "guest", ["-static", "guest/network.c"]);
  const tests = items.map(({ name, iterations }) => `${name}:${Math.max(1, Math.round(iterations * scale))}`);
  const usual = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), {
    kind: "shell",
    terminal: "dumb",
    size: undefined,
  });
  // The session stands for the default one: this file comes after it in the archive.
  const session = `#!/bin/sh
exec </dev/console >/dev/console 2>&1
modprobe virtio_net
ifconfig eth0 10.0.2.15 up
/bin/network ${HOST} ${port} ${tests.join(",")}
poweroff -f
`;
  const changed = writeCpio([
    { kind: "file", path: "etc/elvisor/session", content: Buffer.from(session), mode: 0o755 },
    { kind: "file", path: "bin/network", content: await readFile(program), mode: 0o755 },
  ]);
  await mkdir(BUILD, { recursive: true });
  const initrd = join(BUILD, "network-initrd");
  await writeFile(initrd, Buffer.concat([usual, changed]));
  return {
    title: "network",
    items,
    guest: { kernel: images.kernelFile, initrd, commandLine: "console=ttyAMA0 quiet", network: true },
    native: undefined,
    largeSystemExtensions: false,
    limitSeconds: LIMIT,
  };
}
