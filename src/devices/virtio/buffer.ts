import type { GuestMemory } from "../../memory/guest-memory.ts";

/** A stretch of guest memory that a descriptor names; checked to be memory. */
export interface Segment {
  readonly address: number;
  readonly length: number;
}

/** More descriptors than this in one buffer are a driver's error: indirect tables may exceed the ring, not this. */
const MOST_SEGMENTS = 1024;
/** The specification bounds a buffer to 2^32 bytes (2.7.5.2). */
const MOST_BYTES = 2 ** 32;

/**
 * One buffer that the driver made available: first its device-readable part, then its device-writable part,
 * each a series of segments that reads as one run of bytes.
 */
export class VirtioBuffer {
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  readableLength = 0;
  writableLength = 0;
  /** What names the buffer when it is returned: head index (split) or buffer id (packed). */
  id = 0;
  /** Places it takes in a packed ring. */
  slots = 1;
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Adds a descriptor's segment; returns what is wrong with it, if anything is. */
  add(segment: Segment, writable: boolean): string | undefined {
    const { address, length } = segment;
    if (length === 0) return "descriptor of length zero";
    if (this.readable.length + this.writable.length >= MOST_SEGMENTS) return "buffer of too many descriptors";
    if (this.readableLength + this.writableLength + length > MOST_BYTES)
      return "buffer longer than 2^32 bytes";
    if (!writable && this.writable.length > 0)
      return "device-readable descriptor after a device-writable one";
    if (address > 2 ** 48 || !this.#memory.isMemory(address, length)) return "descriptor outside memory";
    if (writable) {
      this.writable.push(segment);
      this.writableLength += length;
    } else {
      this.readable.push(segment);
      this.readableLength += length;
    }
    return undefined;
  }

  /** Copies out of the device-readable part, from `offset` on. False when it is too short. */
  read(offset: number, target: Uint8Array): boolean {
    return this.#copy(this.readable, offset, target, (address, piece) =>
      this.#memory.readInto(address, piece),
    );
  }

  /** Copies into the device-writable part, from `offset` on. False when it is too short or not RAM. */
  write(offset: number, source: Uint8Array): boolean {
    return this.#copy(this.writable, offset, source, (address, piece) => this.#memory.write(address, piece));
  }

  #copy(
    segments: readonly Segment[],
    offset: number,
    bytes: Uint8Array,
    copy: (address: number, piece: Uint8Array) => boolean,
  ): boolean {
    let skip = offset;
    let done = 0;
    for (const { address, length } of segments) {
      if (done === bytes.length) return true;
      if (skip >= length) {
        skip -= length;
        continue;
      }
      const size = Math.min(length - skip, bytes.length - done);
      if (!copy(address + skip, bytes.subarray(done, done + size))) return false;
      done += size;
      skip = 0;
    }
    return done === bytes.length;
  }
}
