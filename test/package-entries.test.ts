import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const manifest: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** Every text in the manifest that names something built. */
function builtFiles(value: unknown): string[] {
  if (typeof value === "string") return /^(\.\/)?dist\/.+\./.test(value) ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(builtFiles) : [];
}

test("what package.json offers has a source", () => {
  const files = builtFiles(manifest);
  expect(files.length).toBeGreaterThan(4);
  const sourceOf = (file: string) => file.replace(/^(\.\/)?dist\//, "").replace(/\.(d\.ts|js)$/, ".ts");
  expect(files.filter((file) => !existsSync(join(root, sourceOf(file))))).toEqual([]);
});

/** The rooms of everything that a source file imports, directly or not. */
function roomsOf(entry: string): Set<string> {
  const seen = new Set<string>();
  const pending = [entry];
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const imports = readFileSync(file, "utf8").matchAll(
      /^(?:import|export) (?!type )[^;]*?from "(\.[^"]+)"/gms,
    );
    for (const [, target] of imports) pending.push(join(dirname(file), target!));
  }
  return new Set([...seen].map((file) => relative(join(root, "src"), file).split("/").slice(0, -1)[0] ?? ""));
}

test("the converter imports nothing of the machine", () => {
  expect([...roomsOf(join(root, "src/acpi.ts"))].toSorted()).toEqual(["", "base", "platform"]);
});
