import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type HostProgram, runHostProgram } from "./host-program.ts";

const SECTOR = 512;
const MEBIBYTE = 2 ** 20;

/** An ext4 file system for a partition of its own. */
export interface RootPartition {
  /** The file with the file system. */
  readonly image: string;
  readonly bytes: number;
}

/**
 * Makes a raw disk at `path` with an EFI system partition (GPT, FAT32) that holds `files`, by their paths, and a second
 * partition with a copy of `root` where one is given. Scratch files go to `folder`.
 */
export function makeEfiDisk(
  path: string,
  files: Readonly<Record<string, Uint8Array | string>>,
  folder: string,
  root?: RootPartition,
): void {
  const bytes = Object.values(files).reduce((sum, content) => sum + content.length, 0);
  const partition = Math.ceil(bytes / MEBIBYTE) + 48;
  const start = 1 * MEBIBYTE;
  const rootSize = root === undefined ? 0 : Math.ceil(root.bytes / MEBIBYTE);
  const rootStart = start + partition * MEBIBYTE;
  writeFileSync(path, "");
  // Only the blocks in use, so that the disk stays as sparse as the image. It ends where the file system does, so the
  // partition table, whose copy is at the disk's end, comes after it.
  if (root !== undefined) must("e2image", ["-ra", "-O", String(rootStart), root.image, path], undefined, 600);
  must("truncate", ["-s", `${partition + rootSize + 2}M`, path]);
  const rows = [
    `start=${start / SECTOR}, size=${(partition * MEBIBYTE) / SECTOR}, type=U`,
    ...(root === undefined
      ? []
      : [`start=${rootStart / SECTOR}, size=${(rootSize * MEBIBYTE) / SECTOR}, type=L`]),
  ];
  const keep = ["--wipe", "never", "--wipe-partitions", "never"];
  must("sfdisk", ["--quiet", ...keep, path], Buffer.from(`label: gpt\n${rows.join("\n")}\n`));
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

function must(program: HostProgram, args: readonly string[], input?: Uint8Array, seconds = 60): void {
  const { status, stderr } = runHostProgram(program, args, {
    seconds,
    ...(input !== undefined && { input }),
  });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}: ${stderr}`);
}
