import { createReadStream, createWriteStream } from "node:fs";
import { lstat, mkdir, readdir, readlink, stat, symlink } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type Pack, pack } from "tar-stream";
import { UserError } from "../../base/errors.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import type { Host } from "./host.ts";

/** One side of `elvisor cp`. */
interface Place {
  /** undefined: on this host. */
  readonly machine: string | undefined;
  readonly path: string;
}

/** "NAME:PATH" lies in a machine; a path with a "/" before its colon, or without one, lies here. */
export function parsePlace(text: string): Place {
  const match = /^([A-Za-z0-9][A-Za-z0-9_.-]*):(.+)$/s.exec(text);
  return match === null ? { machine: undefined, path: text } : { machine: match[1], path: match[2]! };
}

/** `elvisor cp`: copies a file or a directory into a machine or out of it, by the guest's own tar. */
export async function copyCommand(from: string, to: string, host: Host): Promise<void> {
  const [source, target] = [parsePlace(from), parsePlace(to)];
  const registry = new Registry(runtimeDirectory(host.environment));
  if (source.machine === undefined && target.machine !== undefined) {
    await copyIn(source.path, RemoteMachine.find(registry, target.machine), target.path);
  } else if (source.machine !== undefined && target.machine === undefined) {
    await copyOut(RemoteMachine.find(registry, source.machine), source.path, target.path);
  } else {
    throw new UserError(
      `elvisor cp copies between this host and a machine; write one of "${from}" and "${to}" as NAME:PATH.`,
      { exitStatus: 2 },
    );
  }
}

/** As cp does: into the directory `target` if it is one, else under that name. */
async function copyIn(source: string, machine: RemoteMachine, target: string): Promise<void> {
  const status = await lstat(source).catch((cause: unknown) => {
    throw new UserError(`${source} cannot be read; check its name.`, { cause });
  });
  // The shell says where things go, since only the guest knows what is there.
  const script =
    'if [ -d "$1" ]; then cd "$1" && exec tar -xf -; else cd "$(dirname "$1")" && exec tar -xf - ; fi';
  const isDirectory = (await machine.exec(["test", "-d", target], { input: "" })).exitCode === 0;
  const name = isDirectory ? basename(resolve(source)) : basename(target);
  const command = machine.exec(["/bin/sh", "-c", script, "sh", target]);
  const archive = pack();
  const sending = pipeline(archive, command.stdin).catch(() => {});
  await packTree(archive, source, name, status.isDirectory());
  archive.finalize();
  const result = await command;
  await sending;
  if (result.exitCode !== 0) throw failed(target, machine, result.stderr);
}

async function packTree(archive: Pack, path: string, name: string, isDirectory: boolean): Promise<void> {
  const status = await lstat(path);
  const header = { name, mode: status.mode & 0o7777, mtime: status.mtime };
  if (isDirectory) {
    archive.entry({ ...header, type: "directory" });
    for (const child of (await readdir(path, { withFileTypes: true })).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      await packTree(archive, join(path, child.name), `${name}/${child.name}`, child.isDirectory());
    }
  } else if (status.isSymbolicLink()) {
    archive.entry({ ...header, type: "symlink", linkname: await readlink(path) });
  } else if (status.isFile()) {
    const entry = archive.entry({ ...header, size: status.size });
    await pipeline(createReadStream(path, { end: Math.max(status.size - 1, 0) }), entry);
  }
}

async function copyOut(machine: RemoteMachine, source: string, target: string): Promise<void> {
  const script = 'cd "$(dirname "$1")" && exec tar -cf - -- "$(basename "$1")"';
  const command = machine.exec(["/bin/sh", "-c", script, "sh", source], { input: "" });
  const into = await stat(target).then(
    (status) => status.isDirectory(),
    () => false,
  );
  const root = basename(source);
  const base = into ? join(target, root) : target;
  const archive = extract();
  let errors = "";
  command.stderr.on("data", (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const reading = pipeline(command.stdout, archive).catch(() => {});
  for await (const entry of archive) {
    const { name, type, linkname, mode } = entry.header;
    const rest = name.replace(/^\.\//, "").slice(root.length);
    const path = resolve(base + rest);
    // A guest cannot make us write elsewhere.
    const inside = path === resolve(base) || path.startsWith(resolve(base) + sep);
    if (!inside)
      throw new UserError(`${machine.description.name} sends "${name}", which lies outside ${base}.`);
    if (type === "directory") await mkdir(path, { recursive: true });
    else if (type === "symlink") await symlink(linkname ?? "", path);
    else if (type === "file") {
      await mkdir(dirname(path), { recursive: true });
      await pipeline(Readable.from(entry), createWriteStream(path, { mode: (mode ?? 0o644) & 0o777 }));
    }
    entry.resume();
  }
  await reading;
  const exit = await command.exited;
  if (exit.code !== 0) throw failed(source, machine, errors);
}

function failed(path: string, { description }: RemoteMachine, errors: string): UserError {
  const reason = errors.trim().split("\n").at(-1) ?? "";
  return new UserError(`${path} in ${description.name} cannot be copied: ${reason}`);
}
