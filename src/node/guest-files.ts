import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../base/errors.ts";
import type { Command, CommandOptions } from "./agent/command.ts";

/** Runs a command in the guest. */
export type Executor = (words: readonly string[], options?: CommandOptions) => Command;

/** A file or directory in the guest. */
export interface GuestFileStatus {
  readonly kind: "file" | "directory" | "link" | "other";
  /** Bytes. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
}

/** Reads and writes files of a guest with the guest's own programs, so it needs no more than a shell there. */
export class GuestFiles {
  readonly #exec: Executor;

  constructor(exec: Executor) {
    this.#exec = exec;
  }

  /** The content of a file. */
  async read(path: string): Promise<Buffer> {
    const { stdoutBytes } = await this.#run(["cat", "--", path], "read", path);
    return stdoutBytes;
  }

  async readText(path: string): Promise<string> {
    return (await this.read(path)).toString();
  }

  /** Makes the file, or gives it another content; with these permission bits where they are given. */
  async write(path: string, content: string | Uint8Array | Readable, mode?: number): Promise<void> {
    const change = mode === undefined ? "" : ` && chmod ${mode.toString(8)} -- "$1"`;
    const command = this.#exec(["/bin/sh", "-c", `cat >"$1"${change}`, "sh", path]);
    if (typeof content === "string" || content instanceof Uint8Array) command.stdin.end(content);
    // What stops the copying shows in the command's own end.
    else await pipeline(content, command.stdin).catch(() => {});
    check(await command, "written", path);
  }

  /** Makes a directory with those above it. */
  async makeDirectory(path: string): Promise<void> {
    await this.#run(["mkdir", "-p", "--", path], "made", path);
  }

  /** Removes a file, or a directory with all that is in it. */
  async remove(path: string): Promise<void> {
    await this.#run(["rm", "-rf", "--", path], "removed", path);
  }

  /** Names in a directory, sorted. */
  async list(path: string): Promise<string[]> {
    const script =
      'cd -- "$1" && for name in * .*; do [ -e "$name" ] || [ -L "$name" ] && printf "%s\\0" "$name"; done; :';
    const { stdout } = await this.#run(["/bin/sh", "-c", script, "sh", path], "listed", path);
    return stdout
      .split("\0")
      .filter((name) => !["", ".", ".."].includes(name))
      .sort();
  }

  /** undefined where there is nothing. */
  async status(path: string): Promise<GuestFileStatus | undefined> {
    const result = await this.#exec(["stat", "-c", "%f %s", "--", path]);
    const match = /^([0-9a-f]+) (\d+)\n$/.exec(result.stdout);
    if (result.exitCode !== 0 || match === null) return undefined;
    const mode = Number.parseInt(match[1]!, 16);
    return { kind: kindOf(mode), size: Number(match[2]), mode: mode & 0o7777 };
  }

  async #run(words: readonly string[], what: string, path: string) {
    return check(await this.#exec(words, { input: "" }), what, path);
  }
}

/** The kind of file that a mode tells (POSIX, sys/stat.h). */
function kindOf(mode: number): GuestFileStatus["kind"] {
  switch (mode & 0o170000) {
    case 0o100000:
      return "file";
    case 0o040000:
      return "directory";
    case 0o120000:
      return "link";
    default:
      return "other";
  }
}

function check<T extends { exitCode: number; stderr: string }>(result: T, what: string, path: string): T {
  if (result.exitCode === 0) return result;
  const reason = result.stderr.trim().split("\n").at(-1) ?? "";
  throw new UserError(`${path} in the guest cannot be ${what}: ${reason || `status ${result.exitCode}`}.`);
}
