import { FRAME_FLAGS, type FrameTable } from "./frame-table.ts";
import type { MachineMemory } from "./machine-memory.ts";
import type { TracedStore } from "./traced-store.ts";

/**
 * Which frames were written since an epoch began (spec S1, TR_DIRTY): a bit a frame in linear memory and the
 * frames in order of their first write. Each frame is told of once an epoch; after that its stores are fast.
 */
export class DirtyLog {
  /** Byte address of the bitmap; bit n of byte n / 8 belongs to frame n. */
  readonly bitmapAddress: number;
  readonly #store: TracedStore;
  readonly #frames: FrameTable;
  readonly #bytes: Uint8Array;
  #written: number[] = [];

  constructor(memory: MachineMemory, store: TracedStore) {
    this.#store = store;
    this.#frames = store.frames;
    this.#bytes = memory.bytes;
    this.bitmapAddress = memory.allocate(Math.ceil(store.frames.count / 8), 4096);
    store.hooks.onFirstWrite = (frame) => this.#note(frame);
  }

  /** Begins an epoch for RAM frames [first, first + count). Returns the frames of the one that ends. */
  begin(first: number, count: number): readonly number[] {
    const written = this.#written;
    this.#written = [];
    for (const frame of written) this.#bytes[this.bitmapAddress + (frame >>> 3)]! &= ~(1 << (frame & 7));
    this.#store.trace.addRange(first, count, "TR_DIRTY");
    return written;
  }

  /** Ends logging of frames [first, first + count). */
  end(first: number, count: number): void {
    for (let frame = first; frame < first + count; frame++) {
      if ((this.#frames.flags(frame) & FRAME_FLAGS.TR_DIRTY) !== 0)
        this.#store.trace.remove(frame, "TR_DIRTY");
    }
  }

  isDirty(frame: number): boolean {
    return (this.#bytes[this.bitmapAddress + (frame >>> 3)]! & (1 << (frame & 7))) !== 0;
  }

  #note(frame: number): void {
    this.#bytes[this.bitmapAddress + (frame >>> 3)]! |= 1 << (frame & 7);
    this.#written.push(frame);
  }
}
