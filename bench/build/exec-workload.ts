import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeCpio } from "../../src/node/images/cpio.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import type { ExecItem } from "../items.ts";
import { BUILD } from "../paths.ts";
import { EXEC_PORT, type Workload } from "../workload.ts";
import { compile } from "./compile.ts";
import type { LinuxImages } from "./linux-workloads.ts";

const LIMIT = 900;

/** The default guest with our agent and, where it has a network card, the server `guest/exec.c`. */
export async function execWorkload(
  item: ExecItem,
  scale: number,
  images: LinuxImages,
  hostPort: number,
): Promise<Workload> {
  const program = await compile("exec", "guest", ["-static", "guest/exec.c"]);
  const count = Math.max(1, Math.round(item.iterations * scale));
  const usual = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), {
    kind: "shell",
    terminal: "dumb",
    size: undefined,
    agent: true,
  });
  const session = `#!/bin/sh
exec </dev/console >/dev/console 2>&1
modprobe virtio_net
[ -e /sys/class/net/eth0 ] || exit
ifconfig eth0 10.0.2.15 up
/bin/exec-server ${EXEC_PORT} ${count} ${item.name}
poweroff -f
`;
  const changed = writeCpio([
    { kind: "file", path: "etc/elvisor/session", content: Buffer.from(session), mode: 0o755 },
    { kind: "file", path: "bin/exec-server", content: await readFile(program), mode: 0o755 },
  ]);
  await mkdir(BUILD, { recursive: true });
  const initrd = join(BUILD, "exec-initrd");
  await writeFile(initrd, Buffer.concat([usual, changed]));
  return {
    title: "exec",
    items: [item],
    guest: {
      kernel: images.kernelFile,
      initrd,
      commandLine: "console=ttyAMA0 quiet",
      exec: { item: item.name, count, hostPort },
    },
    native: undefined,
    largeSystemExtensions: false,
    limitSeconds: LIMIT,
  };
}
