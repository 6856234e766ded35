import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bundleProgram } from "../../test/support/bundle.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";
import { tryLock } from "./file-lock.ts";

const lockPath = () => join(temporaryDirectory(), "lock");

describe("tryLock()", () => {
  test("gives a lock once, and again after its release, and leaves nothing", () => {
    const path = lockPath();
    const first = tryLock(path);
    expect(tryLock(path)).toEqual({ heldBy: process.pid });
    if ("release" in first) first.release();
    const second = tryLock(path);
    expect(second).toHaveProperty("release");
    if ("release" in second) second.release();
    expect(readdirSync(join(path, ".."))).toEqual([]);
  });

  test("takes over from a process that was killed", () => {
    const path = lockPath();
    const program = bundleProgram(
      `import { tryLock } from "./src/node/file-lock.ts";
       console.log(JSON.stringify(tryLock(process.argv[2])));
       process.kill(process.pid, "SIGKILL");`,
      temporaryDirectory(),
      "lock",
    );
    for (let round = 0; round < 3; round++) {
      expect(spawnSync(process.execPath, [program, path]).stdout.toString()).toBe(
        `{"takenOver":${round > 0}}\n`,
      );
    }
    expect(tryLock(path)).toHaveProperty("release");
  });

  test("tells a living process from an earlier one with its number", () => {
    const path = lockPath();
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: "1", host: hostname() }));
    expect(tryLock(path)).toHaveProperty("release");
  });

  test("takes over what is no lock, and believes in locks of other hosts", () => {
    const path = lockPath();
    writeFileSync(path, "half a lo");
    const lock = tryLock(path);
    expect(lock).toHaveProperty("release");
    const other = lockPath();
    writeFileSync(other, JSON.stringify({ pid: 7, started: "", host: `not-${hostname()}` }));
    expect(tryLock(other)).toEqual({ heldBy: 7 });
  });
});
