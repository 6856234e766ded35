import { randomBytes } from "node:crypto";
import { readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { UserError } from "../../base/errors.ts";
import { type FileLock, lockHolder, tryLock } from "../file-lock.ts";

/** Whether an image is written to, by one, or only read, by any number. */
export type ImageUse = "read" | "write";

/**
 * Keeps an image from being written while somebody else uses it: two writers destroy its file system, and whoever
 * reads what another writes sees a mixture. Either side makes its own mark first and looks for the other's then,
 * so never both go on. Undefined where a reader cannot make a mark because the directory may not be written.
 */
export function lockImage(path: string, use: ImageUse): FileLock | undefined {
  const real = realPath(path);
  return use === "write" ? lockForWriting(path, real) : lockForReading(path, real);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // A file that is about to be made.
    return join(realpathSync(dirname(path)), basename(path));
  }
}

function lockForWriting(path: string, real: string): FileLock {
  let lock: ReturnType<typeof tryLock>;
  try {
    lock = tryLock(`${real}.lock`);
  } catch (cause) {
    throw new UserError(
      `The drive ${path} cannot be locked, since its directory may not be written; copy it elsewhere, or add ",ro" to its name.`,
      { cause },
    );
  }
  if ("heldBy" in lock) throw inUse(path, lock.heldBy, "written");
  const reader = livingReader(real);
  if (reader === undefined) return lock;
  lock.release();
  throw inUse(path, reader, "read");
}

function lockForReading(path: string, real: string): FileLock | undefined {
  let lock: FileLock | undefined;
  try {
    const taken = tryLock(`${real}.reader-${process.pid}-${randomBytes(4).toString("hex")}.lock`);
    if ("release" in taken) lock = taken;
  } catch {
    // Nobody who may not write there can be kept from reading.
  }
  const writer = lockHolder(`${real}.lock`);
  if (writer === undefined) return lock;
  lock?.release();
  throw inUse(path, writer, "written");
}

function livingReader(real: string): number | undefined {
  const start = `${basename(real)}.reader-`;
  for (const name of readdirSync(dirname(real))) {
    if (!name.startsWith(start) || !/^[\d]+-[\da-f]+\.lock$/.test(name.slice(start.length))) continue;
    const holder = lockHolder(join(dirname(real), name));
    if (holder !== undefined) return holder;
  }
  return undefined;
}

function inUse(path: string, holder: number, how: "read" | "written"): UserError {
  if (holder === process.pid)
    return new UserError(`The drive ${path} is given twice; give each once, or copies.`, { exitStatus: 2 });
  return new UserError(
    `The drive ${path} is in use by another elvisor (process ${holder}), where it is ${how}; end that one, or give a copy of the drive.`,
  );
}
