import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BootFile } from "../../src/machine/boot/boot-file.ts";
import { Archive } from "../../src/node/images/archive.ts";
import { cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { describeImage, type ImageDescription } from "../../src/node/images/catalogue.ts";
import { readPackage } from "../../src/node/images/deb.ts";
import { download, SILENT_PROGRESS } from "../../src/node/images/download.ts";
import { InitramfsTree } from "../../src/node/images/initramfs-tree.ts";
import { findMirror } from "../../src/node/images/mirror.ts";
import { KEPT_MODULES } from "../../src/node/images/modules.ts";
import { unpackKernel } from "../../src/node/images/unpack-kernel.ts";
import type { GuestKernel } from "./guest-images.ts";

const CACHE = new ImageCache(cacheDirectory(process.env));

/** Files by their paths. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** Files of a Debian 12 package for arm64 that no image holds, such as programs that tests run in guests. */
export async function packageFiles(name: string, wanted: RegExp): Promise<Files> {
  return await takenFrom({
    ...{ name, kind: "program", title: name, files: {}, releases: ["bookworm"] },
    packageName: new RegExp(`^${name}$`),
    parts: wanted.source,
    take: async (path) => {
      const files = new Map<string, Uint8Array>();
      await readPackage(
        path,
        (file) => wanted.test(file),
        ({ path: file, content }) => files.set(file, content),
      );
      return files;
    },
  });
}

/**
 * An archive with programs of packages, by the packages' names, for the end of an initial file system: they are in
 * /bin, and the C library that they are linked with is where they look for it.
 */
export async function programArchive(programs: Readonly<Record<string, string>>): Promise<Uint8Array> {
  const tree = new InitramfsTree();
  for (const [name, program] of Object.entries(programs)) {
    const files = await packageFiles(name, new RegExp(`^usr/s?bin/${program}$`));
    for (const content of files.values()) tree.file(`bin/${program}`, content, 0o755);
  }
  const library = await packageFiles(
    "libc6",
    /^(usr\/)?lib\/aarch64-linux-gnu\/(libc\.so\.6|ld-linux-aarch64\.so\.1)$/,
  );
  for (const [path, content] of library) {
    const name = path.replace(/^.*\//, "");
    tree.file(`lib/${name.startsWith("ld-") ? name : `aarch64-linux-gnu/${name}`}`, content, 0o755);
  }
  return tree.pack();
}

/** All directories with modules of drivers, and the usual ones. */
const ANY_MODULE = /^(usr\/)?lib\/modules\/[^/]+\/kernel\/.*\.ko(\.(xz|gz|zst))?$/;

/** A kernel with modules besides those that images keep; all from one package, so that they fit together. */
export async function kernelWith(
  name: GuestKernel,
  modules: readonly string[],
  directories: RegExp = ANY_MODULE,
): Promise<{ kernel: BootFile; modules: Files }> {
  const description = describeImage(name);
  if (description.kind === "system") throw new Error(`${name} is no kernel`);
  const parts = [...modules].sort().join(" ");
  const take = (path: string) => unpackKernel(path, [...KEPT_MODULES, ...modules], directories);
  const files = new Map(await takenFrom({ ...description, parts, take }));
  const bytes = files.get("Image")!;
  files.delete("Image");
  return { kernel: { name, bytes }, modules: files };
}

type Wanted = ImageDescription & {
  /** What is taken, in words that other takings do not have. */
  readonly parts: string;
  take(path: string): Promise<Files>;
};

/** What was taken from the newest package before, or now. */
async function takenFrom(wanted: Wanted): Promise<Files> {
  const settings = { environment: process.env };
  const archive = new Archive(await findMirror(settings), {}, CACHE.lists, SILENT_PROGRESS);
  const { url, size, sha256, name } = await archive.find(wanted);
  const label = wanted.parts.replaceAll(/[^\w]+/g, "-").slice(0, 80);
  const kept = join(CACHE.downloads, "test-packages", `${name}-${sha256.slice(0, 12)}-${label}`);
  const before = await readTree(kept);
  if (before !== undefined) return before;
  const target = join(CACHE.downloads, `${sha256}.deb`);
  await download({ url, size, sha256, target, label: name }, SILENT_PROGRESS);
  const files = await wanted.take(target);
  if (files.size === 0) throw new Error(`the package ${name} has no files like ${wanted.parts}`);
  const draft = `${kept}.new-${process.pid}`;
  for (const [path, content] of files) {
    await mkdir(dirname(join(draft, path)), { recursive: true });
    await writeFile(join(draft, path), content);
  }
  await rename(draft, kept).catch(() => rm(draft, { recursive: true }));
  await rm(target, { force: true });
  return files;
}

async function readTree(directory: string): Promise<Files | undefined> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  const files = new Map<string, Uint8Array>();
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(directory.length + 1), new Uint8Array(await readFile(path)));
  }
  return files;
}
