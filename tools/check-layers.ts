/**
 * Rooms may import only rooms above them (ARCHITECTURE.md). Prints each import that does not, exits 1 then.
 * `node dist/tools/check-layers.js`
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import process from "node:process";

/** From top to bottom. `node` and `browser` never import each other. */
const ROOMS = [
  "base",
  "wasm",
  "isa",
  "memory",
  "mmu",
  "cpu",
  "engine",
  "network",
  "devices",
  "platform",
  "firmware",
  "hypervisor",
  "introspection",
  "state",
  "fault-tolerance",
  "kernel",
  "console",
  "display",
  "machine",
  "node",
  "browser",
];
/** Rooms that may import packages and the host's modules. */
const HOST_ROOMS = new Set(["node", "browser"]);

const source = resolve(process.cwd(), "src");
const problems: string[] = [];

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
  const file = join(entry.parentPath, entry.name);
  const isTest = entry.name.endsWith(".test.ts");
  const room = roomOf(file);
  for (const specifier of importsOf(readFileSync(file, "utf8"))) {
    const problem = judge(file, room, specifier, isTest);
    if (problem !== undefined) problems.push(`${relative(process.cwd(), file)}: ${problem}`);
  }
}

for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`${problems.length} import(s) break the order of rooms: ${ROOMS.join(" > ")}`);
  process.exit(1);
}

function roomOf(file: string): string {
  const [first = ""] = relative(source, file).split("/");
  return first.endsWith(".ts") ? "" : first;
}

function importsOf(text: string): string[] {
  const pattern = /^\s*(?:import|export)\b[^;'"]*?from\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map(([, from, bare]) => from ?? bare ?? "");
}

function judge(file: string, room: string, specifier: string, isTest: boolean): string | undefined {
  if (!specifier.startsWith(".")) {
    if (isTest || HOST_ROOMS.has(room)) return undefined;
    return `the core imports no package or host module, but this imports "${specifier}"`;
  }
  const target = resolve(dirname(file), specifier);
  if (!target.startsWith(`${source}/`)) {
    return isTest ? undefined : `imports "${specifier}", which is outside of src`;
  }
  const other = roomOf(target);
  if (isTest || room === "" || room === other) return undefined;
  if (room === "browser" && other === "node") return "browser may not import node";
  const [from, to] = [ROOMS.indexOf(room), ROOMS.indexOf(other)];
  if (from < 0) return `is in a room that tools/check-layers.ts does not know: ${room}`;
  return to >= 0 && to < from ? undefined : `${room} may not import ${other}, which is below it`;
}
