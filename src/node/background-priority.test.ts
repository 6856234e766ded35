import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { UserError } from "../base/errors.ts";
import { lowerBackgroundThreads } from "./background-priority.ts";

const MODULE = new URL("../../dist/src/node/background-priority.js", import.meta.url).href;

/** Niceness of a new process's first thread, and of its others, after its other threads were lowered. */
function priorities(environment: Record<string, string>): { first: number; others: number[] } {
  const program = `
    import { readdirSync } from "node:fs";
    import { getPriority } from "node:os";
    import { lowerBackgroundThreads } from ${JSON.stringify(MODULE)};
    lowerBackgroundThreads(process.env);
    const others = readdirSync("/proc/self/task").map(Number).filter((thread) => thread !== process.pid);
    console.log(JSON.stringify({ first: getPriority(process.pid), others: others.map((thread) => getPriority(thread)) }));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", program], {
    env: { ...process.env, ...environment },
    encoding: "utf8",
  });
  return JSON.parse(stdout);
}

const HAS_PRIORITIES = process.platform === "linux" && availableParallelism() > 1;

test.runIf(HAS_PRIORITIES)("other threads stand back behind the first", () => {
  const { first, others } = priorities({ ELVISOR_COMPILER_NICENESS: "" });
  expect(others.length).toBeGreaterThan(1);
  for (const niceness of others) expect(niceness).toBe(Math.min(first + 10, 19));
});

test.runIf(HAS_PRIORITIES)("and are left alone where the environment says so", () => {
  const { first, others } = priorities({ ELVISOR_COMPILER_NICENESS: "0" });
  for (const niceness of others) expect(niceness).toBe(first);
});

test.each(["20", "-1", "high"])("a niceness of %j is refused", (text) => {
  expect(() => lowerBackgroundThreads({ ELVISOR_COMPILER_NICENESS: text })).toThrow(UserError);
});
