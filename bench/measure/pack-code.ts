import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds to wait for the process that a machine started itself. */
const PATIENCE = 120_000;
const INTERVAL = 500;

/**
 * Has the code that machines noted below `cache` packed before the build that they ran from is removed: the processes that
 * they started for that run from the same build. `machineProcess`: the path of the program that ran them.
 */
export async function packNotedCode(cache: string, machineProcess: string): Promise<void> {
  const program = join(dirname(machineProcess), "pack-process.js");
  for (const end = Date.now() + PATIENCE; Date.now() < end; await delay(INTERVAL)) {
    const directories = directoriesWithNotes(cache);
    if (directories.length === 0) return;
    for (const directory of directories)
      spawnSync(process.execPath, [program, directory], { stdio: "ignore" });
  }
}

function directoriesWithNotes(cache: string): string[] {
  if (!existsSync(cache)) return [];
  const files = readdirSync(cache, { recursive: true, encoding: "utf8" });
  const noted = files.filter((file) => file.endsWith(".notes"));
  return [...new Set(noted.map((file) => join(cache, dirname(file))))];
}
