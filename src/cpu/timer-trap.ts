import type { Stateful } from "../base/state-fields.ts";

/** Registers of the generic timer that software below EL2 uses, and that CNTHCTL_EL2 can trap (FEAT_ECV included). */
export const TRAPPED_TIMER_REGISTERS = [
  "CNTPCT_EL0",
  "CNTVCT_EL0",
  "CNTP_TVAL_EL0",
  "CNTP_CTL_EL0",
  "CNTP_CVAL_EL0",
  "CNTV_TVAL_EL0",
  "CNTV_CTL_EL0",
  "CNTV_CVAL_EL0",
] as const;
export type TrappedTimerRegister = (typeof TRAPPED_TIMER_REGISTERS)[number];

/**
 * A hypervisor that performs accesses to the counters and timers for the software below it. It is asked once the
 * guest's own controls (CNTKCTL_EL1) have let the access pass.
 */
export interface TimerTrap extends Stateful {
  read(register: TrappedTimerRegister): bigint;
  write(register: TrappedTimerRegister, value: bigint): void;
  /** The element is reset. */
  reset(): void;
}
