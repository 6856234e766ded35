import { fdatasync, ftruncateSync, read, readSync, write, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { ByteStore } from "../../devices/storage/byte-store.ts";

/** Requests of at most this many bytes may be done at once. */
const QUICK_BYTES = 256 << 10;
/** Milliseconds that a request may take to count as quick: the host had it in memory. */
const QUICK = 0.5;
/** After a slow one, this many requests leave the machine running before we try again. */
const CAUTION = 32;

/**
 * A file of the host. What the host has in memory comes at once, which costs a tenth of handing the request to
 * another thread. When that proves to be slow, requests are handed over, and the guest goes on meanwhile.
 */
export class HostFile implements ByteStore {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #fd: number;
  #size: number;
  /** Requests to hand over before the next is tried at once. */
  #caution = 0;

  private constructor(name: string, handle: FileHandle, size: number) {
    this.name = name;
    this.#handle = handle;
    this.#fd = handle.fd;
    this.#size = size;
  }

  /** `flags` as in open(2), or Node's letters. Errors are Node's. */
  static async open(name: string, flags: number | string, size?: number): Promise<HostFile> {
    const handle = await open(name, flags);
    try {
      return new HostFile(name, handle, size ?? (await handle.stat()).size);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  get size(): number {
    return this.#size;
  }

  /** For what has no size of its own, such as a block device. */
  set size(bytes: number) {
    this.#size = bytes;
  }

  read(offset: number, target: Uint8Array): Promise<void> | void {
    if (!this.#isQuick(target.length)) return this.#readLater(offset, target, 0);
    const began = performance.now();
    for (let done = 0; done < target.length; ) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done);
      if (count === 0) {
        target.fill(0, done);
        break;
      }
      done += count;
    }
    this.#judge(began);
  }

  write(offset: number, source: Uint8Array): Promise<void> | void {
    if (!this.#isQuick(source.length)) return this.#writeLater(offset, source, 0);
    const began = performance.now();
    for (let done = 0; done < source.length; )
      done += writeSync(this.#fd, source, done, source.length - done, offset + done);
    this.#size = Math.max(this.#size, offset + source.length);
    this.#judge(began);
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  }

  /** Makes the file `size` bytes long; what is new reads as zeros. */
  resize(size: number): void {
    ftruncateSync(this.#fd, size);
    this.#size = size;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #isQuick(length: number): boolean {
    if (length > QUICK_BYTES) return false;
    if (this.#caution === 0) return true;
    this.#caution--;
    return false;
  }

  #judge(began: number): void {
    if (performance.now() - began > QUICK) this.#caution = CAUTION;
  }

  /** Without promises for each step: a request is one of Node's own operations. */
  #readLater(offset: number, target: Uint8Array, start: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (done: number): void => {
        read(this.#fd, target, done, target.length - done, offset + done, (error, count) => {
          if (error !== null) reject(error);
          else if (count === 0) {
            target.fill(0, done);
            resolve();
          } else if (done + count < target.length) go(done + count);
          else resolve();
        });
      };
      go(start);
    });
  }

  #writeLater(offset: number, source: Uint8Array, start: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (done: number): void => {
        write(this.#fd, source, done, source.length - done, offset + done, (error, count) => {
          if (error !== null) reject(error);
          else if (done + count < source.length) go(done + count);
          else {
            this.#size = Math.max(this.#size, offset + source.length);
            resolve();
          }
        });
      };
      go(start);
    });
  }
}
