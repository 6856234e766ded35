import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatWithOptions } from "node:util";
import { transformSync } from "esbuild";
import { expect, test } from "vitest";
import * as elvisor from "../../src/node/index.ts";

const LIMIT = 600_000;

/** A program in a document, and what it should write. */
interface Example {
  readonly title: string;
  readonly program: string;
  readonly output: string | undefined;
}

function examplesIn(document: string): Example[] {
  const text = readFileSync(join(import.meta.dirname, "..", "..", document), "utf8");
  const pattern = /```ts\n(.*?)```\n(?:\n```text\n(.*?)```)?/gs;
  return [...text.matchAll(pattern)].map(([, program = "", output], index) => ({
    title: `${document}, program ${index + 1}`,
    program,
    output,
  }));
}

/** Runs a program as a module would, and returns what it wrote. */
async function run(program: string): Promise<string> {
  let written = "";
  const write = (piece: string | Uint8Array): boolean => {
    written += typeof piece === "string" ? piece : Buffer.from(piece).toString();
    return true;
  };
  const log = (...values: readonly unknown[]): void => {
    write(`${formatWithOptions({ colors: false }, ...values)}\n`);
  };
  const load = (name: string): Promise<unknown> =>
    name === "elvisor" ? Promise.resolve(elvisor) : import(/* @vite-ignore */ name);
  const { code } = transformSync(program, { loader: "ts", target: "node20", format: "esm" });
  const body = code.replaceAll(/^import (\{.*?\}) from (".*?");$/gm, "const $1 = await load($2);");
  const parameters = ["load", "console", "process"];
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor; // the constructor has no name
  await new AsyncFunction(...parameters, body)(load, { log }, { stdout: { write } });
  return written;
}

const README = examplesIn("README.md").filter(({ program }) => program.includes('from "elvisor"'));

test("README.md's program runs", { timeout: LIMIT }, async () => {
  expect(README).toHaveLength(1);
  expect(await run(README[0]!.program)).toBe("1\n2\n3\n");
});

test.each(examplesIn("docs/api.md"))("$title", { timeout: LIMIT }, async ({ program, output }) => {
  expect(await run(program)).toBe(output);
});
