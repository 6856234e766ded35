import { fdatasync, ftruncateSync, read, readSync, write, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { ByteStore } from "../../devices/storage/byte-store.ts";
import { Pace } from "../pace.ts";

/** A file of the host. Requests that are quick are complete at once, the others later. */
export class HostFile implements ByteStore {
  readonly name: string;
  /** False while nobody would need the file after a crash of the host: flush() does nothing then. */
  durable = true;
  readonly #handle: FileHandle;
  readonly #fd: number;
  #size: number;
  readonly #pace = new Pace();

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
    if (!this.#pace.isQuick(target.length)) return this.#readLater(offset, target, 0);
    const began = performance.now();
    for (let done = 0; done < target.length; ) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done);
      if (count === 0) {
        target.fill(0, done);
        break;
      }
      done += count;
    }
    this.#pace.judge(began);
  }

  write(offset: number, source: Uint8Array): Promise<void> | void {
    if (!this.#pace.isQuick(source.length)) return this.#writeLater(offset, source, 0);
    const began = performance.now();
    for (let done = 0; done < source.length; )
      done += writeSync(this.#fd, source, done, source.length - done, offset + done);
    this.#size = Math.max(this.#size, offset + source.length);
    this.#pace.judge(began);
  }

  flush(): Promise<void> | void {
    if (!this.durable) return undefined;
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
