import type { BlockStore } from "../devices/storage/block-store.ts";

/**
 * Keeps the host's disks out of a deterministic machine's order of events: operations are done one at a time
 * as they were asked for, and the machine waits for them between two of its rounds, so a request is complete
 * at the end of the round that made it.
 */
export class OrderedDrives {
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  /** Whether the machine must wait. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  /** `store`, in order with all others. */
  inOrder(store: BlockStore): BlockStore {
    return {
      size: store.size,
      readOnly: store.readOnly,
      read: (offset, target) => this.#after(() => store.read(offset, target)),
      write: (offset, source) => this.#after(() => store.write(offset, source)),
      flush: () => this.#after(() => store.flush()),
      ...(store.discard !== undefined && {
        discard: (offset, length) => this.#after(() => store.discard?.(offset, length)),
      }),
      ...(store.writeZeroes !== undefined && {
        writeZeroes: (offset, length, mayUnmap) =>
          this.#after(() => store.writeZeroes?.(offset, length, mayUnmap)),
      }),
    };
  }

  /** Resolves when nothing is under way. `breathe` lets what waits for an operation go on. */
  async settle(breathe: () => Promise<void>): Promise<void> {
    while (this.busy) {
      await this.#last;
      await breathe();
    }
  }

  #after(operation: () => Promise<void> | void): Promise<void> {
    this.#pending++;
    const done = this.#last.then(operation).finally(() => {
      this.#pending--;
    });
    // A failure is the device's to report; the next operation is done all the same.
    this.#last = done.catch(() => {});
    return done;
  }
}
