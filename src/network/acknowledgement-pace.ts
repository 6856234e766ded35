/** Milliseconds within which an answer counts as quick. */
const QUICK = 4;
/** Quick answers in a row before the next is waited for: at first, and at most after answers that did not come. */
const FIRST_TRUST = 3;
const MOST_TRUST = 1024;

/**
 * Decides whether the acknowledgement of a small segment may wait for a moment, so that the answer of a program on the
 * other side carries it (RFC 1122, section 4.2.3.2). Each segment that the guest is spared saves it an interrupt. Only
 * a guest that has been answered quickly is made to wait, and the less the more often that was in vain: it may be one
 * that sends nothing more before it is acknowledged.
 */
export class AcknowledgementPace {
  /** When the last segment with a payload came; none that has not been answered: undefined. */
  #heardAt: number | undefined;
  #quickAnswers = 0;
  #trust = FIRST_TRUST;

  /** A segment has come at `now` (milliseconds). True when its acknowledgement may wait. */
  heard(now: number): boolean {
    this.#heardAt = now;
    return this.#quickAnswers >= this.#trust;
  }

  /** The other side has sent something. */
  answered(now: number): void {
    if (this.#heardAt === undefined) return;
    const quick = now - this.#heardAt <= QUICK;
    this.#heardAt = undefined;
    this.#quickAnswers = quick ? this.#quickAnswers + 1 : 0;
    if (this.#quickAnswers < 2 * this.#trust) return;
    this.#trust = Math.max(FIRST_TRUST, this.#trust >> 1);
    this.#quickAnswers = this.#trust;
  }

  /** Nothing came in time. */
  waitedInVain(): void {
    this.#quickAnswers = 0;
    this.#trust = Math.min(this.#trust * 2, MOST_TRUST);
  }
}
