import { closeSync } from "node:fs";
import { FuseError } from "./fuse-protocol.ts";
import type { Inode } from "./inode-table.ts";

/** A file that the guest has open. */
export interface FileHandle {
  readonly kind: "file";
  readonly inode: Inode;
  readonly descriptor: number;
}

/** A directory that the guest reads: its names as they were when it began. */
export interface DirectoryHandle {
  readonly kind: "directory";
  readonly inode: Inode;
  names: readonly Buffer[] | undefined;
}

export type Handle = FileHandle | DirectoryHandle;

/** Names of all directories that are being read: so many take some 100 MB. */
const MOST_NAMES = 1 << 20;

/** What the guest has open, by numbers that are not used again. */
export class Handles {
  readonly #handles = new Map<number, Handle>();
  readonly #most: number;
  #next = 1;
  #names = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Throws, before anything is opened, where the guest has too many already. */
  reserve(): void {
    if (this.#handles.size >= this.#most) throw new FuseError("ENFILE");
  }

  add(handle: Handle): number {
    this.#handles.set(this.#next, handle);
    handle.inode.handles++;
    return this.#next++;
  }

  file(number: number): FileHandle {
    const handle = this.#handles.get(number);
    if (handle?.kind !== "file") throw new FuseError("EBADF");
    return handle;
  }

  directory(number: number): DirectoryHandle {
    const handle = this.#handles.get(number);
    if (handle?.kind !== "directory") throw new FuseError("EBADF");
    return handle;
  }

  remember(handle: DirectoryHandle, names: readonly Buffer[]): void {
    this.#names += names.length - (handle.names?.length ?? 0);
    handle.names = names;
    if (this.#names <= MOST_NAMES) return;
    this.#names -= names.length;
    handle.names = undefined;
    throw new FuseError("ENFILE");
  }

  release(number: number): void {
    const handle = this.#handles.get(number);
    if (handle === undefined) return;
    this.#handles.delete(number);
    handle.inode.handles--;
    if (handle.kind === "file") closeSync(handle.descriptor);
    else this.#names -= handle.names?.length ?? 0;
  }

  releaseAll(): void {
    for (const number of [...this.#handles.keys()]) this.release(number);
  }
}
