import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Archive } from "../../src/node/images/archive.ts";
import { cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import type { CpioEntry } from "../../src/node/images/cpio.ts";
import { readPart } from "../../src/node/images/deb.ts";
import type { PackageUniverse, SystemPackage } from "../../src/node/images/debian/package-universe.ts";
import { systemPackages } from "../../src/node/images/debian/packages.ts";
import { resolvePackages } from "../../src/node/images/debian/resolve.ts";
import { download, SILENT_PROGRESS } from "../../src/node/images/download.ts";
import { InitramfsTree } from "../../src/node/images/initramfs-tree.ts";
import { findMirror } from "../../src/node/images/mirror.ts";

const ORIGIN = "the mirror";

/**
 * Package files of Debian 12 for arm64: `names` with what they need beyond what the image debian:12 has. Returns the
 * directory that holds them, which is kept between runs.
 */
export async function packagesBesideSystem(names: readonly string[]): Promise<string> {
  const { directory } = await fetchPackages(names, "beside-system", (universe) => {
    const system = systemPackages(universe);
    const there = new Set(resolvePackages(universe, system, ORIGIN).map(({ name }) => name));
    return resolvePackages(universe, [...system, ...names], ORIGIN).filter(({ name }) => !there.has(name));
  });
  return directory;
}

/**
 * The files of Debian 12's packages `names` and of all that they need, below `root` in an initial file system; only
 * those whose path below /usr `isWanted`. Nothing is configured.
 */
export async function unpackedPackages(
  names: readonly string[],
  root: string,
  isWanted: (path: string) => boolean,
): Promise<readonly CpioEntry[]> {
  const { files } = await fetchPackages(names, "all", (universe) => resolvePackages(universe, names, ORIGIN));
  const tree = new InitramfsTree();
  for (const file of files) {
    await readPart(file, "data", async ({ type, path, target, mode, content }) => {
      const merged = /^(bin|sbin|lib)\//.test(path) ? `usr/${path}` : path;
      if ((type !== "file" && type !== "symlink") || !isWanted(merged)) return;
      const place = `${root}/${merged}`;
      if (type === "symlink") tree.link(place, target);
      else tree.file(place, await content(), mode);
    });
  }
  for (const name of ["bin", "sbin", "lib"]) {
    tree.directory(`${root}/usr/${name}`);
    tree.link(`${root}/${name}`, `usr/${name}`);
  }
  return tree.entries;
}

/** The files of just these packages of Debian 12. */
export async function packageFiles(names: readonly string[]): Promise<readonly string[]> {
  const { files } = await fetchPackages(names, "just", (universe) =>
    names.map((name) => {
      const found = universe.get(name);
      if (found === undefined) throw new Error(`Debian 12 has no package ${name} (any more)`);
      return found;
    }),
  );
  return files;
}

async function fetchPackages(
  names: readonly string[],
  kind: "all" | "beside-system" | "just",
  choose: (universe: PackageUniverse) => readonly SystemPackage[],
): Promise<{ directory: string; files: string[] }> {
  const cache = new ImageCache(cacheDirectory(process.env));
  const settings = { cache, progress: SILENT_PROGRESS, environment: process.env };
  const lock = await cache.lockDownloads(() => {});
  try {
    const archive = new Archive(await findMirror(settings), {}, cache.lists, SILENT_PROGRESS);
    const universe = await archive.universe("bookworm");
    const directory = join(cache.downloads, `test-${kind}-${names.join("-")}`);
    await mkdir(directory, { recursive: true });
    const files: string[] = [];
    for (const { url, size, sha256, name, version } of choose(universe)) {
      const target = join(directory, `${name}.deb`);
      await download({ url, size, sha256, target, label: `${name} ${version}` }, SILENT_PROGRESS);
      files.push(target);
    }
    return { directory, files };
  } finally {
    lock.release();
  }
}
