import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { hostFusesMultiplyAdd } from "../../engine/fused-multiply-add.ts";
import type { KeptRegion } from "../../engine/translator/cached-region.ts";
import type { CodeParameters } from "../../engine/translator/code-cache.ts";
import type { RegionDescription } from "../../engine/translator/region-description.ts";

/** Regions that a machine noted, for {@link Pack}s to be made from. */
export interface Notes {
  readonly parameters: CodeParameters;
  readonly regions: readonly RegionDescription[];
}

/** A module as it lies on the disk. */
export interface PackedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the host's compiler made of it, where it lets that be kept. */
  readonly native: Uint8Array | undefined;
  readonly regions: readonly KeptRegion[];
  /** The RegionDescriptions that it was made from, serialized, as they are seldom asked for. */
  readonly sources: Uint8Array;
}

export interface Pack {
  readonly parameters: CodeParameters;
  readonly modules: readonly PackedModule[];
}

/** Bytes that all files of a cache may take, and those for machines with the same parameters, which each of them reads. */
export const MOST_CACHE_BYTES: number = 512 * 2 ** 20;
export const MOST_DIRECTORY_BYTES: number = 160 * 2 ** 20;

export const NOTES_NAME = ".notes";
export const PACK_NAME = ".pack";

/** The rooms whose code decides what is emitted. */
const EMITTING_ROOMS = ["base", "wasm", "isa", "memory", "mmu", "cpu", "engine"];

let known: string | undefined;

/** A name for all that emitted code depends on besides the machine: our own code, the host's engine, its processor. */
export function emitterName(): string {
  if (known !== undefined) return known;
  const hash = createHash("sha256");
  const { directory, names } = emittingFiles();
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(directory, name)));
  hash.update(`${process.version} ${process.versions.v8} ${process.arch} ${hostFusesMultiplyAdd()}`);
  known = hash.digest("hex").slice(0, 24);
  return known;
}

/** The files with the code of those rooms, by their paths in a directory: of each module, or of the bundle that has all. */
function emittingFiles(): { directory: string; names: readonly string[] } {
  const here = fileURLToPath(new URL(".", import.meta.url));
  const directory = join(here, "../..");
  if (!existsSync(join(directory, "engine"))) {
    return {
      directory: here,
      names: readdirSync(here)
        .filter((name) => name.endsWith(".js"))
        .sort(),
    };
  }
  const names = EMITTING_ROOMS.flatMap((room) =>
    readdirSync(join(directory, room), { recursive: true, encoding: "utf8" }).map((name) => join(room, name)),
  );
  return { directory, names: names.filter((name) => /(?<!\.test|\.d)\.[jt]s$/.test(name)).sort() };
}

/** The directory for machines with these parameters. */
export function codeDirectory(root: string, parameters: CodeParameters): string {
  const { memoryPages, tracksRegisters, element } = parameters;
  const name = `${memoryPages}-${element ?? "several"}-${tracksRegisters ? "tracked" : "stored"}`;
  return join(root, emitterName(), name);
}

/** Paths of the files in a directory whose name ends so, oldest first; none where there is no such directory. */
export function filesOf(directory: string, ending: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(ending))
      .sort()
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** A name that sorts by time and that no other process takes. */
export function newName(ending: string): string {
  return `${Date.now().toString(36).padStart(9, "0")}-${process.pid}${ending}`;
}

/** Notes that a file was of use, so that it is kept. */
export function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // Somebody removed it, or it is not ours: then others decide what is kept.
  }
}

/** Removes the files that have been of no use for longest, until the rest takes at most so many bytes. */
export function limitSize(root: string, most: number): void {
  let names: string[];
  try {
    names = readdirSync(root, { recursive: true, encoding: "utf8" });
  } catch {
    return;
  }
  const files = names.flatMap((name) => {
    try {
      const status = statSync(join(root, name));
      return status.isFile() ? [{ path: join(root, name), size: status.size, time: status.mtimeMs }] : [];
    } catch {
      return [];
    }
  });
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of files.sort((a, b) => a.time - b.time)) {
    if (total <= most) return;
    rmSync(path, { force: true });
    total -= size;
  }
}
