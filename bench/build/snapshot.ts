import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { BUILD, DIST } from "../paths.ts";

/**
 * A copy of the bundle that `npm start` runs, too, so that every run of a measurement is of the same one, whatever is built
 * meanwhile.
 */
export interface Snapshot {
  /** The program that runs our machine in a process of its own. */
  readonly machineProcess: string;
  remove(): void;
}

/** Below the repository, where the packages are found. */
export function takeSnapshot(): Snapshot {
  mkdirSync(BUILD, { recursive: true });
  const directory = mkdtempSync(join(BUILD, "snapshot-"));
  cpSync(join(DIST, "bundle"), directory, { recursive: true });
  return {
    machineProcess: join(directory, "machine-process.js"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
