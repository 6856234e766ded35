import { randomBytes } from "node:crypto";
import { existsSync, realpathSync, rmSync } from "node:fs";
import { rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { BlockStore } from "../../devices/storage/block-store.ts";
import { createQcow2 } from "../../devices/storage/qcow2/create.ts";
import { readHeader } from "../../devices/storage/qcow2/header.ts";
import type { Drive, VirtioBus } from "../../machine/virtual-machine-interface.ts";
import type { DiskFormat } from "./formats.ts";
import { HostFile } from "./host-file.ts";
import { backingPath, type Durability, type OpenImage, openImage } from "./image-chain.ts";

/** A disk of the host, open. */
export interface DriveFile extends Drive {
  readonly format: DiskFormat;
  /** Writes what is under way and gives the files up. */
  close(): Promise<void>;
}

/** How {@link openDrive} opens. */
export interface DriveFileOptions {
  /** Never write to it; several machines may then read it at once. */
  readonly readOnly?: boolean;
  /** Found out by the first bytes unless given. */
  readonly format?: DiskFormat | undefined;
  /** At most 20 ASCII characters: /dev/disk/by-id in a Linux guest. */
  readonly serial?: string | undefined;
  /** Where the guest finds it, if not where its other virtio devices are. */
  readonly bus?: VirtioBus | undefined;
  /**
   * Leave the image alone and keep what the guest writes in this qcow2 image, which is made where it does not
   * exist; "temporary": in one that is forgotten in the end.
   */
  readonly overlay?: "temporary" | { readonly path: string } | undefined;
  /** When what was written must be on the host's disk; at the guest's flush unless given. Not of an overlay. */
  readonly durability?: Durability | undefined;
  /** Takes a sentence about what the guest only sees as an I/O error. Nobody unless given. */
  readonly report?: ((sentence: string) => void) | undefined;
}

/**
 * Opens a disk image, raw or qcow2, with its backing files. A writable one belongs to this process until it is
 * closed: two machines that write to one disk would destroy its file system.
 */
export async function openDrive(path: string, options: DriveFileOptions = {}): Promise<DriveFile> {
  const { readOnly = false, format, overlay, serial, bus, durability, report = () => {} } = options;
  if (overlay !== undefined && readOnly)
    throw new UserError(`The drive ${path} has an overlay and is read-only; leave one out.`, {
      exitStatus: 2,
    });
  if (serial !== undefined && !/^[\x21-\x7e]{1,20}$/.test(serial))
    throw new UserError(`The serial number ${serial} is not one; give 1 to 20 ASCII characters.`, {
      exitStatus: 2,
    });
  const image =
    overlay === undefined
      ? await openImage({ path, format, readOnly, report, durability })
      : await openOverlay(path, format, overlay, report);
  const store = reporting(
    image.store,
    overlay === undefined || overlay === "temporary" ? path : overlay.path,
    report,
  );
  return Object.assign(store, {
    format: image.format,
    close: () => image.close(),
    ...(serial && { serial }),
    ...(bus && { bus }),
  });
}

async function openOverlay(
  path: string,
  format: DiskFormat | undefined,
  overlay: NonNullable<DriveFileOptions["overlay"]>,
  report: (sentence: string) => void,
): Promise<OpenImage> {
  if (overlay === "temporary") {
    const temporary = join(tmpdir(), `elvisor-${process.pid}-${randomBytes(6).toString("hex")}.qcow2`);
    await makeOverlay(temporary, path, format);
    try {
      const request = { path: temporary, format: "qcow2", readOnly: false, report } as const;
      return await openImage({ ...request, durability: "never" });
    } finally {
      // It lives as long as it is open; so nothing remains, however this process ends.
      rmSync(temporary, { force: true });
    }
  }
  if (existsSync(overlay.path)) await checkOverlay(overlay.path, path);
  else await makeOverlay(overlay.path, path, format);
  return await openImage({ path: overlay.path, format: "qcow2", readOnly: false, report });
}

/** Makes an empty image on top of the one at `base`. */
async function makeOverlay(path: string, base: string, format: DiskFormat | undefined): Promise<void> {
  const below = await openImage({ path: base, format, readOnly: true, report: () => {} });
  const { size } = below.store;
  await below.close();
  const sameDirectory = resolve(dirname(path)) === resolve(dirname(base));
  // Half an image is never found under the name.
  const draft = `${path}.new-${process.pid}`;
  let file: HostFile | undefined;
  try {
    file = await HostFile.open(draft, "w+");
    const backing = { file: sameDirectory ? basename(base) : realpathSync(base), format: below.format };
    await createQcow2(file, { size, backing });
    await file.close();
    file = undefined;
    await rename(draft, path);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`The overlay ${path} cannot be made (${code}); give another place for it.`, {
      cause,
    });
  } finally {
    await file?.close();
    rmSync(draft, { force: true });
  }
}

async function checkOverlay(path: string, base: string): Promise<void> {
  const file = await HostFile.open(path, "r");
  try {
    const { backingFile } = await readHeader(file);
    const below = backingFile === undefined ? undefined : backingPath(path, backingFile);
    if (below !== undefined && existsSync(below) && realpathSync(below) === realpathSync(base)) return;
    throw new UserError(
      `The overlay ${path} belongs to ${below ?? "no other image"}, not to ${base}; give another name for the overlay.`,
    );
  } finally {
    await file.close();
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the host's disk is full",
  EDQUOT: "the host's quota is used up",
  EIO: "the host's disk has an error",
};

/** `store`, whose errors a person hears of, each kind once. The guest gets an I/O error for each. */
function reporting(store: BlockStore, name: string, report: (sentence: string) => void): BlockStore {
  const heard = new Set<string>();
  const hear = (what: string, error: unknown): void => {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined || heard.has(what + code)) return;
    heard.add(what + code);
    report(
      `The drive ${name} cannot be ${what} (${code}${REASONS[code] === undefined ? "" : `, ${REASONS[code]}`}); the guest gets I/O errors.`,
    );
  };
  const guard = (what: string, operation: () => Promise<void> | void): Promise<void> | void => {
    try {
      return operation()?.catch((error: unknown) => {
        hear(what, error);
        throw error;
      });
    } catch (error) {
      hear(what, error);
      throw error;
    }
  };
  return {
    size: store.size,
    readOnly: store.readOnly,
    read: (offset, target) => guard("read", () => store.read(offset, target)),
    write: (offset, source) => guard("written", () => store.write(offset, source)),
    flush: () => guard("flushed", () => store.flush()),
    ...(store.discard !== undefined && {
      discard: (offset: number, length: number) => guard("written", () => store.discard?.(offset, length)),
    }),
    ...(store.writeZeroes !== undefined && {
      writeZeroes: (offset: number, length: number, mayUnmap: boolean) =>
        guard("written", () => store.writeZeroes?.(offset, length, mayUnmap)),
    }),
  };
}
