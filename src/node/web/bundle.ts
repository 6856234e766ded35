import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { UserError } from "../../base/errors.ts";
import type { StaticFile } from "./static-server.ts";

/** What becomes one file each, of the same name. */
const ENTRY_POINTS = ["page.ts", "worker.ts", "compiling-worker.ts", "page.css"] as const;

/** The page's own files, made from the sources below `root`, by path. */
export async function bundlePage(root: string): Promise<Map<string, StaticFile>> {
  const source = join(root, "src", "browser");
  const html = await readFile(join(source, "index.html")).catch((cause: unknown) => {
    throw new UserError(
      `The page is made from its sources, which are not in ${source}; get elvisor's sources and run "npm run web" there.`,
      { cause },
    );
  });
  const files = new Map<string, StaticFile>([
    ["/", { type: "text/html; charset=utf-8", bytes: new Uint8Array(html) }],
  ]);
  const { outputFiles } = await build({
    entryPoints: ENTRY_POINTS.map((file) => join(source, file)),
    bundle: true,
    write: false,
    minify: true,
    sourcemap: "inline",
    format: "esm",
    target: "es2022",
    outdir: "/",
    logLevel: "error",
  });
  for (const { path, contents } of outputFiles) {
    const type = path.endsWith(".css") ? "text/css" : "text/javascript";
    files.set(path, { type: `${type}; charset=utf-8`, bytes: contents });
  }
  return files;
}
