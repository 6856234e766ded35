// Puts the command, and the programs that it starts, into a few files below dist/bundle: Node.js loads those much sooner
// than hundreds of modules. Plain JavaScript, as it is part of the build.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * What becomes one file each, by its name in the bundle; the code that they share goes to others. Programs that start each
 * other find each other because they have the names here that they have where they were built.
 */
const PROGRAMS = {
  elvisor: "src/node/cli/main.js",
  "compiling-worker": "src/node/compiling-worker.js",
  "pack-process": "src/node/code-cache/pack-process.js",
  "machine-process": "bench/machine-process.js",
};

/** Bundles those of the programs that are built below `dist`. */
export async function bundle(dist) {
  const directory = join(dist, "bundle");
  const programs = Object.entries(PROGRAMS).map(([name, path]) => [name, join(dist, path)]);
  const { metafile } = await build({
    entryPoints: Object.fromEntries(programs.filter(([, path]) => existsSync(path))),
    outdir: directory,
    bundle: true,
    splitting: true,
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node20",
    packages: "external",
    logLevel: "warning",
  });
  const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
  for (const name of readdirSync(directory)) if (!made.has(name)) rmSync(join(directory, name));
}

const here = fileURLToPath(import.meta.url);
if (process.argv[1] === here) await bundle(join(dirname(here), "..", "dist"));
