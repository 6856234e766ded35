/** What a chunk costs besides its bytes, so that many small ones are bounded too. */
const CHUNK_COST = 256;

/** Bytes on their way to the guest: those that it has not acknowledged yet, in the pieces in which they came. */
export class SendQueue {
  #chunks: Uint8Array[] = [];
  /** Chunks before this index are gone; of the one there, so many bytes. */
  #first = 0;
  #gone = 0;
  /** Bytes in the queue. */
  length = 0;
  /** Where the last look ended: an offset from the queue's start, its chunk, and that chunk's first offset. */
  #seen = { chunk: 0, start: 0 };

  /** What the queue holds of our memory, roughly. */
  get cost(): number {
    return this.length + (this.#chunks.length - this.#first) * CHUNK_COST;
  }

  /** Keeps `bytes`. */
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.length += bytes.length;
  }

  /** Forgets the first `count` bytes. */
  acknowledge(count: number): void {
    this.length -= count;
    let left = count + this.#gone;
    while (left > 0 && left >= this.#chunks[this.#first]!.length) {
      left -= this.#chunks[this.#first]!.length;
      this.#chunks[this.#first++] = EMPTY;
    }
    this.#gone = left;
    this.#seen.start -= count;
    if (this.#seen.chunk <= this.#first) this.#seen = { chunk: this.#first, start: -this.#gone };
    if (this.#first > 64 && this.#first * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#first);
      this.#seen.chunk -= this.#first;
      this.#first = 0;
    }
  }

  /** Appends to `target` views of `count` bytes from `offset` on; both lie in the queue. */
  view(offset: number, count: number, target: Uint8Array[]): void {
    let { chunk, start } =
      offset >= this.#seen.start ? this.#seen : { chunk: this.#first, start: -this.#gone };
    while (offset >= start + this.#chunks[chunk]!.length) start += this.#chunks[chunk++]!.length;
    this.#seen = { chunk, start };
    let at = offset;
    for (let left = count; left > 0; ) {
      const bytes = this.#chunks[chunk]!;
      const piece = bytes.subarray(at - start, Math.min(bytes.length, at - start + left));
      target.push(piece);
      left -= piece.length;
      at += piece.length;
      start += bytes.length;
      chunk++;
    }
  }

  clear(): void {
    this.#chunks = [];
    this.#first = 0;
    this.#gone = 0;
    this.length = 0;
    this.#seen = { chunk: 0, start: 0 };
  }
}

const EMPTY = new Uint8Array(0);
