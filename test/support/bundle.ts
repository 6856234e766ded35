import { join } from "node:path";
import { buildSync } from "esbuild";

/** Makes one JavaScript file of a TypeScript program, so that a test can start it as a process of its own. */
export function bundleProgram(source: string, directory: string, name: string): string {
  const outfile = join(directory, `${name}.mjs`);
  buildSync({
    stdin: { contents: source, resolveDir: join(import.meta.dirname, "..", ".."), loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    outfile,
    // Packages stay what they are; found from where the tests run.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    logLevel: "error",
  });
  return outfile;
}
