import { constants, realpathSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { BlockStore } from "../../devices/storage/block-store.ts";
import { type Qcow2Header, readHeader } from "../../devices/storage/qcow2/header.ts";
import { Qcow2Image } from "../../devices/storage/qcow2/qcow2-image.ts";
import type { FileLock } from "../file-lock.ts";
import { CLUSTER_DECOMPRESSORS } from "./cluster-decompressors.ts";
import { DISK_FORMATS, type DiskFormat, formatOfStart } from "./formats.ts";
import { HostFile } from "./host-file.ts";
import { lockImage } from "./image-lock.ts";
import { RawImage } from "./raw-image.ts";

const SECTOR = 512;
/** Images that may lie on one another. */
const DEEPEST_CHAIN = 64;

/** How one image of a chain is opened. */
export interface ImageRequest {
  readonly path: string;
  /** Found out by the first bytes unless given. */
  readonly format: DiskFormat | undefined;
  readonly readOnly: boolean;
  readonly report: (sentence: string) => void;
  /** When what was written must be on the host's disk; at the guest's flush unless given. */
  readonly durability?: Durability | undefined;
}

/** "at close": of an image that is thrown away when something happens before; "never": in any case. */
export type Durability = "at flush" | "at close" | "never";

/** An image with everything below it. */
export interface OpenImage {
  readonly store: BlockStore;
  readonly format: DiskFormat;
  /** Writes what is under way and gives the files up, this one and those below it. */
  close(): Promise<void>;
}

/** Opens an image and, read-only, its backing files. `above` are the real paths of the images that led here. */
export async function openImage(request: ImageRequest, above: readonly string[] = []): Promise<OpenImage> {
  const { path, readOnly, durability = "at flush" } = request;
  const file = await openFile(path, readOnly);
  file.durable = durability === "at flush";
  let lock: FileLock | undefined;
  try {
    const status = await file.handle.stat();
    if (!status.isFile() && !status.isBlockDevice())
      throw new UserError(`The drive ${path} is not a file; give a disk image.`);
    // A block device tells no size; its end is found by reading.
    if (!status.isFile()) file.size = await sizeOfDevice(file);
    lock = lockImage(path, readOnly ? "read" : "write");
    const format = await detectFormat(file, request);
    const image =
      format === "raw"
        ? { store: openRaw(file, request), below: undefined }
        : await openQcow2(file, request, lock?.takenOver ?? false, above);
    let closed = false;
    return {
      store: image.store,
      format,
      async close() {
        if (closed) return;
        closed = true;
        file.durable ||= durability === "at close";
        try {
          if (!readOnly)
            await (image.store instanceof Qcow2Image ? image.store.close() : image.store.flush());
        } finally {
          await file.close();
          lock?.release();
          await image.below?.close();
        }
      },
    };
  } catch (error) {
    await file.close();
    lock?.release();
    throw error;
  }
}

async function openFile(path: string, readOnly: boolean): Promise<HostFile> {
  try {
    return await HostFile.open(path, readOnly ? constants.O_RDONLY : constants.O_RDWR);
  } catch (cause) {
    throw unreadable(path, cause, readOnly);
  }
}

function unreadable(path: string, cause: unknown, readOnly: boolean): UserError {
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  if (code === "ENOENT") {
    return new UserError(`There is no drive ${path}; make one, for example: truncate -s 1G ${path}`, {
      cause,
    });
  }
  if (code === "EISDIR")
    return new UserError(`The drive ${path} is a directory; give a disk image.`, { cause });
  const remedy = readOnly ? "check its permissions" : 'check its permissions, or add ",ro" to its name';
  return new UserError(`The drive ${path} cannot be opened (${String(code)}); ${remedy}.`, { cause });
}

async function detectFormat(file: HostFile, { path, format }: ImageRequest): Promise<DiskFormat> {
  if (format !== undefined) return format;
  const start = new Uint8Array(SECTOR);
  await file.read(0, start);
  const found = formatOfStart(start) ?? "raw";
  const known = DISK_FORMATS.find((name) => name === found);
  if (known !== undefined) return known;
  throw new UserError(
    `The drive ${path} is a ${found} image; convert it, for example: qemu-img convert -O qcow2 ${path} disk.qcow2`,
  );
}

function openRaw(file: HostFile, { path, format, readOnly, report }: ImageRequest): RawImage {
  const { size } = file;
  if (size === 0)
    throw new UserError(`The drive ${path} is empty; make it larger, for example: truncate -s 1G ${path}`);
  if (size % SECTOR !== 0) {
    throw new UserError(
      `The drive ${path} has ${size} bytes, which is no multiple of ${SECTOR}; a raw disk image has whole sectors.`,
    );
  }
  return new RawImage(file, { readOnly, guarded: format === undefined, report });
}

async function openQcow2(
  file: HostFile,
  { path, readOnly, report }: ImageRequest,
  repair: boolean,
  above: readonly string[],
): Promise<{ store: Qcow2Image; below: OpenImage | undefined }> {
  const header = await readHeader(file);
  if (header.size === 0)
    throw new UserError(`The drive ${path} has a size of 0; enlarge it: qemu-img resize ${path} 1G`);
  const chain = [...above, realpathSync(path)];
  const below = await openBacking(path, header, report, chain);
  try {
    const store = await Qcow2Image.open(file, header, {
      readOnly,
      backing: below?.store,
      decompressors: CLUSTER_DECOMPRESSORS,
      report,
      repair,
    });
    return { store, below };
  } catch (error) {
    await below?.close();
    throw error;
  }
}

/** Where the backing file of the image at `path` is; relative names count from the image's directory. */
export function backingPath(path: string, name: string): string {
  const plain = name.replace(/^file:/, "");
  if (/^[a-z][a-z+]*:/i.test(plain))
    throw new UserError(
      `The image ${path} has the backing file ${name}, which is no file of this host; flatten it with: qemu-img convert -O qcow2 ${path} flat.qcow2`,
    );
  return isAbsolute(plain) ? plain : join(dirname(realpathSync(path)), plain);
}

async function openBacking(
  path: string,
  { backingFile, backingFormat }: Qcow2Header,
  report: (sentence: string) => void,
  chain: readonly string[],
): Promise<OpenImage | undefined> {
  if (backingFile === undefined) return undefined;
  const backing = backingPath(path, backingFile);
  let real: string;
  try {
    real = realpathSync(backing);
  } catch (cause) {
    throw new UserError(
      `The image ${path} needs its backing file ${backing}, which is not there; put it back, or tell the image where it is: qemu-img rebase -u -b FILE -F FORMAT ${path}`,
      { cause },
    );
  }
  if (chain.includes(real))
    throw new UserError(
      `The image ${path} has the backing file ${backing}, which is based on ${path} itself; mend it with: qemu-img rebase -u`,
    );
  if (chain.length >= DEEPEST_CHAIN)
    throw new UserError(
      `The image ${chain[0]} has more than ${DEEPEST_CHAIN} backing files; merge some with qemu-img commit.`,
    );
  const format = DISK_FORMATS.find((name) => name === backingFormat);
  if (backingFormat !== undefined && format === undefined)
    throw new UserError(
      `The image ${path} has a backing file in the format ${backingFormat}, which is not known here; convert that one with qemu-img.`,
    );
  return await openImage({ path: backing, format, readOnly: true, report }, chain);
}

async function sizeOfDevice(file: HostFile): Promise<number> {
  let low = 0;
  let high = 2 ** 52 / SECTOR;
  const sector = new Uint8Array(SECTOR);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { bytesRead } = await file.handle
      .read(sector, 0, SECTOR, middle * SECTOR)
      .catch(() => ({ bytesRead: 0 }));
    if (bytesRead === SECTOR) low = middle + 1;
    else high = middle;
  }
  return low * SECTOR;
}
