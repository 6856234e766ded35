import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { referenceFiles } from "../tools/reference/pages.ts";

const folder = fileURLToPath(new URL("../docs/reference", import.meta.url));
const files = referenceFiles();

test("docs/reference has the files that the generator writes", () => {
  expect(readdirSync(folder).toSorted(), "run `npm run docs`").toEqual([...files.keys()].toSorted());
});

test.each([...files])("docs/reference/%s is what the sources say", (name, text) => {
  const isCurrent = readFileSync(`${folder}/${name}`, "utf8") === text;
  expect(isCurrent, `docs/reference/${name} differs from the sources: run \`npm run docs\``).toBe(true);
});

test("the generator gives the same text twice", () => {
  expect([...referenceFiles()]).toEqual([...files]);
});
