import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bug } from "../src/base/errors.ts";

/** The repository, whether this file runs from `bench/` or from where it was built to. */
export const ROOT: string = findRoot();
/** C sources and results. */
export const BENCH: string = join(ROOT, "bench");
/** What was compiled, from one run to the next. */
export const BUILD: string = join(ROOT, ".cache", "bench");
/** The program that runs our machine in a process of its own. */
export const MACHINE_PROCESS: string = join(ROOT, "dist", "bench", "machine-process.js");

function findRoot(): string {
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    if (existsSync(join(directory, "bench", "kernels"))) return directory;
    if (directory === dirname(directory)) throw new Bug("the benchmark lies outside of its repository");
  }
}
