import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
