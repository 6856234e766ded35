import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BUILD, DIST } from "../paths.ts";

/** A copy of the built machine, so that every run of a measurement is of the same one, whatever is built meanwhile. */
export interface Snapshot {
  /** The program that runs our machine in a process of its own. */
  readonly machineProcess: string;
  remove(): void;
}

/** Below the repository, where the packages are found. */
export function takeSnapshot(): Snapshot {
  mkdirSync(BUILD, { recursive: true });
  const directory = mkdtempSync(join(BUILD, "snapshot-"));
  for (const part of ["src", "bench"]) {
    cpSync(join(DIST, part), join(directory, part), {
      recursive: true,
      filter: (path) => !/\.(map|d\.ts)$/.test(path),
    });
  }
  return {
    machineProcess: join(directory, "bench", "machine-process.js"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
