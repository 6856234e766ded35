import { createHash } from "node:crypto";
import { access, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../src/base/errors.ts";
import { stderrProgress } from "../../src/node/cli/progress.ts";
import { Archive } from "../../src/node/images/archive.ts";
import { cacheDirectory, ImageCache } from "../../src/node/images/cache.ts";
import { readPackage } from "../../src/node/images/deb.ts";
import { download } from "../../src/node/images/download.ts";
import { InitramfsTree } from "../../src/node/images/initramfs-tree.ts";
import { findMirror } from "../../src/node/images/mirror.ts";
import type { PullSettings } from "../../src/node/images/pull.ts";
import { BUILD } from "../paths.ts";

/** Packages of Debian 12 for arm64 whose programs are measured, with what these need. */
const PACKAGES = [
  ...["libc6", "libgcc-s1", "zlib1g", "libzstd1", "libcrypt1", "libexpat1", "libbz2-1.0"],
  ...["python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib"],
  ...["perl-base", "gzip", "xz-utils", "liblzma5", "openssl", "libssl3"],
  ...["gcc-12", "cpp-12", "libisl23", "libmpc3", "libmpfr6", "libgmp10"],
  ...["binutils-aarch64-linux-gnu", "libbinutils", "libjansson4"],
];

/** Files of these packages that are needed, by path with "usr/" before. */
const WANTED = new RegExp(
  [
    "^usr/bin/(python3\\.11|perl|gzip|xz|openssl|aarch64-linux-gnu-(gcc-12|as))$",
    "^usr/lib/ld-linux-aarch64\\.so\\.1$",
    "^usr/lib/aarch64-linux-gnu/[^/]*\\.so[^/]*$",
    "^usr/lib/aarch64-linux-gnu/perl-base/",
    "^usr/lib/gcc/aarch64-linux-gnu/12/(cc1|liblto_plugin\\.so)$",
    "^usr/lib/python3\\.11/(?!test|idlelib|lib2to3|ensurepip|distutils|pydoc_data|unittest|config-)",
    "^usr/lib/ssl/",
  ].join("|"),
);
/** Counts the ways in which the archive was put together. */
const VERSION = 2;

/** An archive for the kernel's initial file system with the programs, made once; its path. */
export async function debianRoot(): Promise<string> {
  const key = createHash("sha256").update(JSON.stringify([VERSION, PACKAGES, WANTED.source]));
  const path = join(BUILD, `debian-root-${key.digest("hex").slice(0, 16)}.cpio`);
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (exists) return path;
  const files = await fetchFiles();
  await mkdir(BUILD, { recursive: true });
  await writeFile(`${path}.${process.pid}`, packRoot(files));
  await rename(`${path}.${process.pid}`, path);
  return path;
}

async function fetchFiles(): Promise<Map<string, Uint8Array>> {
  const cache = new ImageCache(cacheDirectory(process.env));
  const progress = stderrProgress(process.stderr);
  const settings: PullSettings = { cache, progress, environment: process.env };
  const lock = await cache.lockDownloads((holder) =>
    progress.say(`Another elvisor (process ${holder}) is fetching packages; waiting for it to finish.`),
  );
  try {
    const archive = new Archive(await findMirror(settings), settings, cache.lists, progress);
    const files = new Map<string, Uint8Array>();
    for (const name of PACKAGES) {
      const found = await archive.find({
        name,
        kind: "program",
        title: name,
        packageName: new RegExp(`^${name.replaceAll(".", "\\.")}$`),
        releases: ["bookworm"],
        files: {},
      });
      const target = join(cache.downloads, `${found.sha256}.deb`);
      await download(
        { url: found.url, size: found.size, sha256: found.sha256, target, label: `${name} ${found.version}` },
        progress,
      );
      await readPackage(
        target,
        (file) => WANTED.test(merged(file)),
        ({ path, content }) => files.set(merged(path), content),
      );
      await rm(target, { force: true });
    }
    return files;
  } finally {
    lock.release();
  }
}

/** Where a file lies once /bin, /lib and /sbin are links into /usr. */
function merged(path: string): string {
  return path.startsWith("usr/") ? path : `usr/${path}`;
}

function packRoot(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  if (!files.has("usr/lib/ld-linux-aarch64.so.1") && !hasLoader(files)) {
    throw new UserError("The package libc6 has no dynamic linker; pull from another mirror.");
  }
  const tree = new InitramfsTree();
  for (const path of ["dev", "proc", "tmp", "work", "usr/bin", "usr/include"]) tree.directory(path);
  for (const [path, content] of files) {
    tree.file(path, content, /^usr\/(bin|lib\/gcc)\/|\.so/.test(path) ? 0o755 : 0o644);
    // The loader asks for libraries by the first number of their version; packages have links for that.
    const library = /^(.*\/)(([^/]*\.so\.\d+)\..*)$/.exec(path);
    if (library !== null) tree.link(`${library[1]}${library[3]}`, library[2]!);
  }
  const links = { bin: "usr/bin", sbin: "usr/bin", lib: "usr/lib", "usr/bin/as": "aarch64-linux-gnu-as" };
  for (const [path, target] of Object.entries(links)) tree.link(path, target);
  if (!files.has("usr/lib/ld-linux-aarch64.so.1")) {
    tree.link("usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1");
  }
  return tree.pack();
}

function hasLoader(files: ReadonlyMap<string, Uint8Array>): boolean {
  return files.has("usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1");
}
