import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";

/** What `npm start` runs. */
const PROGRAM = resolve("dist/bundle/elvisor.js");
/** Milliseconds in which a process of low priority packs the code of a boot on a busy host. */
const PATIENCE = 300_000;

const folder = mkdtempSync(join(tmpdir(), "elvisor-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function elvisor(...words: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...words], {
    encoding: "utf8",
    input: "",
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

/** Boots with the code that is kept in the folder; answers with the machine's counters. */
function boot(): Record<string, unknown> {
  const stats = join(folder, "stats.json");
  const kept = ["--code-cache", join(folder, "code"), "--stats", stats];
  expect(elvisor("run", ...kept, "--exec", "uname -m")).toBe("aarch64\n");
  return JSON.parse(readFileSync(stats, "utf8"));
}

test("the bundle has the version of the package", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  expect(elvisor("--version")).toBe(`${version}\n`);
});

test("the bundle's programs find each other: one compiles, one keeps code for the next machine", {
  timeout: PATIENCE * 2,
}, async () => {
  const first = boot();
  expect(first).toMatchObject({ codeCacheHits: 0, codeCacheRefused: 0 });
  // Without its other thread a machine compiles by itself, and says so.
  expect(first["regionsCompiled"]).toBe("background");
  expect(first["regions"]).toBeGreaterThan(0);
  const isPacked = () =>
    readdirSync(folder, { recursive: true, encoding: "utf8" }).some((file) => file.endsWith(".pack"));
  for (const end = Date.now() + PATIENCE; !isPacked() && Date.now() < end; ) await delay(500);
  const second = boot();
  expect(second).toMatchObject({ codeCacheRefused: 0 });
  expect(second["codeCacheHits"]).toBeGreaterThan(0);
});
