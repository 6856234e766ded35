import type { ByteStore } from "../../src/devices/storage/byte-store.ts";

/** An image file in memory. Beyond `most` bytes the disk is full. */
export class MemoryFile implements ByteStore {
  readonly name: string;
  bytes: Uint8Array;
  flushes = 0;
  readonly #most: number;

  constructor(bytes: Uint8Array = new Uint8Array(0), { name = "memory.qcow2", most = 64 << 20 } = {}) {
    this.name = name;
    this.bytes = bytes;
    this.#most = most;
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, target: Uint8Array): void {
    const found = this.bytes.subarray(
      Math.min(offset, this.size),
      Math.min(offset + target.length, this.size),
    );
    target.fill(0);
    target.set(found);
  }

  write(offset: number, source: Uint8Array): void {
    const end = offset + source.length;
    if (end > this.#most) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    if (end > this.size) {
      const longer = new Uint8Array(end);
      longer.set(this.bytes);
      this.bytes = longer;
    }
    this.bytes.set(source, offset);
  }

  flush(): void {
    this.flushes++;
  }
}
