import {
  closeSync,
  fdatasync,
  fsync,
  read,
  readdirSync,
  readSync,
  statfsSync,
  write,
  writeSync,
} from "node:fs";
import type { FileServer } from "../../devices/virtio/file-system.ts";
import { Pace } from "../pace.ts";
import { putDirectory } from "./directory-reply.ts";
import {
  ERROR,
  FUSE_MAJOR,
  FUSE_MINOR,
  FuseError,
  GUEST_OPEN,
  IN_HEADER_SIZE,
  INIT_FLAGS,
  MOST_PAGES,
  MOST_TRANSFER,
  OPCODE,
  OPEN_KILL_SET_ID,
  OUT_HEADER_SIZE,
  RENAME_NOREPLACE,
  RequestReader,
  SET,
  TYPE,
  WRITE_KILL_SET_ID,
} from "./fuse-protocol.ts";
import { Handles } from "./handles.ts";
import { type Caller, type Change, HostTree } from "./host-tree.ts";
import type { Inode, InodeTable } from "./inode-table.ts";
import type { Owners } from "./owners.ts";
import { attributesReply, entryReply, finishReply, newReply, putHandle, statisticsReply } from "./replies.ts";

/** A request's header and what may be said about it. */
interface Request {
  readonly opcode: number;
  readonly node: number;
  readonly caller: Caller;
  readonly body: RequestReader;
  /** Bytes of the answer at most, its header included. */
  readonly most: number;
}

/** Nothing for requests that want none; a number is an error's. */
type Answer = Buffer | number | undefined;

export interface ShareServerOptions {
  readonly inodes: InodeTable;
  readonly owners: Owners;
  readonly readOnly: boolean;
  /** Files and directories that the guest may have open. */
  readonly mostHandles: number;
  /** The permissions that this process's new files lack (umask). */
  readonly mask: number;
}

/** Answers a guest's FUSE requests from a directory of the host. */
export class ShareServer implements FileServer {
  readonly #inodes: InodeTable;
  readonly #owners: Owners;
  readonly #readOnly: boolean;
  readonly #handles: Handles;
  readonly #tree: HostTree;
  readonly #pace = new Pace();

  constructor({ inodes, owners, readOnly, mostHandles, mask }: ShareServerOptions) {
    this.#inodes = inodes;
    this.#owners = owners;
    this.#readOnly = readOnly;
    this.#handles = new Handles(mostHandles);
    this.#tree = new HostTree(inodes, owners, mask);
  }

  handle(bytes: Uint8Array, most: number): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (bytes.length < IN_HEADER_SIZE) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const request: Request = {
      opcode: view.getUint32(4, true),
      node: view.getUint32(20, true) * 2 ** 32 + view.getUint32(16, true),
      caller: { user: view.getUint32(24, true), group: view.getUint32(28, true) },
      body: new RequestReader(bytes, IN_HEADER_SIZE),
      most,
    };
    try {
      this.#inodes.trim();
      const answer = this.#answer(request);
      if (!(answer instanceof Promise)) return finished(answer, bytes, most);
      // The request's own bytes may not be looked at once this returns with an answer, so its number is kept.
      const number = bytes.slice(0, OUT_HEADER_SIZE);
      return answer.then(
        (reply) => finished(reply, number, most),
        (error: unknown) => failed(error, number, most),
      );
    } catch (error) {
      return failed(error, bytes, most);
    }
  }

  reset(): void {
    this.#handles.releaseAll();
    this.#inodes.reset();
  }

  #answer(request: Request): Answer | Promise<Answer> {
    const { opcode, node, body, caller } = request;
    const inode = (): Inode => this.#inodes.get(node);
    switch (opcode) {
      case OPCODE.INIT:
        return this.#initialize(body);
      case OPCODE.DESTROY:
        this.reset();
        return newReply(0);
      case OPCODE.FORGET:
        this.#inodes.forget(node, body.u64());
        return undefined;
      case OPCODE.BATCH_FORGET:
        return this.#forgetBatch(body);
      case OPCODE.LOOKUP:
        return this.#lookUp(inode(), body.name());
      case OPCODE.GETATTR:
        return attributesReply(this.#inodes.status(inode()), this.#owners);
      case OPCODE.SETATTR:
        return this.#setAttributes(inode(), body);
      case OPCODE.READLINK: {
        const target = this.#tree.readLink(inode());
        const reply = newReply(target.length);
        target.copy(reply, OUT_HEADER_SIZE);
        return reply;
      }
      case OPCODE.SYMLINK: {
        this.#mayWrite();
        const name = body.name();
        return this.#entry(this.#tree.makeLink(inode(), name, body.text(), caller));
      }
      case OPCODE.MKNOD:
        return this.#makeNode(inode(), body, caller);
      case OPCODE.MKDIR: {
        this.#mayWrite();
        const mode = body.u32();
        body.skip(4);
        return this.#entry(this.#tree.makeDirectory(inode(), body.name(), mode, caller));
      }
      case OPCODE.UNLINK:
      case OPCODE.RMDIR:
        this.#mayWrite();
        this.#tree.remove(inode(), body.name(), opcode === OPCODE.RMDIR);
        return newReply(0);
      case OPCODE.RENAME:
      case OPCODE.RENAME2:
        return this.#rename(inode(), body, opcode === OPCODE.RENAME2);
      case OPCODE.LINK: {
        this.#mayWrite();
        const file = this.#inodes.get(body.u64());
        return this.#entry(this.#tree.link(file, inode(), body.name()));
      }
      case OPCODE.STATFS:
        return statisticsReply(statfsSync(this.#inodes.self(this.#inodes.root)));
      case OPCODE.FALLOCATE:
        // Node cannot reserve space; upon this, libraries write zeros.
        throw new FuseError("EOPNOTSUPP");
      default:
        return this.#answerForHandle(request, inode);
    }
  }

  #answerForHandle({ opcode, body, caller, most }: Request, inode: () => Inode): Answer | Promise<Answer> {
    switch (opcode) {
      case OPCODE.OPEN:
        return this.#open(inode(), body);
      case OPCODE.CREATE:
        return this.#create(inode(), body, caller);
      case OPCODE.READ:
        return this.#read(body, most);
      case OPCODE.WRITE:
        return this.#write(body);
      case OPCODE.RELEASE:
      case OPCODE.RELEASEDIR:
        this.#handles.release(body.u64());
        return newReply(0);
      case OPCODE.FSYNC: {
        const { descriptor } = this.#handles.file(body.u64());
        return flushed(body.u32() & 1 ? fdatasync : fsync, descriptor);
      }
      case OPCODE.FSYNCDIR:
        return this.#flushDirectory(this.#handles.directory(body.u64()).inode);
      case OPCODE.OPENDIR: {
        this.#handles.reserve();
        const directory = inode();
        if (directory.type !== TYPE.DIRECTORY) throw new FuseError("ENOTDIR");
        this.#inodes.status(directory);
        const handle = this.#handles.add({ kind: "directory", inode: directory, names: undefined });
        return putHandle(newReply(16), OUT_HEADER_SIZE, handle);
      }
      case OPCODE.READDIR:
      case OPCODE.READDIRPLUS:
        return this.#readDirectory(body, most, opcode === OPCODE.READDIRPLUS);
      default:
        throw new FuseError("ENOSYS");
    }
  }

  #initialize(body: RequestReader): Answer {
    const major = body.u32();
    const minor = body.u32();
    const readAhead = body.u32();
    const flags = body.u32();
    this.reset();
    const reply = newReply(64);
    const at = OUT_HEADER_SIZE;
    reply.writeUInt32LE(FUSE_MAJOR, at);
    reply.writeUInt32LE(FUSE_MINOR, at + 4);
    // A driver of a later major version asks again with ours.
    if (major > FUSE_MAJOR) return reply;
    if (major < FUSE_MAJOR || minor < FUSE_MINOR) throw new FuseError("EINVAL");
    reply.writeUInt32LE(readAhead, at + 8);
    reply.writeUInt32LE(flags & INIT_FLAGS, at + 12);
    reply.writeUInt16LE(64, at + 16); // requests in the background
    reply.writeUInt16LE(48, at + 18); // and how many make it slow down
    reply.writeUInt32LE(MOST_TRANSFER, at + 20);
    reply.writeUInt32LE(1, at + 24); // times have a granularity of 1 ns
    reply.writeUInt16LE(MOST_PAGES, at + 28);
    return reply;
  }

  #forgetBatch(body: RequestReader): undefined {
    const count = body.u32();
    body.skip(4);
    for (let i = 0; i < count; i++) {
      const node = body.u64();
      this.#inodes.forget(node, body.u64());
    }
    return undefined;
  }

  #mayWrite(): void {
    if (this.#readOnly) throw new FuseError("EROFS");
  }

  /** Most names that are looked up are to be made next: that they are missing is no error of ours to throw. */
  #lookUp(parent: Inode, name: Buffer): Answer {
    if (parent.type !== TYPE.DIRECTORY) throw new FuseError("ENOTDIR");
    const found = this.#tree.find(parent, name);
    return found === undefined ? ERROR.ENOENT : this.#entry(found);
  }

  #entry({ inode, status }: ReturnType<HostTree["lookUp"]>): Answer {
    inode.lookups++;
    return entryReply(inode.id, status, this.#owners);
  }

  #setAttributes(inode: Inode, body: RequestReader): Answer {
    this.#mayWrite();
    const valid = body.u32();
    body.skip(4);
    const handle = body.u64();
    const size = body.u64();
    body.skip(8);
    const seconds = [body.u64(), body.u64(), body.u64()].map((value) =>
      // Seconds before 1970 are negative.
      value >= 2 ** 63 ? value - 2 ** 64 : value,
    );
    const nanoseconds = [body.u32(), body.u32(), body.u32()];
    const mode = body.u32();
    body.skip(4);
    const [user, group] = [body.u32(), body.u32()];
    const now = Date.now() / 1000;
    const time = (index: number, set: number, toNow: number): number | undefined => {
      if (valid & toNow) return now;
      return valid & set ? (seconds[index] ?? 0) + (nanoseconds[index] ?? 0) / 1e9 : undefined;
    };
    const change: Change = {
      mode: valid & SET.MODE ? mode : undefined,
      user: valid & SET.UID ? user : undefined,
      group: valid & SET.GID ? group : undefined,
      size: valid & SET.SIZE ? size : undefined,
      accessed: time(0, SET.ATIME, SET.ATIME_NOW),
      modified: time(1, SET.MTIME, SET.MTIME_NOW),
      killsSetId: (valid & SET.KILL_SET_ID) !== 0,
    };
    const open = valid & SET.HANDLE ? this.#handles.file(handle) : undefined;
    this.#tree.change(inode, change, open?.inode === inode ? open.descriptor : undefined);
    return attributesReply(this.#inodes.status(inode), this.#owners);
  }

  /** Of special files only regular ones: Node has no mknod(2), and devices of the host are not for guests. */
  #makeNode(parent: Inode, body: RequestReader, caller: Caller): Answer {
    this.#mayWrite();
    const mode = body.u32();
    body.skip(12);
    if ((mode & TYPE.MASK) !== TYPE.FILE) throw new FuseError("EPERM");
    const made = this.#tree.createFile(parent, body.name(), mode, 0, caller);
    closeSync(made.descriptor);
    return this.#entry(made);
  }

  #rename(from: Inode, body: RequestReader, hasFlags: boolean): Answer {
    this.#mayWrite();
    const to = this.#inodes.get(body.u64());
    const flags = hasFlags ? body.u32() : 0;
    if (hasFlags) body.skip(4);
    // Node has no renameat2(2), so names cannot be exchanged.
    if ((flags & ~RENAME_NOREPLACE) !== 0) throw new FuseError("EINVAL");
    const oldName = body.name();
    this.#tree.rename(from, oldName, to, body.name(), flags === 0);
    return newReply(0);
  }

  #open(inode: Inode, body: RequestReader): Answer {
    const flags = body.u32();
    const killsSetId = (body.u32() & OPEN_KILL_SET_ID) !== 0;
    if ((flags & GUEST_OPEN.ACCESS) !== 0 || flags & GUEST_OPEN.TRUNCATE) this.#mayWrite();
    this.#handles.reserve();
    const descriptor = this.#openFile(inode, flags, killsSetId);
    return putHandle(newReply(16), OUT_HEADER_SIZE, this.#handles.add({ kind: "file", inode, descriptor }));
  }

  #openFile(inode: Inode, flags: number, killsSetId: boolean): number {
    const descriptor = this.#tree.open(inode, flags);
    if (!killsSetId) return descriptor;
    try {
      this.#tree.killSetId(inode);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return descriptor;
  }

  #create(parent: Inode, body: RequestReader, caller: Caller): Answer {
    this.#mayWrite();
    this.#handles.reserve();
    const flags = body.u32();
    const mode = body.u32();
    // The umask: modes come with it applied.
    body.skip(4);
    const killsSetId = (body.u32() & OPEN_KILL_SET_ID) !== 0;
    const name = body.name();
    let made: ReturnType<HostTree["createFile"]>;
    try {
      made = this.#tree.createFile(parent, name, mode, flags, caller);
    } catch (error) {
      if (errnoOf(error) !== ERROR.EEXIST || flags & GUEST_OPEN.EXCLUSIVE) throw error;
      const found = this.#tree.lookUp(parent, name);
      made = { ...found, descriptor: this.#openFile(found.inode, flags, killsSetId) };
    }
    const { inode, status, descriptor } = made;
    inode.lookups++;
    const handle = this.#handles.add({ kind: "file", inode, descriptor });
    const reply = entryReply(inode.id, status, this.#owners, 16);
    return putHandle(reply, reply.length - 16, handle);
  }

  #read(body: RequestReader, most: number): Answer | Promise<Answer> {
    const { descriptor } = this.#handles.file(body.u64());
    const offset = body.u64();
    const length = Math.max(0, Math.min(body.u32(), MOST_TRANSFER, most - OUT_HEADER_SIZE));
    const reply = Buffer.allocUnsafe(OUT_HEADER_SIZE + length);
    if (this.#pace.isQuick(length)) {
      const began = performance.now();
      const count = readSync(descriptor, reply, OUT_HEADER_SIZE, length, offset);
      this.#pace.judge(began);
      return reply.subarray(0, OUT_HEADER_SIZE + count);
    }
    return new Promise((resolve, reject) => {
      read(descriptor, reply, OUT_HEADER_SIZE, length, offset, (error, count) => {
        if (error === null) resolve(reply.subarray(0, OUT_HEADER_SIZE + count));
        else reject(error);
      });
    });
  }

  #write(body: RequestReader): Answer | Promise<Answer> {
    const { descriptor, inode } = this.#handles.file(body.u64());
    const offset = body.u64();
    const length = body.u32();
    if (body.u32() & WRITE_KILL_SET_ID) this.#tree.killSetId(inode);
    // The lock's owner, flags of the open file, and a word of padding.
    body.skip(16);
    const bytes = body.take(length);
    const done = (count: number): Buffer => {
      const reply = newReply(8);
      reply.writeUInt32LE(count, OUT_HEADER_SIZE);
      return reply;
    };
    if (this.#pace.isQuick(length)) {
      const began = performance.now();
      const count = writeSync(descriptor, bytes, 0, length, offset);
      this.#pace.judge(began);
      return done(count);
    }
    return new Promise((resolve, reject) => {
      write(descriptor, bytes, 0, length, offset, (error, count) => {
        if (error === null) resolve(done(count));
        else reject(error);
      });
    });
  }

  #flushDirectory(inode: Inode): Promise<Answer> {
    const descriptor = this.#tree.openDirectory(inode);
    return flushed(fsync, descriptor).finally(() => closeSync(descriptor));
  }

  #readDirectory(body: RequestReader, most: number, plus: boolean): Answer {
    const handle = this.#handles.directory(body.u64());
    const offset = body.u64();
    const size = Math.min(body.u32(), MOST_TRANSFER, most - OUT_HEADER_SIZE);
    const { inode } = handle;
    if (handle.names === undefined || offset === 0)
      this.#handles.remember(handle, readdirSync(this.#inodes.self(inode), "buffer"));
    const names = handle.names ?? [];
    return putDirectory({ inode, names, offset, size, plus }, this.#tree, this.#owners);
  }
}

function flushed(how: typeof fsync, descriptor: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    how(descriptor, (error) =>
      error === null || error === undefined ? resolve(newReply(0)) : reject(error),
    );
  });
}

function finished(answer: Answer, request: Uint8Array, most: number): Uint8Array | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer === "number") return failedWith(answer, request, most);
  if (answer.length > most) return failed(new FuseError("EINVAL"), request, most);
  return finishReply(answer, request);
}

function failed(error: unknown, request: Uint8Array, most: number): Uint8Array | undefined {
  return failedWith(errnoOf(error), request, most);
}

function failedWith(errno: number, request: Uint8Array, most: number): Uint8Array | undefined {
  return most < OUT_HEADER_SIZE ? undefined : finishReply(newReply(0), request, errno);
}

/** The host's error numbers are Linux's, and so are the guest's. */
function errnoOf(error: unknown): number {
  if (error instanceof FuseError) return error.errno;
  if (error instanceof Error && "errno" in error && typeof error.errno === "number" && error.errno < 0)
    return -error.errno;
  return ERROR.EIO;
}
