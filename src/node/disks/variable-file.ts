import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import type { VariableStore } from "../../machine/virtual-machine-interface.ts";
import { type FileLock, tryLock } from "../file-lock.ts";

/** Firmware's variables in a file of the user's. */
export interface VariableFile extends VariableStore {
  /** Makes what was written durable and gives the file up. */
  close(): void;
}

/** What an erased flash reads as, up to the end of the bank. */
const BANK_SIZE = 64 * 2 ** 20;

/**
 * Opens the file in which firmware's variables are kept; one that does not exist yet becomes a copy of `template`.
 * It belongs to this process until it is closed. Every write goes to the file at once, since a machine may end at
 * any time.
 */
export function openVariableFile(path: string, template: BootFile): VariableFile {
  const lock = lockVariables(path);
  try {
    if (!existsSync(path)) create(path, template.bytes);
    const bytes = new Uint8Array(readFileSync(path));
    if (bytes.length === 0 || bytes.length > BANK_SIZE) {
      throw new UserError(
        `The variable file ${path} has ${bytes.length} bytes, and a flash bank has from 1 to ${BANK_SIZE}; remove it ` +
          "to begin with a fresh one.",
      );
    }
    const file = openSync(path, "r+");
    return {
      contents: { name: path, bytes },
      write: (offset, written) => writeAll(file, offset, written),
      close: () => {
        try {
          fsyncSync(file);
        } finally {
          closeSync(file);
          lock.release();
        }
      },
    };
  } catch (error) {
    lock.release();
    if (error instanceof UserError) throw error;
    throw unfit(path, error);
  }
}

/** A copy that is there completely or not at all. */
function create(path: string, bytes: Uint8Array): void {
  const draft = `${path}.${process.pid}.new`;
  try {
    writeFileSync(draft, bytes, { flush: true });
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function writeAll(file: number, offset: number, bytes: Uint8Array): boolean {
  try {
    for (let done = 0; done < bytes.length; )
      done += writeSync(file, bytes, done, bytes.length - done, offset + done);
    return true;
  } catch {
    // The guest's firmware is told, as by a chip that is worn out.
    return false;
  }
}

function lockVariables(path: string): FileLock {
  let lock: ReturnType<typeof tryLock>;
  try {
    lock = tryLock(`${resolve(path)}.lock`);
  } catch (cause) {
    throw unfit(path, cause);
  }
  if (!("heldBy" in lock)) return lock;
  throw new UserError(
    `The variable file ${path} is in use by another elvisor (process ${lock.heldBy}); end that one, or give another ` +
      "file.",
  );
}

function unfit(path: string, cause: unknown): UserError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new UserError(
    `The variable file ${path} cannot be used (${code}); give a file in a directory that may be written.`,
    { cause },
  );
}
