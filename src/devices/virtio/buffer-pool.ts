/** Most bytes of a small buffer. */
const SMALL = 1 << 16;
/** Buffers of each size that are kept. */
const MOST_KEPT = 16;

/** Buffers between guest memory and a host, used again: clearing new ones costs more than small requests do. */
export class BufferPool {
  readonly #large: number;
  readonly #free: { readonly small: Uint8Array[]; readonly large: Uint8Array[] } = { small: [], large: [] };

  /** `large` bytes is the most that anybody asks for. */
  constructor(large: number) {
    this.#large = large;
  }

  /** Lets `work` use `size` bytes with old contents until it is over. */
  use<Result>(size: number, work: (bytes: Uint8Array) => Result): Result {
    const [free, whole] = size <= SMALL ? [this.#free.small, SMALL] : [this.#free.large, this.#large];
    const buffer = free.pop() ?? new Uint8Array(whole);
    let pending = false;
    const release = (): void => {
      if (free.length < MOST_KEPT) free.push(buffer);
    };
    try {
      const result = work(buffer.subarray(0, size));
      if (result instanceof Promise) {
        pending = true;
        result.then(release, release);
      }
      return result;
    } finally {
      if (!pending) release();
    }
  }
}
