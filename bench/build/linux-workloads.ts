import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DEFAULT_KERNEL } from "../../src/node/cli/defaults.ts";
import { stderrProgress } from "../../src/node/cli/progress.ts";
import { type CachedImage, cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { writeCpio } from "../../src/node/images/cpio.ts";
import { buildInitramfs, readModuleFiles } from "../../src/node/images/initramfs.ts";
import { ensureImages } from "../../src/node/images/pull.ts";
import type { BootItem, SystemItem } from "../items.ts";
import { PROMPT } from "../measure/markers.ts";
import { BUILD } from "../paths.ts";
import type { Workload } from "../workload.ts";
import { compile } from "./compile.ts";

const BOOT_LIMIT = 300;
const SYSTEM_LIMIT = 900;
/** What the first boot keeps is used by the second, which then reaches more code. */
const WARMING_RUNS = 2;

/** The kernel of the default guest, and its version. */
export interface LinuxImages {
  readonly kernel: CachedImage;
  readonly kernelFile: string;
  readonly busybox: Uint8Array;
}

/** Fetches what is missing. */
export async function linuxImages(): Promise<LinuxImages> {
  const images = await ensureImages([DEFAULT_KERNEL, "busybox"], {
    cache: new ImageCache(cacheDirectory(process.env)),
    progress: stderrProgress(process.stderr),
    environment: process.env,
  });
  const kernel = images[DEFAULT_KERNEL];
  const { busybox } = images;
  return {
    kernel,
    kernelFile: join(kernel.directory, kernel.files[0]!.path),
    busybox: await readFile(join(busybox.directory, busybox.files[0]!.path)),
  };
}

/**
 * The default guest's session, but on the serial port, which both machines have, and with a prompt that can be
 * recognised: this file comes after the default one in the archive, so it replaces it.
 */
const SESSION = `#!/bin/sh
exec </dev/console >/dev/console 2>&1
export HOME=/root TERM=dumb
cd /root
exec sh -l
`;

/** The default guest, unchanged but for the session above; a warm boot keeps its code in `codeDirectory`. */
export async function bootWorkload(
  item: BootItem,
  images: LinuxImages,
  codeDirectory?: string,
): Promise<Workload> {
  const usual = buildInitramfs(images.busybox, await readModuleFiles(images.kernel), {
    kind: "shell",
    terminal: "dumb",
    size: undefined,
  });
  const changed = writeCpio([
    { kind: "file", path: "etc/elvisor/session", content: Buffer.from(SESSION), mode: 0o755 },
    { kind: "file", path: "etc/profile", content: Buffer.from(`export PS1='${PROMPT} '\n`) },
  ]);
  return {
    title: item.name,
    items: [item],
    guest: {
      kernel: images.kernelFile,
      initrd: await keep("boot-initrd", Buffer.concat([usual, changed])),
      commandLine: "console=ttyAMA0",
      ...(item.warm === true && codeDirectory !== undefined && { codeCache: codeDirectory }),
    },
    ...(item.warm === true && { warmingRuns: WARMING_RUNS }),
    native: undefined,
    largeSystemExtensions: false,
    limitSeconds: BOOT_LIMIT,
  };
}

/** One boot into `guest/system.c` as process 1, which measures one item after the other. */
export async function systemWorkload(
  items: readonly SystemItem[],
  scale: number,
  images: LinuxImages,
): Promise<Workload> {
  const build = (target: "guest" | "host"): Promise<string> =>
    compile("system", target, ["-static", "guest/system.c"]);
  const [guest, host] = await Promise.all([build("guest"), build("host")]);
  const tests = items.map(({ name, iterations }) => `${name}:${Math.max(1, Math.round(iterations * scale))}`);
  const initrd = writeCpio([
    { kind: "directory", path: "dev" },
    { kind: "directory", path: "proc" },
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "init", content: await readFile(guest), mode: 0o755 },
  ]);
  return {
    title: "system",
    items,
    guest: {
      kernel: images.kernelFile,
      initrd: await keep("system-initrd", initrd),
      // What the kernel does not know goes to process 1: words with "=" into its environment.
      commandLine: `console=ttyAMA0 quiet BENCH=${tests.join(",")}`,
    },
    native: { program: host, arguments: [tests.join(",")] },
    largeSystemExtensions: false,
    limitSeconds: SYSTEM_LIMIT,
  };
}

async function keep(name: string, bytes: Uint8Array): Promise<string> {
  await mkdir(BUILD, { recursive: true });
  const path = join(BUILD, name);
  await writeFile(path, bytes);
  return path;
}
