import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type HostProgram, runHostProgram } from "./host-program.ts";

const SECTOR = 512;
const MEBIBYTE = 2 ** 20;

/**
 * Makes a raw disk at `path` with one EFI system partition (GPT, FAT32) that holds `files`, by their paths. Scratch
 * files go to `folder`.
 */
export function makeEfiDisk(
  path: string,
  files: Readonly<Record<string, Uint8Array | string>>,
  folder: string,
): void {
  const bytes = Object.values(files).reduce((sum, content) => sum + content.length, 0);
  const partition = Math.ceil(bytes / MEBIBYTE) + 48;
  const start = 1 * MEBIBYTE;
  writeFileSync(path, "");
  must("truncate", ["-s", `${partition + 2}M`, path]);
  const table = `label: gpt\nstart=${start / SECTOR}, size=${(partition * MEBIBYTE) / SECTOR}, type=U\n`;
  must("sfdisk", ["--quiet", path], Buffer.from(table));
  const volume = join(folder, "esp.img");
  writeFileSync(volume, "");
  must("truncate", ["-s", `${partition}M`, volume]);
  must("mkfs.vfat", ["-F", "32", volume]);
  const made = new Set<string>();
  for (const [name, content] of Object.entries(files)) {
    const parts = dirname(name).split("/");
    for (let depth = 1; depth <= parts.length; depth++) {
      const directory = parts.slice(0, depth).join("/");
      if (directory === "." || made.has(directory)) continue;
      made.add(directory);
      must("mmd", ["-i", volume, `::${directory}`]);
    }
    const source = join(folder, "files", name);
    mkdirSync(dirname(source), { recursive: true });
    writeFileSync(source, content);
    must("mcopy", ["-i", volume, source, `::${name}`]);
  }
  must("dd", [`if=${volume}`, `of=${path}`, "bs=1M", "seek=1", "conv=notrunc", "status=none"]);
}

function must(program: HostProgram, args: readonly string[], input?: Uint8Array): void {
  const { status, stderr } = runHostProgram(program, args, input === undefined ? {} : { input });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}: ${stderr}`);
}
