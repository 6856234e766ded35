import { readFile } from "node:fs/promises";
import { type PackageEntry, readPart } from "../deb.ts";
import type { Attributes } from "../ext4/inode.ts";
import { type BlockTarget, Ext4Writer } from "../ext4/writer.ts";
import type { Mirror } from "../mirror.ts";
import { baseConfiguration, INITRAMFS_SETTING, MERGED_DIRECTORIES } from "./base-configuration.ts";
import { commonDatabaseFiles, DatabaseEntry } from "./dpkg-database.ts";

/** A package file to unpack. */
export interface PackageFileName {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A file, directory or link of the host's that is put into a system, owned by root. */
export type AddedFile = { readonly path: string } & (
  | { readonly type: "file"; readonly mode: number; readonly from: string }
  | { readonly type: "directory"; readonly mode: number }
  | { readonly type: "link"; readonly target: string }
);

/** Where added files wait until the packages are configured. */
export const ADDED_FILES = "var/lib/elvisor-added";

export interface RootFileSystem {
  readonly added: readonly AddedFile[];
  readonly release: string;
  readonly mirror: Mirror;
  readonly packages: readonly PackageFileName[];
  /** Bytes of the disk. */
  readonly size: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
}

/** What is to be done in the guest. */
export interface UnpackedSystem {
  /** dpkg's names of the packages that have a script to run before they are configured. */
  readonly preinst: readonly string[];
  readonly packages: number;
}

/**
 * Unpacks packages onto a fresh ext4 file system, as `dpkg --unpack` would: nothing is configured yet.
 * `advance` hears of each package when it is done.
 */
export async function makeRootFileSystem(
  target: BlockTarget,
  system: RootFileSystem,
  advance: (bytes: number) => void,
): Promise<UnpackedSystem> {
  const time = Math.floor(Date.now() / 1000);
  const ours: Attributes = { mode: 0o755, user: 0, group: 0, time };
  const writer = new Ext4Writer(target, system.size, { uuid: system.uuid, label: "debian", time });
  writer.directory("", ours);
  for (const name of MERGED_DIRECTORIES) {
    writer.directory(`usr/${name}`, ours);
    await writer.link(name, { ...ours, mode: 0o777 }, `usr/${name}`);
  }
  const entries: DatabaseEntry[] = [];
  for (const { path, size } of system.packages) {
    entries.push(await unpack(writer, path));
    advance(size);
  }
  const database = [...entries.flatMap((entry) => entry.files()), ...commonDatabaseFiles(entries)];
  for (const { path, mode, content } of database) await writer.file(path, { ...ours, mode }, content);
  const configuration = baseConfiguration(system.release, system.mirror, formatUuid(system.uuid));
  for (const file of configuration) {
    if ("target" in file) await writer.link(file.path, { ...ours, mode: 0o777 }, file.target);
    else await writer.file(file.path, { ...ours, mode: file.mode ?? 0o644 }, Buffer.from(file.content));
  }
  if (writer.typeOf(INITRAMFS_SETTING) !== undefined) {
    await writer.file(INITRAMFS_SETTING, { ...ours, mode: 0o644 }, Buffer.from("update_initramfs=no\n"));
  }
  for (const file of system.added) await add(writer, file, time);
  await writer.finish();
  return {
    preinst: entries.filter((entry) => entry.hasPreinst).map((entry) => entry.fileName),
    packages: entries.length,
  };
}

async function add(writer: Ext4Writer, file: AddedFile, time: number): Promise<void> {
  const path = `${ADDED_FILES}/${file.path}`;
  const attributes: Attributes = { mode: "mode" in file ? file.mode : 0o777, user: 0, group: 0, time };
  switch (file.type) {
    case "file":
      await writer.file(path, attributes, await readFile(file.from));
      return;
    case "directory":
      writer.directory(path, attributes);
      return;
    case "link":
      await writer.link(path, attributes, file.target);
  }
}

async function unpack(writer: Ext4Writer, path: string): Promise<DatabaseEntry> {
  const database = new DatabaseEntry();
  await readPart(path, "control", (entry) => database.takeControl(entry));
  await readPart(path, "data", async (entry) => {
    const content = entry.type === "file" ? await entry.content() : undefined;
    database.takePath(entry.path, content);
    await place(writer, entry, content);
  });
  return database;
}

async function place(
  writer: Ext4Writer,
  entry: PackageEntry,
  content: Uint8Array | undefined,
): Promise<void> {
  const { path, mode, user, group, time } = entry;
  const attributes: Attributes = { mode, user, group, time };
  switch (entry.type) {
    case "file":
      await writer.file(path, attributes, content ?? new Uint8Array(0));
      break;
    case "directory":
      writer.directory(path, attributes);
      break;
    case "symlink":
      await writer.link(path, attributes, entry.target);
      break;
    case "link":
      writer.hardLink(path, entry.target);
      break;
    case "character-device":
    case "block-device":
    case "fifo":
      writer.device(path, entry.type, attributes, entry.major, entry.minor);
      break;
  }
}

/** 8-4-4-4-12 hexadecimal digits. */
export function formatUuid(uuid: Uint8Array): string {
  return Buffer.from(uuid)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
