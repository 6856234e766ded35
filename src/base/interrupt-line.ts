/** One wire to an interrupt controller. */
export interface InterruptLine {
  set(level: boolean): void;
}
