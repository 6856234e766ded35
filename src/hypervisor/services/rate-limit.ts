/** Calls that a machine may make in a second, and at once. */
const CALLS_PER_SECOND = 100_000;
const BURST = 10_000;

/** Keeps a guest that calls without end from taking the host's time: a bucket of calls that time fills. */
export class RateLimit {
  readonly #seconds: () => number;
  #filled: number;
  #calls = BURST;

  /** `seconds`: any clock that goes forward. */
  constructor(seconds: () => number) {
    this.#seconds = seconds;
    this.#filled = seconds();
  }

  /** True when a call may be served now. */
  take(): boolean {
    if (this.#calls < 1) {
      const now = this.#seconds();
      this.#calls = Math.min(BURST, this.#calls + (now - this.#filled) * CALLS_PER_SECOND);
      this.#filled = now;
    }
    if (this.#calls < 1) return false;
    this.#calls--;
    return true;
  }
}
