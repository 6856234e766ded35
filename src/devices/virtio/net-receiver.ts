import type { VirtioBuffer } from "./buffer.ts";
import { NET_HEADER } from "./net-protocol.ts";
import type { VirtQueue } from "./queue.ts";

/** A frame for the driver: what it is made of, joined, and the header before it. */
export interface ReceivedFrame {
  readonly pieces: readonly Uint8Array[];
  /** Bytes of header and frame. */
  readonly length: number;
  /** Whether the driver takes a frame in several buffers. */
  readonly merges: boolean;
  /** The header, for a frame in so many buffers. */
  header(buffers: number): Uint8Array;
}

/** What became of a frame. */
export type Reception = "delivered" | "no room" | "buffer too short";

/** One receive queue of a network card: the buffers that were taken from it but not yet filled. */
export class NetReceiver {
  #queue: VirtQueue | undefined;
  #buffers: VirtioBuffer[] = [];
  #room = 0;
  /** A frame did not fit; the network waits to hear of room. */
  full = false;

  /** Puts a frame into the driver's buffers. */
  deliver(queue: VirtQueue | undefined, frame: ReceivedFrame): Reception {
    // Buffers of another queue are not ours any more.
    if (queue !== this.#queue) this.forget(queue);
    const { length, merges, pieces } = frame;
    const count = queue === undefined ? "no room" : this.#collect(queue, merges ? length : 1);
    if (queue === undefined || typeof count !== "number") {
      this.full = true;
      return count === "buffer too short" ? count : "no room";
    }
    // Without merging, a frame that is longer than its buffer is lost, and the buffer is for the next one.
    if (!merges && this.#buffers[0]!.writableLength < length) return "delivered";
    const buffers = this.#buffers.splice(0, count);
    for (const { writableLength } of buffers) this.#room -= writableLength;
    fill(queue, buffers, frame.header(count), pieces);
    return "delivered";
  }

  forget(queue?: VirtQueue): void {
    this.#queue = queue;
    this.#buffers = [];
    this.#room = 0;
    this.full = false;
  }

  /** Takes buffers until they hold `length` bytes; how many of them do. */
  #collect(queue: VirtQueue, length: number): number | "no room" | "buffer too short" {
    while (this.#room < length) {
      const buffer = queue.take();
      if (buffer === undefined) return "no room";
      if (buffer.writableLength <= NET_HEADER.SIZE) return "buffer too short";
      this.#buffers.push(buffer);
      this.#room += buffer.writableLength;
    }
    let count = 0;
    for (let room = 0; room < length; count++) room += this.#buffers[count]!.writableLength;
    return count;
  }
}

/** Writes header and frame over the buffers, one after the other, and gives them back. */
function fill(
  queue: VirtQueue,
  buffers: readonly VirtioBuffer[],
  header: Uint8Array,
  pieces: readonly Uint8Array[],
): void {
  let index = 0;
  let used = 0;
  for (let piece = -1; piece < pieces.length; piece++) {
    let rest = piece < 0 ? header : pieces[piece]!;
    while (rest.length > 0) {
      const buffer = buffers[index]!;
      const size = Math.min(rest.length, buffer.writableLength - used);
      buffer.write(used, rest.subarray(0, size));
      used += size;
      rest = rest.subarray(size);
      if (used === buffer.writableLength) {
        queue.give(buffer, used);
        index++;
        used = 0;
      }
    }
  }
  if (used > 0) queue.give(buffers[index]!, used);
}
