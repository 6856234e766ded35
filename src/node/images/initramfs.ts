import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { CachedImage } from "./cache.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";
import {
  FILE_SYSTEMS,
  INIT_SCRIPT,
  LEASE_SCRIPT,
  NETWORK_SCRIPT,
  PROFILE,
  SESSION_SCRIPT,
} from "./guest-scripts.ts";

/** What the guest does once it is up. */
export type GuestSession = (
  | {
      readonly kind: "shell";
      /** The terminal's type, as in the variable TERM. */
      readonly terminal: string;
      readonly size: { readonly columns: number; readonly rows: number } | undefined;
    }
  | { readonly kind: "command"; readonly command: string }
) & {
  /** The guest has a network card, to be configured by DHCP. */
  readonly network?: boolean;
  /** Directories of the host, to be mounted before the session begins. */
  readonly mounts?: readonly GuestMount[];
};

/** A virtio file system that the guest mounts when it starts. */
export interface GuestMount {
  readonly tag: string;
  readonly mountPoint: string;
  readonly readOnly: boolean;
}

/** A kernel's modules: paths from "lib/modules/RELEASE/…" on. */
export type ModuleFiles = ReadonlyMap<string, Uint8Array>;

/** Reads the modules that were kept with a kernel image. */
export async function readModuleFiles(image: CachedImage): Promise<ModuleFiles> {
  const paths = image.files.map((file) => file.path).filter((path) => path.startsWith("lib/modules/"));
  return new Map(
    await Promise.all(
      paths.map(async (path) => [path, new Uint8Array(await readFile(join(image.directory, path)))] as const),
    ),
  );
}

/** The default guest's initial file system: busybox under all of its names, the modules, the scripts. */
export function buildInitramfs(busybox: Uint8Array, modules: ModuleFiles, session: GuestSession): Uint8Array {
  const entries: CpioEntry[] = [];
  const directories = new Set<string>();
  const directory = (path: string): void => {
    if (path === "." || path === "" || directories.has(path)) return;
    directory(path.slice(0, Math.max(path.lastIndexOf("/"), 0)));
    directories.add(path);
    entries.push({ kind: "directory", path });
  };
  const file = (path: string, content: Uint8Array | string, mode = 0o644): void => {
    directory(path.slice(0, Math.max(path.lastIndexOf("/"), 0)));
    entries.push({
      kind: "file",
      path,
      content: typeof content === "string" ? Buffer.from(content) : content,
      mode,
    });
  };
  for (const path of ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr"])
    directory(path);
  entries.push({ kind: "character-device", path: "dev/console", major: 5, minor: 1 });
  entries.push({ kind: "character-device", path: "dev/null", major: 1, minor: 3 });
  file("bin/busybox", busybox, 0o755);
  for (const applet of appletNames(busybox)) {
    if (applet !== "busybox") entries.push({ kind: "link", path: `bin/${applet}`, target: "busybox" });
  }
  entries.push({ kind: "link", path: "sbin", target: "bin" });
  entries.push({ kind: "link", path: "usr/bin", target: "../bin" });
  entries.push({ kind: "link", path: "usr/sbin", target: "../bin" });
  for (const [path, content] of modules) file(path, content);
  file("init", INIT_SCRIPT, 0o755);
  file("etc/elvisor/session", SESSION_SCRIPT, 0o755);
  file("etc/elvisor/settings", settings(session));
  if (session.kind === "command") file("etc/elvisor/command", `${session.command}\n`);
  if (session.network === true) {
    file("etc/elvisor/network", NETWORK_SCRIPT, 0o755);
    file("etc/elvisor/lease", LEASE_SCRIPT, 0o755);
  }
  file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
  if (session.mounts !== undefined && session.mounts.length > 0)
    file("etc/elvisor/mounts", mountScript(session.mounts));
  file("etc/profile", PROFILE);
  file("etc/fstab", FILE_SYSTEMS);
  file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
  file("etc/group", "root:x:0:\n");
  return writeCpio(entries);
}

function mountScript(mounts: readonly GuestMount[]): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = mounts.map(({ tag, mountPoint, readOnly }) => {
    const [name, place] = [quote(tag), quote(mountPoint)];
    return `mkdir -p ${place} && mount -t virtiofs ${readOnly ? "-o ro " : ""}${name} ${place}\n`;
  });
  return `modprobe virtiofs 2>/dev/null\n${lines.join("")}`;
}

function settings(session: GuestSession): string {
  if (session.kind === "command") return "MODE=command\n";
  const size =
    session.size === undefined ? "" : `ROWS=${session.size.rows}\nCOLUMNS=${session.size.columns}\n`;
  return `MODE=shell\nTERM=${session.terminal.replace(/[^\w.+-]/g, "") || "vt100"}\n${size}`;
}

/** The names under which a busybox answers: a table of strings in the program that begins with "[" and "[[". */
export function appletNames(busybox: Uint8Array): string[] {
  const bytes = Buffer.from(busybox.buffer, busybox.byteOffset, busybox.byteLength);
  const start = bytes.indexOf("\0[\0[[\0", 0, "latin1");
  const end = start < 0 ? -1 : bytes.indexOf("\0\0", start + 1, "latin1");
  const names = end < 0 ? [] : bytes.toString("latin1", start + 1, end).split("\0");
  if (!names.includes("sh") || !names.every((name) => /^[\w.[+-]+$/.test(name))) {
    throw new UserError("The busybox in the cache has no table of its commands; run: elvisor pull busybox");
  }
  return names;
}
