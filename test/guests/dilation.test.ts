import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";

/**
 * A guest on a computer that gives it a fiftieth of its time (row H3): by its own clock a kernel finds itself stuck, by
 * one that runs a fiftieth as fast it does not. It takes about twenty minutes, nearly all of them waiting.
 */

const FULL = process.env["ELVISOR_FULL"] === "1";
const MAIN = resolve("dist/src/node/cli/main.js");
const LIMIT = 3_600_000;
const SHARE = 1 / 50;
/** Milliseconds between two times at which it may run, and of those at which it does. */
const PERIOD = 500;
const RUNS = PERIOD * SHARE;
/** Milliseconds of a tick in /proc/PID/stat. */
const STAT_TICK = 10;

/** Processor time of a process in milliseconds, of all its threads; undefined where it has ended. */
function processorTime(process: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${process}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) * STAT_TICK;
  } catch {
    return undefined;
  }
}

/** What the kernel's log says when a guest has started with so much of the processor and this scale. */
async function bootSlowly(scale: number): Promise<string> {
  const words = ["run", "--net", "none", "--time-scale", `${scale}`, "--exec", "dmesg"];
  const child = spawn(process.execPath, [MAIN, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let status: number | null | undefined;
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  child.on("exit", (code) => {
    status = code;
  });
  const began = Date.now();
  const isAhead = () => (processorTime(child.pid!) ?? 0) > (Date.now() - began) * SHARE + STAT_TICK;
  try {
    while (status === undefined) {
      child.kill("SIGCONT");
      await delay(RUNS);
      child.kill("SIGSTOP");
      do await delay(PERIOD - RUNS);
      while (status === undefined && isAhead());
    }
  } finally {
    child.kill("SIGKILL");
  }
  expect(status).toBe(0);
  return text;
}

const STUCK = /soft lockup|detected stalls|self-detected stall|blocked for more than/;

test.runIf(FULL)(
  "a kernel on a slow computer is stuck by its computer's clock, and not by a slower one",
  async () => {
    const [usual, slow] = await Promise.all([bootSlowly(1), bootSlowly(SHARE)]);
    for (const log of [usual, slow]) expect(log).toMatch(/Run \/init as init process/);
    expect(usual).toMatch(STUCK);
    expect(slow).not.toMatch(STUCK);
  },
  LIMIT,
);
