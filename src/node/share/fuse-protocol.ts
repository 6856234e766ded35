/**
 * Numbers and structures of the FUSE protocol as Linux 6.1 and 6.12 speak it over virtiofs (the kernel's UAPI header
 * linux/fuse.h describes it; version 7.33 is the one agreed on). All integers are little-endian.
 */

export const FUSE_MAJOR = 7;
export const FUSE_MINOR = 33;

/** Requests, by their number. Those that are not here get ENOSYS, upon which Linux does without. */
export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  CREATE: 35,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
} as const;

export const IN_HEADER_SIZE = 40;
export const OUT_HEADER_SIZE = 16;
export const ENTRY_SIZE = 128;
export const ATTRIBUTE_SIZE = 88;

/** The number of the share's root. */
export const ROOT_ID = 1;

/** Flags of INIT that we offer. */
export const INIT_FLAGS =
  (1 << 0) | // ASYNC_READ: several reads of a file at once
  (1 << 3) | // ATOMIC_O_TRUNC: OPEN may truncate
  (1 << 5) | // BIG_WRITES
  (1 << 12) | // AUTO_INVAL_DATA: cached data goes when the host changed the file
  (1 << 13) | // DO_READDIRPLUS
  (1 << 18) | // PARALLEL_DIROPS
  (1 << 22) | // MAX_PAGES
  (1 << 28); // HANDLE_KILLPRIV_V2: we take set-ID bits away, so the driver need not ask whether there are any

/** Largest read or write, bytes, and the same in pages of 4 KiB. */
export const MOST_TRANSFER = 1 << 20;
export const MOST_PAGES = 256;

/** Bits of SETATTR's `valid`. */
export const SET = {
  MODE: 1,
  UID: 2,
  GID: 4,
  SIZE: 8,
  ATIME: 16,
  MTIME: 32,
  HANDLE: 64,
  ATIME_NOW: 128,
  MTIME_NOW: 256,
  KILL_SET_ID: 2048,
} as const;

/** Flags of WRITE, and of OPEN and CREATE, that ask for the set-ID bits to go. */
export const WRITE_KILL_SET_ID = 4;
export const OPEN_KILL_SET_ID = 1;

/** Flags of RENAME2. */
export const RENAME_NOREPLACE = 1;

/** File types in a mode, as the guest's kernel has them. */
export const TYPE = {
  MASK: 0o170_000,
  SOCKET: 0o140_000,
  LINK: 0o120_000,
  FILE: 0o100_000,
  BLOCK: 0o060_000,
  DIRECTORY: 0o040_000,
  CHARACTER: 0o020_000,
  FIFO: 0o010_000,
} as const;

/** Open flags that have one value on all of Linux's architectures that matter here. */
export const GUEST_OPEN = {
  ACCESS: 3,
  EXCLUSIVE: 0o200,
  TRUNCATE: 0o1000,
  DSYNC: 0o10_000,
  SYNC: 0o4_000_000,
} as const;

/** Linux error numbers, which are the guest's. */
export const ERROR = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EEXIST: 17,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ELOOP: 40,
  EOPNOTSUPP: 95,
  ESTALE: 116,
} as const;

/** An answer that is an error number. */
export class FuseError extends Error {
  readonly errno: number;

  constructor(name: keyof typeof ERROR) {
    super(name);
    this.errno = ERROR[name];
  }
}

/** Reads a request's body. What lies beyond its end is EINVAL. */
export class RequestReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, start: number) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#at = start;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** Numbers from 2^53 on lose precision: no file handle, node or offset of ours is so large. */
  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at + 4, true) * 2 ** 32 + this.#view.getUint32(at, true);
  }

  skip(length: number): void {
    this.#take(length);
  }

  /** Bytes up to the zero that ends them. */
  text(): Buffer {
    const end = this.bytes.indexOf(0, this.#at);
    if (end < 0) throw new FuseError("EINVAL");
    const text = Buffer.from(this.bytes.subarray(this.#at, end));
    this.#at = end + 1;
    return text;
  }

  /** One component of a path, which cannot lead anywhere else. */
  name(): Buffer {
    const name = this.text();
    if (name.length > 255) throw new FuseError("ENAMETOOLONG");
    const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
    if (dots || name.includes(0x2f)) throw new FuseError("EINVAL");
    return name;
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.bytes.length) throw new FuseError("EINVAL");
    this.#at = at + length;
    return at;
  }
}
