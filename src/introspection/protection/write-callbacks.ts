import type { MonitoredWrite } from "./monitor.ts";

/** Writes that wait for their listener; further ones are only counted. */
const MOST_WAITING = 1024;

/** Hears of writes in batches, between two bursts of the machine. While its promise is pending, it hears of no more. */
export type WriteListener = (writes: readonly MonitoredWrite[], dropped: number) => void | Promise<void>;

/** Brings writes with the action "callback" to a listener of the host's. Nothing waits for it, and nothing piles up. */
export class WriteCallbacks {
  #listener: WriteListener | undefined;
  #waiting: MonitoredWrite[] = [];
  #dropped = 0;
  #isBusy = false;

  /** Nobody hears of what came before. */
  listen(listener: WriteListener | undefined): void {
    this.#listener = listener;
    this.#waiting = [];
    this.#dropped = 0;
  }

  add(write: MonitoredWrite): void {
    if (this.#listener === undefined) return;
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(write);
    else this.#dropped += write.count;
  }

  /** Tells the listener what has come, unless it still has work. What it throws is its own. */
  deliver(): void {
    if (this.#isBusy || this.#listener === undefined || this.#waiting.length === 0) return;
    const [writes, dropped] = [this.#waiting, this.#dropped];
    this.#waiting = [];
    this.#dropped = 0;
    this.#isBusy = true;
    const listener = this.#listener;
    void (async () => {
      try {
        await listener(writes, dropped);
      } catch {
        // A listener that fails must not end the machine.
      } finally {
        this.#isBusy = false;
      }
    })();
  }
}
