import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { UserError } from "../../base/errors.ts";
import { type FileLock, tryLock } from "../file-lock.ts";
import { checkedName } from "./machine-store.ts";

/** What is known of a machine that runs. */
export interface RunningMachine {
  readonly name: string;
  readonly image: string;
  /** The process in which it runs. */
  readonly pid: number;
  /** Milliseconds since 1970. */
  readonly started: number;
  /** Bytes. */
  readonly memory: number;
  readonly cpus: number;
}

/** A running machine's place among the others. */
export interface Registration {
  /** The Unix socket at which it is spoken to. */
  readonly socket: string;
  /** Shows the machine to other processes; its socket takes connections by then. */
  publish(): void;
  release(): void;
}

/** Where running machines of this user are found: a directory that nobody else may look into. */
export function runtimeDirectory(environment: Readonly<Record<string, string | undefined>>): string {
  const base = environment["XDG_RUNTIME_DIR"];
  if (base !== undefined && base !== "" && base.length < LONGEST_BASE) return join(base, "elvisor");
  return join(tmpdir(), `elvisor-${userInfo().uid}`);
}

/** The path of a socket has at most 107 bytes; a name has 50. */
const LONGEST_BASE = 40;

/** The running machines of a user: a lock, a description, a socket and a log for each. */
export class Registry {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  socketOf(name: string): string {
    return join(this.directory, `${checkedName(name)}.sock`);
  }

  logOf(name: string): string {
    return join(this.directory, `${checkedName(name)}.log`);
  }

  /**
   * Takes the name for this process. What a machine left that was killed is put away. Others see the machine from
   * {@link Registration.publish} on.
   */
  async register(machine: RunningMachine): Promise<Registration> {
    const { name } = machine;
    await this.prepare();
    const lock = this.#lock(name);
    const description = join(this.directory, `${name}.json`);
    const socket = this.socketOf(name);
    rmSync(socket, { force: true });
    return {
      socket,
      publish: () => {
        const whole = `${description}.${machine.pid}`;
        writeFileSync(whole, JSON.stringify(machine));
        renameSync(whole, description);
      },
      release: () => {
        rmSync(description, { force: true });
        rmSync(socket, { force: true });
        lock.release();
      },
    };
  }

  /** Makes the directory, and sees to it that it is ours alone. */
  async prepare(): Promise<void> {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(this.directory);
    if (uid === userInfo().uid && (mode & 0o077) === 0) return;
    throw new UserError(
      `The directory ${this.directory} belongs to somebody else or is open to others; remove it, or name another with XDG_RUNTIME_DIR.`,
    );
  }

  /** The machines that run, by name; entries of processes that are gone are removed. */
  async list(): Promise<RunningMachine[]> {
    const names = await readdir(this.directory).catch((): string[] => []);
    const machines: RunningMachine[] = [];
    for (const file of names.sort()) {
      if (!file.endsWith(".json")) continue;
      const machine = this.find(file.slice(0, -".json".length));
      if (machine !== undefined) machines.push(machine);
    }
    return machines;
  }

  find(name: string): RunningMachine | undefined {
    const description = join(this.directory, `${checkedName(name)}.json`);
    let machine: RunningMachine;
    try {
      machine = JSON.parse(readFileSync(description, "utf8")) as RunningMachine;
    } catch {
      return undefined;
    }
    const lock = tryLock(join(this.directory, `${name}.lock`));
    if ("heldBy" in lock) return machine;
    // Its process has ended without clearing away.
    rmSync(description, { force: true });
    rmSync(this.socketOf(name), { force: true });
    lock.release();
    return undefined;
  }

  #lock(name: string): FileLock {
    const lock = tryLock(join(this.directory, `${checkedName(name)}.lock`));
    if (!("heldBy" in lock)) return lock;
    throw new UserError(
      `The machine ${name} is running already (process ${lock.heldBy}); use elvisor exec or attach, or give another --name.`,
    );
  }
}
