import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from "node:fs";
import { FuseError, ROOT_ID, TYPE } from "./fuse-protocol.ts";

/** Linux's O_PATH: a handle that names a file without opening it. Node has no constant for it. */
const O_PATH = 0o10_000_000;
const NAME_ONLY = O_PATH | constants.O_NOFOLLOW;

/** A file or directory that the guest knows, or one above such a file. */
export class Inode {
  /** The guest's number for it. */
  readonly id: number;
  readonly device: bigint;
  /** The host's number. */
  readonly number: bigint;
  /** File type bits of its mode. */
  readonly type: number;
  /** Where it was last found. The root has no parent. */
  parent: Inode | undefined;
  name: Buffer;
  /** A descriptor that names it, or -1. */
  descriptor = -1;
  /** How often the guest was told of it and has not forgotten it. */
  lookups = 0;
  /** Open handles of the guest's. */
  handles = 0;
  /** Its name is gone, or may be: the descriptor is the only way to it. */
  unlinked = false;

  constructor(id: number, status: BigIntStats, parent: Inode | undefined, name: Buffer) {
    this.id = id;
    this.device = status.dev;
    this.number = status.ino;
    this.type = typeOf(status);
    this.parent = parent;
    this.name = name;
  }

  is(status: BigIntStats): boolean {
    return this.number === status.ino && this.device === status.dev && this.type === typeOf(status);
  }
}

function typeOf(status: BigIntStats): number {
  return Number(status.mode & 0o170_000n);
}

/**
 * The files that the guest knows. Every access goes through a descriptor of the directory and one component, or of
 * the file itself, as /proc/self/fd/N: no path is ever resolved by the host across more than one component, and none
 * of them is followed if it is a link. So nothing outside the share can be reached, whoever renames what meanwhile.
 */
export class InodeTable {
  readonly root: Inode;
  readonly #byId = new Map<number, Inode>();
  readonly #byNumber = new Map<string, Inode>();
  /** Those with descriptors that may be closed, the least recently used first. */
  readonly #open = new Set<Inode>();
  readonly #mostOpen: number;
  #nextId = ROOT_ID + 1;

  /** `descriptor` names the share's root, and is closed by {@link close}. At most `mostOpen` others are kept. */
  constructor(descriptor: number, mostOpen: number) {
    this.root = new Inode(ROOT_ID, fstatSync(descriptor, { bigint: true }), undefined, Buffer.alloc(0));
    this.root.descriptor = descriptor;
    this.#mostOpen = mostOpen;
    this.reset();
  }

  /** Forgets all but the root. */
  reset(): void {
    for (const inode of this.#byId.values()) if (inode !== this.root) this.#closeDescriptor(inode);
    for (const inode of this.#open) this.#closeDescriptor(inode);
    this.#open.clear();
    this.#byId.clear();
    this.#byNumber.clear();
    this.#byId.set(ROOT_ID, this.root);
    this.#byNumber.set(key(this.root.device, this.root.number), this.root);
  }

  close(): void {
    this.reset();
    closeSync(this.root.descriptor);
    this.root.descriptor = -1;
  }

  /** What the guest calls `id`. */
  get(id: number): Inode {
    const inode = this.#byId.get(id);
    if (inode === undefined) throw new FuseError("ESTALE");
    return inode;
  }

  /** The inode for what was found as `name` in `parent`. */
  found(parent: Inode, name: Buffer, status: BigIntStats): Inode {
    const known = this.known(status);
    if (known !== undefined) {
      if (known !== this.root && !known.unlinked) {
        known.parent = parent;
        known.name = name;
      }
      return known;
    }
    const inode = new Inode(this.#nextId++, status, parent, name);
    this.#byId.set(inode.id, inode);
    this.#byNumber.set(key(status.dev, status.ino), inode);
    return inode;
  }

  /** The inode with this identity, if the guest knows it. */
  known(status: BigIntStats): Inode | undefined {
    const inode = this.#byNumber.get(key(status.dev, status.ino));
    // A number that the host has given to a new file.
    return inode?.is(status) === true ? inode : undefined;
  }

  forget(id: number, count: number): void {
    const inode = this.#byId.get(id);
    if (inode === undefined || inode === this.root) return;
    inode.lookups -= count;
    if (inode.lookups > 0) return;
    this.#byId.delete(id);
    if (this.#byNumber.get(key(inode.device, inode.number)) === inode)
      this.#byNumber.delete(key(inode.device, inode.number));
    this.#open.delete(inode);
    this.#closeDescriptor(inode);
  }

  /** A path to `name` in the directory; the host must not follow it. */
  child(directory: Inode, name: Buffer): Buffer {
    return Buffer.concat([Buffer.from(`/proc/self/fd/${this.descriptor(directory)}/`), name]);
  }

  /** A path to where the inode was last found; the host must not follow it, and must check what it finds. */
  lastPath(inode: Inode): Buffer {
    if (inode.parent === undefined || inode.unlinked) throw new FuseError("ESTALE");
    return this.child(inode.parent, inode.name);
  }

  /** A path to the inode itself, whatever its names are. */
  self(inode: Inode): string {
    return `/proc/self/fd/${this.descriptor(inode)}`;
  }

  status(inode: Inode): BigIntStats {
    if (inode.descriptor >= 0) return fstatSync(inode.descriptor, { bigint: true });
    const status = lstatSync(this.lastPath(inode), { bigint: true });
    if (!inode.is(status)) throw new FuseError("ESTALE");
    return status;
  }

  /** A descriptor that names the inode. */
  descriptor(inode: Inode): number {
    if (inode.descriptor >= 0) {
      // The order of a set is that of insertion.
      if (this.#open.delete(inode)) this.#open.add(inode);
      return inode.descriptor;
    }
    const descriptor = openSync(this.lastPath(inode), NAME_ONLY);
    if (!inode.is(fstatSync(descriptor, { bigint: true }))) {
      closeSync(descriptor);
      throw new FuseError("ESTALE");
    }
    inode.descriptor = descriptor;
    this.#open.add(inode);
    return descriptor;
  }

  /** Before a name of it goes: keeps hold of a file that the guest still uses. */
  hold(inode: Inode): void {
    if (inode.handles > 0 || inode.type === TYPE.DIRECTORY) this.descriptor(inode);
  }

  /** Its last name has gone. The host may give its number to another file, which then is another inode. */
  gone(inode: Inode): void {
    inode.unlinked = true;
    this.#open.delete(inode);
    if (this.#byNumber.get(key(inode.device, inode.number)) === inode)
      this.#byNumber.delete(key(inode.device, inode.number));
  }

  /** Closes descriptors that were not used for long. Between two requests, as paths hold their numbers. */
  trim(): void {
    if (this.#open.size <= this.#mostOpen) return;
    for (const inode of this.#open) {
      if (this.#open.size <= this.#mostOpen / 2) return;
      this.#open.delete(inode);
      this.#closeDescriptor(inode);
    }
  }

  #closeDescriptor(inode: Inode): void {
    if (inode.descriptor < 0 || inode === this.root) return;
    closeSync(inode.descriptor);
    inode.descriptor = -1;
  }
}

function key(device: bigint, number: bigint): string {
  return `${device}:${number}`;
}
