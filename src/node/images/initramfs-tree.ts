import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { UserError } from "../../base/errors.ts";
import { type CpioEntry, writeCpio } from "./cpio.ts";

/** A kernel's modules: paths from "lib/modules/RELEASE/…" on. */
export type ModuleFiles = ReadonlyMap<string, Uint8Array>;

/** The modules below `directory`. */
export async function readModuleTree(directory: string): Promise<Map<string, Uint8Array>> {
  const modules = new Map<string, Uint8Array>();
  for (const entry of await readdir(join(directory, "lib"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    modules.set(relative(directory, path), new Uint8Array(await readFile(path)));
  }
  return modules;
}

/** An initial file system that grows; directories come by themselves. */
export class InitramfsTree {
  readonly #entries: CpioEntry[] = [];
  readonly #directories = new Set<string>();

  directory(path: string): void {
    if (path === "." || path === "" || this.#directories.has(path)) return;
    this.#parentOf(path);
    this.#directories.add(path);
    this.#entries.push({ kind: "directory", path });
  }

  file(path: string, content: Uint8Array | string, mode = 0o644): void {
    this.#parentOf(path);
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    this.#entries.push({ kind: "file", path, content: bytes, mode });
  }

  link(path: string, target: string): void {
    this.#parentOf(path);
    this.#entries.push({ kind: "link", path, target });
  }

  characterDevice(path: string, major: number, minor: number): void {
    this.#parentOf(path);
    this.#entries.push({ kind: "character-device", path, major, minor });
  }

  /** All so far, each after the directories on its way. */
  get entries(): readonly CpioEntry[] {
    return this.#entries;
  }

  pack(): Uint8Array {
    return writeCpio(this.#entries);
  }

  #parentOf(path: string): void {
    this.directory(path.slice(0, Math.max(path.lastIndexOf("/"), 0)));
  }
}

/** A tree with busybox under all of its names, and a kernel's modules. */
export function busyboxTree(busybox: Uint8Array, modules: ModuleFiles): InitramfsTree {
  const tree = new InitramfsTree();
  for (const path of ["bin", "dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr"])
    tree.directory(path);
  tree.characterDevice("dev/console", 5, 1);
  tree.characterDevice("dev/null", 1, 3);
  tree.file("bin/busybox", busybox, 0o755);
  for (const applet of appletNames(busybox)) {
    if (applet !== "busybox") tree.link(`bin/${applet}`, "busybox");
  }
  tree.link("sbin", "bin");
  tree.link("usr/bin", "../bin");
  tree.link("usr/sbin", "../bin");
  for (const [path, content] of modules) tree.file(path, content);
  return tree;
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
