import { existsSync } from "node:fs";
import { copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { UserError } from "../../base/errors.ts";
import type { CachedImage } from "../images/cache.ts";
import { SYSTEM_DISK } from "../images/debian/system-image.ts";

/** A machine that has a disk of its own, whether it runs or not. */
export interface StoredMachine {
  readonly name: string;
  /** The image that its disk began as. */
  readonly image: string;
  readonly version: string;
  readonly directory: string;
  /** What the machine has written: a qcow2 image on top of {@link base}. */
  readonly overlay: string;
  /** The image's disk, which is never written. */
  readonly base: string;
}

/** What is written down of a machine. */
interface Description {
  readonly image: string;
  readonly version: string;
  readonly base: string;
}

const DESCRIPTION = "machine.json";
const OVERLAY = "disk.qcow2";

/** What a machine may be called: it becomes the name of a directory and of a socket. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,49}$/;

/** Where this user's machines are kept. */
export function machinesDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const home = environment["HOME"] || homedir();
  return join(environment["XDG_DATA_HOME"] || join(home, ".local", "share"), "elvisor", "machines");
}

/** `name`, if a machine may be called that. */
export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new UserError(
    `"${name}" cannot be the name of a machine; use letters, digits, ".", "-" and "_", at most 50, and a letter or digit first.`,
    { exitStatus: 2 },
  );
}

/** The machines of a user that have disks. */
export class MachineStore {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  async find(name: string): Promise<StoredMachine | undefined> {
    const directory = join(this.directory, checkedName(name));
    let text: string;
    try {
      text = await readFile(join(directory, DESCRIPTION), "utf8");
    } catch {
      return undefined;
    }
    try {
      const { image, version, base } = JSON.parse(text) as Description;
      return { name, image, version, directory, overlay: join(directory, OVERLAY), base };
    } catch {
      throw new UserError(
        `The machine ${name} in ${directory} is damaged; remove it with: elvisor rm ${name}`,
      );
    }
  }

  /** All of them, by name. */
  async list(): Promise<StoredMachine[]> {
    const names = await readdir(this.directory).catch((): string[] => []);
    const machines = await Promise.all(
      names.filter((name) => NAME.test(name)).map((name) => this.find(name)),
    );
    return machines.filter((machine) => machine !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Makes a machine whose disk begins as the image's. It holds on to the image's files by links, so a newer
   * version of the image does no harm.
   */
  async create(name: string, image: CachedImage): Promise<StoredMachine> {
    const directory = join(this.directory, checkedName(name));
    const draft = `${directory}.new-${process.pid}`;
    let base = join(directory, "base", SYSTEM_DISK);
    try {
      await rm(draft, { recursive: true, force: true });
      for (const { path } of image.files) {
        const from = join(image.directory, path);
        const to = join(draft, "base", path);
        await mkdir(dirname(to), { recursive: true });
        try {
          await link(from, to);
        } catch {
          // Another file system. The disk is too large to copy, and stays where it is.
          if (path === SYSTEM_DISK) base = from;
          else await copyFile(from, to);
        }
      }
      const description: Description = { image: image.name, version: image.version, base };
      await writeFile(join(draft, DESCRIPTION), `${JSON.stringify(description, null, 2)}\n`);
      await rename(draft, directory);
    } catch (cause) {
      await rm(draft, { recursive: true, force: true }).catch(() => {});
      throw new UserError(
        `The machine ${name} cannot be made in ${this.directory} (${String(cause)}); free some space or put it elsewhere with XDG_DATA_HOME.`,
        { cause },
      );
    }
    return {
      name,
      image: image.name,
      version: image.version,
      directory,
      overlay: join(directory, OVERLAY),
      base,
    };
  }

  /**
   * Where the variables of a machine's firmware are kept that was given a name, whether it has a disk of its own or
   * not; the directory is there.
   */
  async variables(name: string): Promise<string> {
    const path = this.#variables(name);
    try {
      await mkdir(dirname(path), { recursive: true });
    } catch (cause) {
      throw new UserError(
        `The variables of ${name} cannot be kept in ${dirname(path)} (${String(cause)}); name a file with --uefi-vars.`,
        { cause },
      );
    }
    return path;
  }

  /** Whether there is anything of a machine. */
  has(name: string): boolean {
    return existsSync(join(this.directory, checkedName(name))) || existsSync(this.#variables(name));
  }

  #variables(name: string): string {
    return join(dirname(this.directory), "variables", `${checkedName(name)}.fd`);
  }

  /** Removes a machine with all that it has written. */
  async remove(name: string): Promise<void> {
    const directory = join(this.directory, checkedName(name));
    await rm(this.#variables(name), { force: true });
    if (existsSync(directory)) await rm(directory, { recursive: true, force: true });
  }
}
