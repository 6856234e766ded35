import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CpioEntry, writeCpio } from "../../src/node/images/cpio.ts";
import type { ProgramItem } from "../items.ts";
import { BENCH, BUILD } from "../paths.ts";
import type { Workload } from "../workload.ts";
import { debianRoot } from "./debian-root.ts";
import type { LinuxImages } from "./linux-workloads.ts";
import { largeCFile, proseText } from "./program-inputs.ts";

const LIMIT = 3600;
const TEXT_BYTES = 4_000_000;
const C_FUNCTIONS = 40;
const SCRIPTS = join(BENCH, "programs");
/** What the scripts need of busybox, under these names. */
const APPLETS = [
  "sh",
  "mount",
  "poweroff",
  "echo",
  "tr",
  "cat",
  "md5sum",
  "tail",
  "head",
  "rm",
  "sed",
  "uname",
];

/** One boot into a Debian root with a script as process 1, which measures one program after the other. */
export async function programWorkload(
  items: readonly ProgramItem[],
  scale: number,
  images: LinuxImages,
): Promise<Workload> {
  const tests = items.map(({ name, iterations }) => `${name}:${Math.max(1, Math.round(iterations * scale))}`);
  const files = await workFiles();
  const hostDirectory = join(BUILD, "programs");
  await mkdir(hostDirectory, { recursive: true });
  for (const [name, content] of files) await writeFile(join(hostDirectory, name), content);
  const entries: CpioEntry[] = [
    { kind: "character-device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "usr/bin/busybox", content: images.busybox, mode: 0o755 },
    ...APPLETS.map((name) => ({ kind: "link", path: `usr/bin/${name}`, target: "busybox" }) as const),
    { kind: "file", path: "init", content: await readFile(join(SCRIPTS, "init")), mode: 0o755 },
    ...[...files].map(([name, content]) => ({ kind: "file", path: `work/${name}`, content }) as const),
  ];
  const initrd = join(BUILD, "programs-initrd");
  await writeFile(initrd, Buffer.concat([await readFile(await debianRoot()), writeCpio(entries)]));
  return {
    title: "programs",
    items,
    guest: {
      kernel: images.kernelFile,
      initrd,
      commandLine: `console=ttyAMA0 quiet BENCH=${tests.join(",")}`,
    },
    native: {
      program: "sh",
      arguments: ["-c", 'cd "$0" && exec sh run.sh "$@"', hostDirectory, ...tests],
    },
    largeSystemExtensions: false,
    limitSeconds: LIMIT,
  };
}

/** What lies in the directory in which the programs run. */
async function workFiles(): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of (await readdir(SCRIPTS)).sort()) {
    if (name !== "init") files.set(name, await readFile(join(SCRIPTS, name)));
  }
  files.set("text.txt", Buffer.from(proseText(TEXT_BYTES)));
  files.set("large.c", Buffer.from(largeCFile(C_FUNCTIONS)));
  return files;
}
