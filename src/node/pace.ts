/** Requests of at most this many bytes may be done at once. */
const QUICK_BYTES = 256 << 10;
/** Milliseconds that a request may take to count as quick: the host had it in memory. */
const QUICK = 0.5;
/** After a slow one, this many requests leave the machine running before we try again. */
const CAUTION = 32;

/**
 * Decides which of a host's files' requests are done at once and which are handed to another thread. What the host
 * has in memory comes at once for a tenth of what handing over costs; when that proves to be slow, the guest had
 * better go on meanwhile.
 */
export class Pace {
  /** Requests to hand over before the next is tried at once. */
  #caution = 0;

  isQuick(length: number): boolean {
    if (length > QUICK_BYTES) return false;
    if (this.#caution === 0) return true;
    this.#caution--;
    return false;
  }

  /** After a request that was done at once and began at `began` (performance.now()). */
  judge(began: number): void {
    if (performance.now() - began > QUICK) this.#caution = CAUTION;
  }
}
