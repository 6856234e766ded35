import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bug } from "../src/base/errors.ts";

/** The repository, whether this file runs from `bench/` or from where it was built to. */
export const ROOT: string = findRoot();
/** C sources and results. */
export const BENCH: string = join(ROOT, "bench");
/** The built package. */
export const DIST: string = join(ROOT, "dist");
/** What was compiled, from one run to the next. */
export const BUILD: string = join(ROOT, ".cache", "bench");

function findRoot(): string {
  for (let directory = dirname(fileURLToPath(import.meta.url)); ; directory = dirname(directory)) {
    if (existsSync(join(directory, "bench", "kernels"))) return directory;
    if (directory === dirname(directory)) throw new Bug("the benchmark lies outside of its repository");
  }
}
