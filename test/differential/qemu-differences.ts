import type { StepDifference } from "../support/compare-steps.ts";

/** A case in which we follow the manual (DDI 0487) and QEMU 7.2 does not. */
export interface QemuDifference {
  readonly reason: string;
  readonly manual: string;
  readonly explains: (difference: StepDifference) => boolean;
}

/** None is known for instructions that Armv8.0 to Armv8.2 processors have. */
export const QEMU_DIFFERENCES: readonly QemuDifference[] = [];
