import { concatenate } from "../base/bytes.ts";
import { bytesField, type StateField } from "../base/state-fields.ts";

/** Bytes on their way that a state stream carries; senders keep less under way. */
const MOST_RESTORED = 1 << 24;

/**
 * Bytes on their way into a device, with back-pressure: the promise of each {@link receive} resolves when the
 * device has taken the last of its bytes. The device takes bytes when it has room.
 */
export class InputQueue {
  readonly #chunks: { bytes: Uint8Array; taken: number; done: () => void }[] = [];
  readonly #arrived: () => void;

  /** `arrived` is called when bytes have come; it may take them at once. */
  constructor(arrived: () => void) {
    this.#arrived = arrived;
  }

  /** True when there is nothing to take. */
  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  receive(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#chunks.push({ bytes: bytes.slice(), taken: 0, done: resolve });
      this.#arrived();
    });
  }

  /** The next byte, or undefined. */
  takeByte(): number | undefined {
    const chunk = this.#chunks[0];
    return chunk === undefined ? undefined : this.take(1)[0];
  }

  /** Up to `limit` bytes; fewer when there are no more. */
  take(limit: number): Uint8Array {
    const first = this.#chunks[0];
    if (first === undefined || limit <= 0) return new Uint8Array(0);
    const whole = first.bytes.subarray(first.taken, first.taken + limit);
    this.#advance(whole.length);
    if (whole.length === limit || this.isEmpty) return whole;
    const rest = this.take(limit - whole.length);
    const joined = new Uint8Array(whole.length + rest.length);
    joined.set(whole);
    joined.set(rest, whole.length);
    return joined;
  }

  /** What is on its way. Restored bytes are taken when the device next looks. */
  stateField(): StateField {
    return bytesField(
      "input",
      MOST_RESTORED,
      () =>
        concatenate(this.#chunks.map(({ bytes, taken }) => bytes.subarray(taken))).subarray(0, MOST_RESTORED),
      (bytes) => {
        this.clear();
        if (bytes.length > 0) this.#chunks.push({ bytes, taken: 0, done: () => {} });
      },
    );
  }

  /** Drops everything; the waiting senders are released. */
  clear(): void {
    for (const chunk of this.#chunks.splice(0)) chunk.done();
  }

  #advance(count: number): void {
    const chunk = this.#chunks[0]!;
    chunk.taken += count;
    if (chunk.taken < chunk.bytes.length) return;
    this.#chunks.shift();
    chunk.done();
  }
}
