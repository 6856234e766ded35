import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { lstat, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { type FileLock, lockHolder, tryLock } from "../file-lock.ts";
import { compareVersions } from "./debian-version.ts";
import { diskError } from "./disk-errors.ts";

/** One file of an image. */
export interface CachedFile {
  /** Path below the image's directory. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Absent for a disk, which is made here and mostly holes. */
  readonly sha256?: string;
}

/** A directory in which the large files of an image are made before it is published. */
export interface ImageDraft {
  readonly draft: string;
  /** Paths below it, of files that stay as they are; their hashes are not recorded. */
  readonly files: readonly string[];
}

/** What is known of an image in the cache. */
export interface ImageManifest {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** SHA-256 of the package file, as the signed index has it. */
  readonly packageSha256: string;
  /** Of a kernel: the modules that were to be kept. Images of older releases do not say. */
  readonly modules?: readonly string[];
  /** Of an image that was built here: the system on which its recipe is based. */
  readonly base?: string;
  readonly files: readonly CachedFile[];
}

/** An image in the cache. */
export interface CachedImage extends ImageManifest {
  readonly directory: string;
}

const MANIFEST = "manifest.json";

/** The directory of this user's cache. */
export function cacheDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  return join(environment["XDG_CACHE_HOME"] || join(environment["HOME"] || homedir(), ".cache"), "elvisor");
}

/**
 * The images that were pulled, one directory a version below `images/`. A directory appears there only when
 * all of its files are complete; what an interrupted run leaves lies in `unfinished/` and `downloads/`.
 */
export class ImageCache {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  get lists(): string {
    return join(this.directory, "lists");
  }

  get downloads(): string {
    return join(this.directory, "downloads");
  }

  #imageDirectory(name: string): string {
    return join(this.directory, "images", fileName(name));
  }

  /** The newest version of an image, undefined where there is none or a file has lost bytes. */
  async find(name: string): Promise<CachedImage | undefined> {
    const versions = (await namesIn(this.#imageDirectory(name)))
      .map(decodeURIComponent)
      .sort(compareVersions);
    for (const version of versions.reverse()) {
      const image = await readImage(join(this.#imageDirectory(name), encodeURIComponent(version)));
      if (image !== undefined && image.name === name) return image;
    }
    return undefined;
  }

  /** Every image, by name and version. */
  async list(): Promise<CachedImage[]> {
    const images: CachedImage[] = [];
    const root = join(this.directory, "images");
    for (const name of (await namesIn(root)).sort()) {
      for (const version of await namesIn(join(root, name))) {
        const image = await readImage(join(root, name, version));
        if (image !== undefined) images.push(image);
      }
    }
    return images;
  }

  /** An empty directory for the files of an image. What an interrupted run left in such a one is removed. */
  async draft(name: string): Promise<string> {
    const unfinished = join(this.directory, "unfinished");
    const own = `${fileName(name)}@`;
    const draft = join(unfinished, `${own}${process.pid}`);
    try {
      // The image's lock is held, so what lies here of it is from a run that was interrupted.
      for (const left of await namesIn(unfinished)) {
        if (left.startsWith(own)) await rm(join(unfinished, left), { recursive: true, force: true });
      }
      await mkdir(draft, { recursive: true });
      return draft;
    } catch (cause) {
      throw diskError(draft, cause);
    }
  }

  /** Removes downloads that are not needed any more. */
  async forgetDownloads(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(join(this.downloads, name), { force: true });
  }

  /** Puts an image in place in one step and removes its other versions. */
  async publish(
    manifest: Omit<ImageManifest, "files">,
    contents: ReadonlyMap<string, Uint8Array>,
    large?: ImageDraft,
  ): Promise<CachedImage> {
    const draft = large?.draft ?? (await this.draft(manifest.name));
    const parent = this.#imageDirectory(manifest.name);
    const final = join(parent, encodeURIComponent(manifest.version));
    try {
      const files: CachedFile[] = [];
      for (const [path, content] of contents) {
        await writeDurably(join(draft, path), content);
        files.push({
          path,
          size: content.length,
          sha256: createHash("sha256").update(content).digest("hex"),
        });
      }
      for (const path of large?.files ?? []) {
        files.push({ path, size: (await stat(join(draft, path))).size });
      }
      await writeDurably(
        join(draft, MANIFEST),
        Buffer.from(`${JSON.stringify({ ...manifest, files }, null, 2)}\n`),
      );
      await mkdir(parent, { recursive: true });
      await rm(final, { recursive: true, force: true });
      await rename(draft, final);
      for (const other of await namesIn(parent)) {
        if (join(parent, other) !== final) await rm(join(parent, other), { recursive: true, force: true });
      }
      return { ...manifest, files, directory: final };
    } catch (cause) {
      await rm(draft, { recursive: true, force: true }).catch(() => {});
      throw diskError(final, cause);
    }
  }

  /** Removes an image. A machine that was made from it keeps what it needs. */
  async remove(name: string): Promise<void> {
    const directory = this.#imageDirectory(name);
    try {
      await rm(directory, { recursive: true, force: true });
    } catch (cause) {
      throw diskError(directory, cause);
    }
  }

  /**
   * Removes downloads, and what interrupted runs have left of images that nobody is making. Returns how many bytes
   * that were. The lock of the downloads is held.
   */
  async prune(): Promise<number> {
    const unfinished = join(this.directory, "unfinished");
    let freed = 0;
    const remove = async (path: string): Promise<void> => {
      freed += await sizeOnDisk(path);
      await rm(path, { recursive: true, force: true });
    };
    try {
      for (const name of await namesIn(this.downloads)) await remove(join(this.downloads, name));
      for (const name of await namesIn(unfinished)) {
        const image = name.replace(/@\d+$/, "");
        if (lockHolder(join(this.directory, "locks", image)) === undefined)
          await remove(join(unfinished, name));
      }
      return freed;
    } catch (cause) {
      throw diskError(this.directory, cause);
    }
  }

  /** Waits until no other process changes the image `name`. `waiting` is called once if that takes time. */
  lock(name: string, waiting: (holder: number) => void): Promise<FileLock> {
    return this.#lock(join("locks", fileName(name)), waiting);
  }

  /** The same for lists of packages and downloads, which all images share. */
  lockDownloads(waiting: (holder: number) => void): Promise<FileLock> {
    return this.#lock("lock", waiting);
  }

  async #lock(file: string, waiting: (holder: number) => void): Promise<FileLock> {
    const path = join(this.directory, file);
    try {
      mkdirSync(dirname(path), { recursive: true });
      for (let told = false; ; ) {
        const lock = tryLock(path);
        if (!("heldBy" in lock)) return lock;
        if (!told) waiting(lock.heldBy);
        told = true;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } catch (cause) {
      throw diskError(this.directory, cause);
    }
  }
}

/** An image's name as that of a file. */
function fileName(name: string): string {
  return name.replace(":", "-");
}

async function writeDurably(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "w");
  try {
    await file.writeFile(content);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** Bytes that the disk has for a file or directory; holes take none. */
async function sizeOnDisk(path: string): Promise<number> {
  const { blocks } = await lstat(path);
  let bytes = blocks * 512;
  for (const name of await namesIn(path)) bytes += await sizeOnDisk(join(path, name));
  return bytes;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    return [];
  }
}

async function readImage(directory: string): Promise<CachedImage | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(directory, MANIFEST), "utf8")) as ImageManifest;
    for (const file of manifest.files) {
      if ((await stat(join(directory, file.path))).size !== file.size) return undefined;
    }
    return { ...manifest, directory };
  } catch {
    return undefined;
  }
}
