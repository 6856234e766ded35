/**
 * No source file has more than LIMIT lines, tables excepted. Prints each that does, exits 1 then.
 * `node dist/tools/check-sizes.js`
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";

const LIMIT = 500;
const FOLDERS = ["src", "test", "tools", "bench"] as const;
/** Files that are lists of like rows, where every line is a fact. */
const TABLES: ReadonlySet<string> = new Set(["test/system/exception-cases.ts"]);

const root = process.cwd();
const problems: string[] = [];
for (const folder of FOLDERS) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    const lines = readFileSync(path, "utf8").split("\n").length - 1;
    if (lines > LIMIT && !TABLES.has(name)) problems.push(`${name}: ${lines} lines`);
  }
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} file(s) have more than ${LIMIT} lines; divide them by ideas`);
  process.exit(1);
}
