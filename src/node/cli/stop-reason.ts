import type { EndingSignal } from "./terminal.ts";

/** Exit statuses of `elvisor`. A command under --exec gives its own. */
export const EXIT_STATUS = {
  success: 0,
  /** A missing or unfit file, or another failure. */
  failure: 1,
  /** An unknown option or a malformed value. */
  usage: 2,
  /** --timeout. */
  timeout: 124,
  /** Under --exec, a failure of ours. */
  execFailure: 125,
} as const;

/** Why we stopped a machine that would have run on. */
export type StopReason = "quit" | "timeout" | "panic" | "closed-output" | EndingSignal;

/** Signals by number; a shell adds 128 to make a status. */
const SIGNAL_STATUS = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, "closed-output": 141, SIGTERM: 143 } as const;

/** The exit status of a stopped run; `failure` stands for our failures (1, or 125 under --exec). */
export function statusOfStop(reason: StopReason, failure: number): number {
  switch (reason) {
    case "quit":
      return EXIT_STATUS.success;
    case "timeout":
      return EXIT_STATUS.timeout;
    case "panic":
      return failure;
    default:
      return SIGNAL_STATUS[reason];
  }
}
