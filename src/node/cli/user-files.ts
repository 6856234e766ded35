import { open, writeFile } from "node:fs/promises";
import { UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";

/** Bytes that Node reads into memory at once; no guest has much more memory than that. */
const LARGEST_FILE = 2 ** 31 - 1;

/** Reads a file that the user named. `what` is what it should be, for messages: "kernel", "initrd". */
export async function readInputFile(path: string, what: string): Promise<BootFile> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      if (size > LARGEST_FILE) {
        throw new UserError(
          `The ${what} ${path} has ${size} bytes, more than can be loaded; give one of less than 2 GiB.`,
        );
      }
      const content = await file.readFile();
      return { name: path, bytes: new Uint8Array(content.buffer, content.byteOffset, content.length) };
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    if (code === "ENOENT") throw new UserError(`There is no ${what} ${path}; check its name.`, { cause });
    if (code === "EISDIR") throw new UserError(`The ${what} ${path} is a directory; give a file.`, { cause });
    throw new UserError(`The ${what} ${path} cannot be read (${code}); check its permissions.`, { cause });
  }
}

/** Writes a file that the user named with --output. */
export async function writeOutputFile(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`${path} cannot be written (${code}); give another file with --output.`, { cause });
  }
}
