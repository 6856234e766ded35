import { ENTRY_SIZE, OUT_HEADER_SIZE, TYPE } from "./fuse-protocol.ts";
import type { Found, HostTree } from "./host-tree.ts";
import type { Inode } from "./inode-table.ts";
import type { Owners } from "./owners.ts";
import { putEntry } from "./replies.ts";

/** A part of a directory that the guest asks for. */
export interface DirectoryPart {
  readonly inode: Inode;
  readonly names: readonly Buffer[];
  /** Entries before this one are known: 0 is ".", 1 is "..", 2 the first name. */
  readonly offset: number;
  /** Bytes that fit. */
  readonly size: number;
  /** With attributes, each counting as a lookup (READDIRPLUS). */
  readonly plus: boolean;
}

const DIRENT_SIZE = 24;
/** An inode number that says nothing. */
const UNKNOWN_NUMBER = 0xffff_ffffn;
const DOTS = [Buffer.from("."), Buffer.from("..")];

/** The answer to READDIR and READDIRPLUS: `fuse_dirent`s, or `fuse_direntplus`es. */
export function putDirectory(part: DirectoryPart, tree: HostTree, owners: Owners): Buffer {
  const { inode, names, offset, size, plus } = part;
  const reply = Buffer.alloc(OUT_HEADER_SIZE + Math.max(0, size));
  const before = plus ? ENTRY_SIZE : 0;
  let at = OUT_HEADER_SIZE;
  for (let index = offset; index < names.length + 2; index++) {
    const name = DOTS[index] ?? names[index - 2];
    if (name === undefined) break;
    const length = before + Math.ceil((DIRENT_SIZE + name.length) / 8) * 8;
    if (at + length > reply.length) break;
    const isDots = index < 2;
    let found: Found | undefined;
    if (plus && !isDots) {
      found = tree.find(inode, name);
      // It has gone meanwhile.
      if (found === undefined) continue;
      found.inode.lookups++;
      putEntry(reply, at, found.inode.id, found.status, owners);
    }
    const entry = at + before;
    const number = index === 0 ? inode.number : (found?.inode.number ?? UNKNOWN_NUMBER);
    reply.writeBigUInt64LE(number, entry);
    reply.writeBigUInt64LE(BigInt(index + 1), entry + 8);
    reply.writeUInt32LE(name.length, entry + 16);
    reply.writeUInt32LE((isDots ? TYPE.DIRECTORY : (found?.inode.type ?? 0)) >> 12, entry + 20);
    name.copy(reply, entry + DIRENT_SIZE);
    at += length;
  }
  return reply.subarray(0, at);
}
