import type { HostTime } from "../machine/host-time.ts";

/**
 * A browser's clocks and event loop, for a worker. A browser makes a timer that is set by a timer's own
 * callback wait for at least 4 ms; messages have no such limit, nor have timers set while handling one.
 */
export class BrowserTime implements HostTime {
  readonly #channel = new MessageChannel();
  readonly #waiting: (() => void)[] = [];

  constructor() {
    this.#channel.port1.onmessage = () => this.#waiting.shift()?.();
  }

  now(): number {
    return performance.now();
  }

  wallSeconds(): number {
    return Date.now() / 1000;
  }

  breathe(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#channel.port2.postMessage(undefined);
    });
  }

  sleep(milliseconds: number): { readonly over: Promise<void>; wake(): void } {
    const end = this.now() + milliseconds;
    let wake = (): void => {};
    const over = new Promise<void>((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      let isAwake = false;
      wake = () => {
        isAwake = true;
        clearTimeout(timer);
        resolve();
      };
      void this.breathe().then(() => {
        if (!isAwake) timer = setTimeout(resolve, Math.max(0, end - this.now()));
      });
    });
    return { over, wake };
  }

  /** Ends the use of this object. */
  close(): void {
    this.#channel.port1.close();
  }
}
