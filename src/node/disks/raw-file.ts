import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { Drive } from "../../machine/virtual-machine-interface.ts";
import { type FileLock, tryLock } from "../file-lock.ts";

const SECTOR = 512;

/** A disk whose blocks are a file's bytes. */
export interface RawFile extends Drive {
  /** Writes what is under way and gives the file up. */
  close(): Promise<void>;
}

/** How {@link openRawFile} opens. */
export interface RawFileOptions {
  /** Never write to it; several machines may then read it at once. */
  readonly readOnly?: boolean;
}

/**
 * Opens a disk image. A writable one belongs to this process until it is closed: two machines that write to
 * one disk would destroy its file system.
 */
export async function openRawFile(path: string, options: RawFileOptions = {}): Promise<RawFile> {
  const readOnly = options.readOnly ?? false;
  let file: FileHandle;
  try {
    file = await open(path, readOnly ? constants.O_RDONLY : constants.O_RDWR);
  } catch (cause) {
    throw unreadable(path, cause, readOnly);
  }
  try {
    const status = await file.stat();
    if (!status.isFile() && !status.isBlockDevice()) {
      throw new UserError(`The drive ${path} is not a file; give a raw disk image.`);
    }
    // A block device tells no size; its end is found by reading.
    const size = status.isFile() ? status.size : await sizeOfDevice(file);
    if (size === 0)
      throw new UserError(`The drive ${path} is empty; make it larger, for example: truncate -s 1G ${path}`);
    if (size % SECTOR !== 0) {
      throw new UserError(
        `The drive ${path} has ${size} bytes, which is no multiple of ${SECTOR}; a raw disk image has whole sectors.`,
      );
    }
    await refuseOtherFormats(file, path);
    return makeDrive(file, size, readOnly, readOnly ? undefined : lockDrive(path));
  } catch (error) {
    await file.close();
    throw error;
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
    return new UserError(`The drive ${path} is a directory; give a raw disk image.`, { cause });
  const remedy = readOnly ? "check its permissions" : 'check its permissions, or add ",readonly" to its name';
  return new UserError(`The drive ${path} cannot be opened (${String(code)}); ${remedy}.`, { cause });
}

/** Formats that are not raw, by their first bytes. Their content would look like garbage to the guest. */
const OTHER_FORMATS: readonly { readonly name: string; readonly magic: string }[] = [
  { name: "qcow2", magic: "QFI\xfb" },
  { name: "VMDK", magic: "KDMV" },
  { name: "VHDX", magic: "vhdxfile" },
  { name: "VirtualBox", magic: "<<< Oracle VM VirtualBox Disk Image >>>" },
];

async function refuseOtherFormats(file: FileHandle, path: string): Promise<void> {
  const start = Buffer.alloc(SECTOR);
  await file.read(start, 0, SECTOR, 0);
  const format = OTHER_FORMATS.find(({ magic }) => start.toString("latin1", 0, magic.length) === magic);
  if (format !== undefined) {
    throw new UserError(
      `The drive ${path} is a ${format.name} image; convert it, for example: qemu-img convert -O raw ${path} disk.raw`,
    );
  }
}

async function sizeOfDevice(file: FileHandle): Promise<number> {
  let low = 0;
  let high = 2 ** 52 / SECTOR;
  const sector = Buffer.alloc(SECTOR);
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { bytesRead } = await file.read(sector, 0, SECTOR, middle * SECTOR).catch(() => ({ bytesRead: 0 }));
    if (bytesRead === SECTOR) low = middle + 1;
    else high = middle;
  }
  return low * SECTOR;
}

function lockDrive(path: string): FileLock {
  let lock: ReturnType<typeof tryLock>;
  try {
    lock = tryLock(`${resolve(path)}.lock`);
  } catch (cause) {
    throw new UserError(
      `The drive ${path} cannot be locked, since its directory may not be written; copy it elsewhere, or add ",readonly" to its name.`,
      { cause },
    );
  }
  if ("heldBy" in lock) {
    if (lock.heldBy === process.pid) {
      throw new UserError(`The drive ${path} is given twice; give each once, or copies.`, { exitStatus: 2 });
    }
    throw new UserError(
      `The drive ${path} is in use by another elvisor (process ${lock.heldBy}); end that one, or give a copy of the drive.`,
    );
  }
  return lock;
}

function makeDrive(file: FileHandle, size: number, readOnly: boolean, lock: FileLock | undefined): RawFile {
  let closed = false;
  return {
    size,
    readOnly,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      // A file that became shorter while in use reads as zeros.
      for (let done = 0; done < length; ) {
        const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return bytes;
    },
    async write(offset, bytes) {
      for (let done = 0; done < bytes.length; ) {
        done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    },
    async flush() {
      if (!readOnly) await file.datasync();
    },
    async close() {
      if (closed) return;
      closed = true;
      try {
        if (!readOnly) await file.datasync();
      } finally {
        await file.close();
        lock?.release();
      }
    },
  };
}
