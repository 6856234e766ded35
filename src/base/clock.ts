/** Ticks a second of the system counter, as on QEMU's `virt` (CNTFRQ_EL0 = 62.5 MHz). */
export const COUNTER_FREQUENCY = 62_500_000;

/** A pending call of {@link Clock.schedule}. */
export interface Alarm {
  cancel(): void;
}

/**
 * The only source of time in a machine: the system counter and everything that waits for it.
 * In deterministic mode it follows the instruction count.
 */
export interface Clock {
  /** Counter ticks since power-on, a non-negative integer below 2^53. */
  ticks(): number;
  /** Ticks a second; {@link COUNTER_FREQUENCY} unless given. */
  readonly frequency?: number;
  /** Nanoseconds since power-on (derived from {@link ticks}). */
  nanoseconds(): number;
  /** Wall-clock seconds since 1970, for real-time clocks. */
  wallSeconds(): number;
  /** Calls `callback` once, between instructions, at or after counter value `atTicks`. */
  schedule(atTicks: number, callback: () => void): Alarm;
}
