import type { VirtioBuffer } from "./buffer.ts";
import type { Ring } from "./ring.ts";

/**
 * A live virtqueue. It dies with a reset, or when the driver breaks a rule; then nothing is available, and
 * buffers that come back late are dropped without touching guest memory.
 */
export class VirtQueue {
  readonly #ring: Ring;
  readonly #interrupt: () => void;
  #live = true;

  /** `interrupt` raises the transport's used-buffer interrupt. */
  constructor(ring: Ring, interrupt: () => void) {
    this.#ring = ring;
    this.#interrupt = interrupt;
  }

  get isLive(): boolean {
    return this.#live;
  }

  /** The next buffer, or undefined for now; the driver's next buffer then comes with a notification. */
  take(): VirtioBuffer | undefined {
    if (!this.#live) return undefined;
    const buffer = this.#ring.take();
    if (buffer !== undefined || !this.#live) return buffer;
    return this.#ring.arm() && this.#live ? this.#ring.take() : undefined;
  }

  /** Gives a buffer back. {@link announce} must follow, after one or several. */
  give(buffer: VirtioBuffer, written: number): void {
    if (this.#live) this.#ring.give(buffer, written);
  }

  /** Interrupts the driver if it wants to hear of what was given back. */
  announce(): void {
    if (this.#live && this.#ring.wantsInterrupt()) this.#interrupt();
  }

  kill(): void {
    this.#live = false;
  }
}
