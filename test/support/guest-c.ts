import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withTemporaryDirectory } from "./temporary-directory.ts";

/** Compiles a C file of this directory for guests. `more`: further arguments, before which libraries come to lie. */
export function compileForGuest(name: string, more: readonly string[] = ["-static"]): Uint8Array {
  return withTemporaryDirectory((directory) => {
    const program = join(directory, "program");
    const source = fileURLToPath(new URL(name, import.meta.url));
    execFileSync("aarch64-linux-gnu-gcc", ["-O1", "-o", program, source, ...more]);
    return readFileSync(program);
  });
}
