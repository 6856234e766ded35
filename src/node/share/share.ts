import { closeSync, constants, openSync, readFileSync, realpathSync, statSync } from "node:fs";
import { UserError } from "../../base/errors.ts";
import { type FileServer, TAG_SIZE } from "../../devices/virtio/file-system.ts";
import { ShareServer } from "./file-server.ts";
import { InodeTable } from "./inode-table.ts";
import { ownersFor } from "./owners.ts";

/** A directory of the host that a guest can mount. */
export interface Share {
  /** The guest mounts by this name: `mount -t virtiofs TAG /mnt`. */
  readonly tag: string;
  /** Where the default guest mounts it. */
  readonly mountPoint: string;
  readonly readOnly: boolean;
  readonly server: FileServer;
  close(): void;
}

/** What `--share DIR:/mnt[,ro]` says. */
export interface ShareChoice {
  readonly directory: string;
  /** An absolute path in the guest. */
  readonly mountPoint: string;
  readonly readOnly: boolean;
}

const O_PATH = 0o10_000_000;
/** Of this process's open files, half are for shares and their guests. */
const FALLBACK_LIMIT = 1024;

/** Opens a directory for sharing. */
export function openShare({ directory, mountPoint, readOnly }: ShareChoice, tag: string): Share {
  if (process.platform !== "linux")
    throw new UserError(`Directories can be shared on Linux hosts only; leave out --share ${directory}.`);
  if (new TextEncoder().encode(tag).length > TAG_SIZE || tag === "")
    throw new UserError(`The tag ${tag} does not have 1 to ${TAG_SIZE} bytes; give another.`, {
      exitStatus: 2,
    });
  let descriptor: number;
  try {
    if (!statSync(directory).isDirectory())
      throw new UserError(`${directory} is not a directory; give one with --share, or a disk with --drive.`);
    descriptor = openSync(realpathSync(directory), O_PATH | constants.O_DIRECTORY);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`The directory ${directory} cannot be shared (${code}); give one that can be read.`, {
      cause,
    });
  }
  const quarter = Math.floor(openFileLimit() / 4);
  let inodes: InodeTable;
  try {
    inodes = new InodeTable(descriptor, quarter);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  // The mask can only be read by setting it.
  const mask = process.umask(0o022);
  process.umask(mask);
  const owners = ownersFor(process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  const server = new ShareServer({ inodes, owners, readOnly, mostHandles: quarter, mask });
  return {
    tag,
    mountPoint,
    readOnly,
    server,
    close() {
      server.reset();
      inodes.close();
    },
  };
}

/** How many files this process may have open. */
function openFileLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  return Number(line?.[1] ?? FALLBACK_LIMIT);
}

/** Reads "DIR:/mnt" or "DIR:/mnt,ro". */
export function parseShare(text: string): ShareChoice {
  const readOnly = /,(ro|readonly)$/.test(text);
  const plain = readOnly ? text.slice(0, text.lastIndexOf(",")) : text;
  const colon = plain.lastIndexOf(":");
  const [directory, mountPoint] = [plain.slice(0, Math.max(colon, 0)), plain.slice(colon + 1)];
  if (directory === "" || !/^\/[^\0\n]*[^/\0\n]\/*$/.test(mountPoint)) {
    throw new UserError(
      `The share "${text}" does not say what to share and where; give a directory and an absolute path in the guest, for example: --share .:/mnt or --share .:/mnt,ro`,
      { exitStatus: 2 },
    );
  }
  return { directory, mountPoint, readOnly };
}
