import {
  type BigIntStats,
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from "node:fs";
import { FuseError, GUEST_OPEN, TYPE } from "./fuse-protocol.ts";
import type { Inode, InodeTable } from "./inode-table.ts";
import type { Owners } from "./owners.ts";

/** Who asks, in the guest. */
export interface Caller {
  readonly user: number;
  readonly group: number;
}

/** What SETATTR changes. */
export interface Change {
  readonly mode?: number | undefined;
  readonly user?: number | undefined;
  readonly group?: number | undefined;
  readonly size?: number | undefined;
  /** Seconds since 1970. */
  readonly accessed?: number | undefined;
  readonly modified?: number | undefined;
  /** A change of size takes the set-ID bits away, as it does when programs without privileges write. */
  readonly killsSetId?: boolean;
}

export interface Found {
  readonly inode: Inode;
  readonly status: BigIntStats;
}

const PERMISSIONS = 0o7777;

/**
 * Changes files of the host, each found through {@link InodeTable}. Everything is done at once: names and attributes
 * come from the host's memory.
 */
export class HostTree {
  readonly #inodes: InodeTable;
  readonly #owners: Owners;
  /** Permissions that the host takes away from new files. */
  readonly #mask: number;

  constructor(inodes: InodeTable, owners: Owners, mask: number) {
    this.#inodes = inodes;
    this.#owners = owners;
    this.#mask = mask;
  }

  lookUp(parent: Inode, name: Buffer): Found {
    const status = lstatSync(this.#inodes.child(parent, name), { bigint: true });
    return { inode: this.#inodes.found(parent, name, status), status };
  }

  /** As {@link lookUp}; undefined, for much less than an error costs, where there is nothing of that name. */
  find(parent: Inode, name: Buffer): Found | undefined {
    const status = lstatSync(this.#inodes.child(parent, name), { bigint: true, throwIfNoEntry: false });
    return status && { inode: this.#inodes.found(parent, name, status), status };
  }

  /** A new regular file, open for writing as well. Fails where there is something of that name. */
  createFile(
    parent: Inode,
    name: Buffer,
    mode: number,
    flags: number,
    caller: Caller,
  ): Found & { descriptor: number } {
    const path = this.#inodes.child(parent, name);
    const access = (flags & GUEST_OPEN.ACCESS) | hostSync(flags);
    const make = constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = openSync(path, access | make, mode & PERMISSIONS);
    try {
      const status = this.#adopt(parent, `/proc/self/fd/${descriptor}`, mode, caller, () =>
        fstatSync(descriptor, { bigint: true }),
      );
      return { inode: this.#inodes.found(parent, name, status), status, descriptor };
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  makeDirectory(parent: Inode, name: Buffer, mode: number, caller: Caller): Found {
    mkdirSync(this.#inodes.child(parent, name), mode & PERMISSIONS);
    const { inode } = this.lookUp(parent, name);
    const status = this.#adopt(parent, this.#inodes.self(inode), mode, caller, () =>
      this.#inodes.status(inode),
    );
    return { inode, status };
  }

  makeLink(parent: Inode, name: Buffer, target: Buffer, caller: Caller): Found {
    const path = this.#inodes.child(parent, name);
    symlinkSync(target, path);
    const owner = this.#owners.ownerFor(...this.#ownersOfNew(parent, caller));
    if (owner !== undefined) lchownSync(path, owner.user, owner.group);
    return this.lookUp(parent, name);
  }

  /** Another name for a file. */
  link(inode: Inode, parent: Inode, name: Buffer): Found {
    const path = this.#inodes.child(parent, name);
    linkSync(this.#inodes.lastPath(inode), path);
    const status = lstatSync(path, { bigint: true });
    if (!inode.is(status)) {
      // Somebody on the host put another file in the place of the one that was meant.
      unlinkSync(path);
      throw new FuseError("ESTALE");
    }
    return { inode: this.#inodes.found(parent, name, status), status };
  }

  readLink(inode: Inode): Buffer {
    if (inode.type !== TYPE.LINK) throw new FuseError("EINVAL");
    return readlinkSync(this.#inodes.lastPath(inode), "buffer");
  }

  remove(parent: Inode, name: Buffer, isDirectory: boolean): void {
    const path = this.#inodes.child(parent, name);
    this.#replacing(path, () => (isDirectory ? rmdirSync(path) : unlinkSync(path)));
  }

  rename(from: Inode, oldName: Buffer, to: Inode, newName: Buffer, mayReplace: boolean): void {
    const source = this.#inodes.child(from, oldName);
    const target = this.#inodes.child(to, newName);
    const moved = this.#inodes.known(lstatSync(source, { bigint: true }));
    if (!mayReplace && lstatSync(target, { throwIfNoEntry: false }) !== undefined)
      throw new FuseError("EEXIST");
    this.#replacing(target, () => renameSync(source, target), moved);
    if (moved !== undefined && !moved.unlinked) {
      moved.parent = to;
      moved.name = newName;
    }
  }

  change(inode: Inode, change: Change, descriptor: number | undefined): void {
    const isLink = inode.type === TYPE.LINK;
    const path = isLink ? this.#inodes.lastPath(inode) : this.#inodes.self(inode);
    if (change.mode !== undefined) {
      if (isLink) throw new FuseError("EOPNOTSUPP");
      chmodSync(path, change.mode & PERMISSIONS);
    }
    const owner = this.#owners.ownerFor(change.user, change.group);
    // The host's chown(2) takes set-ID bits away, whoever calls.
    if (owner !== undefined) (isLink ? lchownSync : chownSync)(path, owner.user, owner.group);
    else if (change.user !== undefined || change.group !== undefined) this.killSetId(inode);
    if (change.killsSetId === true) this.killSetId(inode);
    if (change.size !== undefined) this.#resize(inode, change.size, descriptor);
    if (change.accessed !== undefined || change.modified !== undefined) {
      const status = this.#inodes.status(inode);
      const accessed = change.accessed ?? Number(status.atimeNs) / 1e9;
      const modified = change.modified ?? Number(status.mtimeNs) / 1e9;
      (isLink ? lutimesSync : utimesSync)(path, accessed, modified);
    }
  }

  /** Opens a file again, by what it is and not by a name. Anything but a regular file could hang us or act. */
  open(inode: Inode, flags: number): number {
    if (inode.type === TYPE.LINK) throw new FuseError("ELOOP");
    if (inode.type === TYPE.DIRECTORY) throw new FuseError("EISDIR");
    if (inode.type !== TYPE.FILE) throw new FuseError("EOPNOTSUPP");
    const truncate = flags & GUEST_OPEN.TRUNCATE ? constants.O_TRUNC : 0;
    return openSync(this.#inodes.self(inode), (flags & GUEST_OPEN.ACCESS) | truncate | hostSync(flags));
  }

  /** Takes the set-user-ID bit away, and set-group-ID where it means that (chown(2)): the content is another's now. */
  killSetId(inode: Inode): void {
    if (inode.type !== TYPE.FILE) return;
    const mode = Number(this.#inodes.status(inode).mode) & PERMISSIONS;
    const kept = mode & ~((mode & 0o010) === 0 ? 0o4000 : 0o6000);
    if (kept !== mode) chmodSync(this.#inodes.self(inode), kept);
  }

  openDirectory(inode: Inode): number {
    return openSync(this.#inodes.self(inode), constants.O_RDONLY | constants.O_DIRECTORY);
  }

  #resize(inode: Inode, size: number, descriptor: number | undefined): void {
    if (descriptor !== undefined) {
      ftruncateSync(descriptor, size);
      return;
    }
    const opened = this.open(inode, constants.O_WRONLY);
    try {
      ftruncateSync(opened, size);
    } finally {
      closeSync(opened);
    }
  }

  /** Does what takes the name `path` away from what has it now, and notes that for what the guest knows. */
  #replacing(path: Buffer, act: () => void, replacement?: Inode): void {
    const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    const victim = status && this.#inodes.known(status);
    // Two names of one file: nothing happens to it.
    if (victim === undefined || victim === replacement) {
      act();
      return;
    }
    this.#inodes.hold(victim);
    act();
    if (victim.type === TYPE.DIRECTORY || status?.nlink === 1n) this.#inodes.gone(victim);
  }

  #ownersOfNew(parent: Inode, { user, group }: Caller): [number | undefined, number | undefined] {
    // In a directory with the set-group-ID bit the host has already given the directory's group.
    const inherits = (this.#inodes.status(parent).mode & 0o2000n) !== 0n;
    return this.#owners.userOf(0) === 0 && user === 0 && (group === 0 || inherits)
      ? [undefined, undefined]
      : [user, inherits ? undefined : group];
  }

  /** Gives a new file the owner and the permissions that the guest wants. */
  #adopt(
    parent: Inode,
    path: string,
    mode: number,
    caller: Caller,
    statusNow: () => BigIntStats,
  ): BigIntStats {
    const [user, group] = this.#ownersOfNew(parent, caller);
    let owner: ReturnType<Owners["ownerFor"]>;
    try {
      owner = this.#owners.ownerFor(user, group);
    } catch {
      // A host process that is not root makes files of its own only, whoever asks.
    }
    if (owner !== undefined) chownSync(path, owner.user, owner.group);
    // After chown, which takes the set-ID bits away.
    if ((mode & this.#mask) !== 0 || (owner !== undefined && (mode & 0o6000) !== 0)) {
      const inherited = Number(statusNow().mode & 0o2000n);
      chmodSync(path, (mode & PERMISSIONS) | inherited);
    }
    return statusNow();
  }
}

/** O_SYNC and O_DSYNC have one value on x86-64 and AArch64. */
function hostSync(flags: number): number {
  return flags & (GUEST_OPEN.SYNC | GUEST_OPEN.DSYNC);
}
