/** Requests of at most this many bytes may be done at once. */
const QUICK_BYTES = 256 << 10;
/** Milliseconds that a request may take to count as quick: the host had it in memory. */
const QUICK = 0.5;
/** Most requests that leave the machine running after a slow one, before we try again. */
const MOST_CAUTION = 64;

/**
 * Decides which of a host's files' requests are done at once and which are handed to another thread. What the host
 * has in memory comes at once for a tenth of what handing over costs; when that proves to be slow, the guest had
 * better go on meanwhile. On a busy host a request may be slow because other programs had their turn: only where
 * slow ones come one after the other are there soon many between two that are tried.
 */
export class Pace {
  /** Requests to hand over before the next is tried at once. */
  #waiting = 0;
  /** The same after the next slow one. */
  #caution = 1;

  isQuick(length: number): boolean {
    if (length > QUICK_BYTES) return false;
    if (this.#waiting === 0) return true;
    this.#waiting--;
    return false;
  }

  /** After a request that was done at once, began at `began` and ended at `ended` (performance.now()). */
  judge(began: number, ended: number = performance.now()): void {
    if (ended - began > QUICK) {
      this.#waiting = this.#caution;
      this.#caution = Math.min(2 * this.#caution, MOST_CAUTION);
    } else this.#caution = Math.max(1, this.#caution >> 1);
  }
}
