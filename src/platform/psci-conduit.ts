import type { PsciConduit } from "./platform-spec.ts";

/** The exception levels a machine can start software at. */
export type BootLevel = 1 | 2 | 3;

/** Which of the optional exception levels exist. */
export interface ExceptionLevels {
  /** EL3. */
  readonly secure: boolean;
  /** EL2. */
  readonly virtualization: boolean;
}

/** The highest exception level of a machine: where firmware and bare programs start. */
export function highestLevel({ secure, virtualization }: ExceptionLevels): BootLevel {
  if (secure) return 3;
  return virtualization ? 2 : 1;
}

/** Where a Linux kernel starts: always Non-secure. */
export function kernelLevel({ virtualization }: ExceptionLevels): BootLevel {
  return virtualization ? 2 : 1;
}

/**
 * How software started at `startLevel` reaches the machine's built-in PSCI. The machine stands in for
 * firmware above that software, so there is none when the software owns the level the conduit leads to,
 * nor when flash firmware brings its own at EL3.
 */
export function psciConduit(levels: ExceptionLevels, startLevel: BootLevel): PsciConduit {
  if (startLevel === 3) return "none";
  return levels.virtualization ? "smc" : "hvc";
}
