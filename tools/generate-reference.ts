/** Writes docs/reference/ from the tables in the sources. `npm run docs` */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { referenceFiles } from "./reference/pages.ts";

const folder = resolve(process.cwd(), "docs", "reference");
const files = referenceFiles();

mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name), { recursive: true });
for (const [name, text] of files) writeFileSync(join(folder, name), text);
console.error(`docs: ${files.size} files in docs/reference`);
