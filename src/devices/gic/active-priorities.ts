import { IDLE_PRIORITY, PRIORITY_BITS } from "./constants.ts";

/**
 * Active-priority words (ICC_AP*R0, ICH_AP*R0): bit n says that an interrupt of group priority
 * n * 2^(8 - PRIORITY_BITS) is active. With five bits one word per group holds them all.
 */

/** Index of the lowest set bit, 32 when there is none. */
export function lowestBit(word: number): number {
  return word === 0 ? 32 : 31 - Math.clz32(word & -word);
}

/** The running priority that the lowest set bit of an active-priority word means. */
export function runningPriority(word: number): number {
  return word === 0 ? IDLE_PRIORITY : lowestBit(word) << (8 - PRIORITY_BITS);
}

/** The bit to set when an interrupt of group priority `priority` becomes active. */
export function activePriorityBit(priority: number): number {
  return 1 << (priority >>> (8 - PRIORITY_BITS));
}

/** The priority bits that a binary point leaves for preemption; `point` is that of Group 0 or Secure Group 1. */
export function groupPriorityMask(point: number): number {
  return (0xff << (point + 1)) & 0xff;
}
