import { readdirSync } from "node:fs";
import { availableParallelism, constants, getPriority, setPriority } from "node:os";
import { UserError } from "../base/errors.ts";

/** Changes {@link BACKGROUND_NICENESS}; 0: no difference. */
const VARIABLE = "ELVISOR_COMPILER_NICENESS";

/**
 * How much nicer threads are that compile than the one that runs guests. Where both want a processor, the guest's had to
 * wait for 1.0 of the 6.7 seconds of a boot, which took 6.3 with this; python3 took 5.8 instead of 7.3 seconds, gcc 12.4
 * instead of 14.2 (means of three and two runs by hand, alternating, on two processors; the work of `npm run bench`).
 */
const BACKGROUND_NICENESS = 10;

/**
 * Has all threads of this process but the first, V8's compilers among them, stand back behind it. For processes that are
 * a machine and nothing else, once the machine is made. Only Linux has priorities of threads; with one processor the
 * compilers would hardly ever run.
 */
export function lowerBackgroundThreads(environment: Readonly<Record<string, string | undefined>>): void {
  const niceness = nicenessOf(environment);
  if (niceness === 0 || process.platform !== "linux" || availableParallelism() < 2) return;
  for (const thread of threads()) if (thread !== process.pid) lower(thread, niceness);
}

function nicenessOf(environment: Readonly<Record<string, string | undefined>>): number {
  const text = environment[VARIABLE];
  if (text === undefined || text === "") return BACKGROUND_NICENESS;
  if (!/^1?\d$/.test(text)) {
    throw new UserError(`${VARIABLE} is ${JSON.stringify(text)}; it must be a whole number from 0 to 19.`);
  }
  return Number(text);
}

function threads(): number[] {
  try {
    return readdirSync("/proc/self/task").map(Number);
  } catch {
    return [];
  }
}

function lower(thread: number, niceness: number): void {
  try {
    setPriority(thread, Math.min(getPriority(process.pid) + niceness, constants.priority.PRIORITY_LOW));
  } catch {
    // It has ended, or is not ours to change: then it stays as it is.
  }
}
