import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

/** A lock that this process holds. */
export interface FileLock {
  /** The one who had it before died without giving it back. */
  readonly takenOver: boolean;
  release(): void;
}

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  /** Tells a process from a later one with the same number; empty where the system does not say. */
  readonly started: string;
  readonly host: string;
}

/**
 * Takes the lock that the file `path` stands for, or returns the number of the process that holds it. A lock
 * whose holder has died is taken over at once; so no killed process leaves anything to clear away.
 */
export function tryLock(path: string): FileLock | { readonly heldBy: number } {
  const mine: Holder = { pid: process.pid, started: startTime(process.pid), host: hostname() };
  const text = JSON.stringify(mine);
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  writeFileSync(draft, text);
  let takenOver = false;
  try {
    for (let tries = 0; tries < 100; tries++) {
      try {
        // A hard link appears with its content, and only if nothing has that name.
        linkSync(draft, path);
        return { takenOver, release: () => releaseIfMine(path, text) };
      } catch (error) {
        if (!isCode(error, "EEXIST")) throw error;
      }
      const holder = readHolder(path);
      if (holder === "gone") continue;
      if (holder !== undefined && isAlive(holder)) return { heldBy: holder.pid };
      removeStale(path, holder);
      takenOver = true;
    }
    return { heldBy: readHolderOrNobody(path) };
  } finally {
    rmSync(draft, { force: true });
  }
}

/** The number of the living process that holds the lock `path`; a dead holder's lock is removed. */
export function lockHolder(path: string): number | undefined {
  const holder = readHolder(path);
  if (holder === "gone") return undefined;
  if (holder !== undefined && isAlive(holder)) return holder.pid;
  removeStale(path, holder);
  return undefined;
}

function readHolderOrNobody(path: string): number {
  const holder = readHolder(path);
  return holder === undefined || holder === "gone" ? 0 : holder.pid;
}

/** Moves the dead holder's file away; a file that somebody put there in the meantime goes back. */
function removeStale(path: string, dead: Holder | undefined): void {
  const aside = `${path}.stale.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isCode(error, "ENOENT")) return;
    throw error;
  }
  const moved = readHolder(aside);
  if (JSON.stringify(moved) !== JSON.stringify(dead)) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody else has the lock now; the moved holder will notice when it releases.
    }
  }
  rmSync(aside, { force: true });
}

function releaseIfMine(path: string, text: string): void {
  try {
    if (readFileSync(path, "utf8") === text) rmSync(path, { force: true });
  } catch {
    // Already gone.
  }
}

function readHolder(path: string): Holder | undefined | "gone" {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return "gone";
  }
  try {
    const { pid, started, host } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== "number" || typeof started !== "string" || typeof host !== "string") return undefined;
    return { pid, started, host };
  } catch {
    return undefined;
  }
}

/** A process of another host (shared file system) counts as alive: there is no way to know. */
function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (isCode(error, "ESRCH")) return false;
  }
  const started = startTime(holder.pid);
  return started === "" || holder.started === "" || started === holder.started;
}

/** Field 22 of Linux's /proc/PID/stat: ticks since boot at which the process began. */
function startTime(pid: number): string {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "latin1");
    return status.slice(status.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
