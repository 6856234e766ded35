/** Bytes on their way to the terminal at which the machine waits. */
const MOST_UNSHOWN = 256 * 1024;

/** Passes output on, and makes the guest wait while the terminal is behind. */
export class PacedOutput {
  readonly #pass: (bytes: Uint8Array) => void;
  #unshown = 0;
  #resume: (() => void) | undefined;
  #pause: Promise<void> | undefined;

  constructor(pass: (bytes: Uint8Array) => void) {
    this.#pass = pass;
  }

  /** The promise, where there is one, resolves when there may be more. */
  write(bytes: Uint8Array): void | Promise<void> {
    this.#unshown += bytes.length;
    this.#pass(bytes);
    if (this.#unshown <= MOST_UNSHOWN) return undefined;
    this.#pause ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
    return this.#pause;
  }

  /** The terminal has shown `count` more bytes. */
  shown(count: number): void {
    this.#unshown -= count;
    if (this.#unshown > MOST_UNSHOWN) return;
    this.#resume?.();
    this.#pause = undefined;
    this.#resume = undefined;
  }
}
