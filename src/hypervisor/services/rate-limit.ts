/** Calls that a machine may make in a second, and at once. */
export const CALL_LIMITS = { perSecond: 100_000, burst: 10_000 } as const;

/** Keeps a guest that calls without end from taking the host's time: a bucket of calls that time fills. */
export class RateLimit {
  readonly #seconds: () => number;
  #filled: number;
  #calls: number = CALL_LIMITS.burst;

  /** `seconds`: any clock that goes forward. */
  constructor(seconds: () => number) {
    this.#seconds = seconds;
    this.#filled = seconds();
  }

  /** True when a call may be served now. */
  take(): boolean {
    if (this.#calls < 1) {
      const now = this.#seconds();
      this.#calls = Math.min(CALL_LIMITS.burst, this.#calls + (now - this.#filled) * CALL_LIMITS.perSecond);
      this.#filled = now;
    }
    if (this.#calls < 1) return false;
    this.#calls--;
    return true;
  }
}
