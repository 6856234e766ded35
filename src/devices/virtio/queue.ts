import type { VirtioBuffer } from "./buffer.ts";
import type { Ring } from "./ring.ts";

/**
 * A live virtqueue. It dies with a reset, or when the driver breaks a rule; then nothing is available, and
 * buffers that come back late are dropped without touching guest memory.
 */
export class VirtQueue {
  readonly #ring: Ring;
  readonly #size: number;
  readonly #interrupt: () => void;
  readonly #fail: (reason: string) => void;
  #live = true;
  /** Buffers that the device has, the oldest first; where they were taken from, and as how many. */
  readonly #held = new Map<VirtioBuffer, { readonly position: number; readonly sequence: number }>();
  #taken = 0;
  /** Buffers that may still be taken while the queue is served. */
  #left = Number.POSITIVE_INFINITY;

  /**
   * `size` counts the ring's descriptors; `interrupt` raises the transport's used-buffer interrupt; `fail` stops the
   * device, since the driver broke a rule.
   */
  constructor(ring: Ring, size: number, interrupt: () => void, fail: (reason: string) => void) {
    this.#ring = ring;
    this.#size = size;
    this.#interrupt = interrupt;
    this.#fail = fail;
  }

  get isLive(): boolean {
    return this.#live;
  }

  /** The next buffer, or undefined for now; the driver's next buffer then comes with a notification. */
  take(): VirtioBuffer | undefined {
    if (!this.#live) return undefined;
    const { position } = this.#ring;
    const buffer = this.#ring.take();
    if (buffer !== undefined) return this.#count(buffer, position);
    if (!this.#live || !this.#ring.arm() || !this.#live) return undefined;
    return this.#count(this.#ring.take(), position);
  }

  /**
   * Runs `work`, which the driver asked for. No driver runs meanwhile, so there are no more buffers than the ring has
   * places, unless one makes the device write over the ring: then there might be no end.
   */
  serve(work: () => void): void {
    this.#left = this.#size;
    work();
    this.#left = Number.POSITIVE_INFINITY;
  }

  /** Gives a buffer back. {@link announce} must follow, after one or several. */
  give(buffer: VirtioBuffer, written: number): void {
    this.#held.delete(buffer);
    if (this.#live) this.#ring.give(buffer, written);
  }

  /** Interrupts the driver if it wants to hear of what was given back. */
  announce(): void {
    if (this.#live && this.#ring.wantsInterrupt()) this.#interrupt();
  }

  #count(buffer: VirtioBuffer | undefined, position: number): VirtioBuffer | undefined {
    if (buffer !== undefined) this.#held.set(buffer, { position, sequence: this.#taken++ });
    if (buffer === undefined || this.#left-- > 0) return buffer;
    this.#fail("ring that changes while it is served");
    return undefined;
  }

  state(): readonly number[] {
    return this.#live ? this.#ring.state() : [];
  }

  /**
   * What a stream keeps: buffers that the device has taken for later are to be taken again. Undefined while some are
   * used that came before others, which have been given back.
   */
  stateToKeep(): readonly number[] | undefined {
    const [first] = this.#held.values();
    if (first === undefined || !this.#live) return this.#ring.state();
    return this.#taken - first.sequence === this.#held.size ? this.#ring.stateAt(first.position) : undefined;
  }

  /** Goes on from what {@link stateToKeep} gave. */
  restore(state: readonly number[]): void {
    this.#ring.restore(state);
  }

  kill(): void {
    this.#live = false;
  }
}
