import { spawn } from "node:child_process";
import type { Random } from "./random.ts";

export interface KilledProcess {
  /** For messages. */
  readonly name: string;
  /** For Node. */
  readonly words: readonly string[];
  /** On standard output when the time begins after which it is killed. */
  readonly ready: RegExp;
  /** Milliseconds, below which that time is chosen. */
  readonly longest: number;
}

/**
 * Runs a process that says numbers, one a line, and kills it at a random moment. Returns the last number that it
 * said whole (NaN where it said none) and what was on its standard error.
 */
export async function runUntilKilled(
  { name, words, ready, longest }: KilledProcess,
  random: Random,
): Promise<{ said: number; errors: string }> {
  const child = spawn(process.execPath, words);
  let output = "";
  let errors = "";
  child.stderr.on("data", (bytes) => {
    errors += bytes;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await new Promise<void>((resolve, reject) => {
    const early = (): void => reject(new Error(`${name} ended by itself: ${output}${errors}`));
    child.once("close", early);
    child.stdout.on("data", (bytes) => {
      output += bytes;
      if (!ready.test(output)) return;
      child.off("close", early);
      resolve();
    });
  });
  await new Promise((resolve) => setTimeout(resolve, random.below(longest)));
  child.kill("SIGKILL");
  await ended;
  return { said: Number(/(\d+)\n[^\n]*$/.exec(output)?.[1]), errors };
}
