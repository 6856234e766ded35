import { randomBytes } from "node:crypto";
import type { BlockAllocator } from "./allocator.ts";
import {
  BLOCK_SIZE,
  BLOCKS_PER_GROUP,
  DESCRIPTOR_SIZE,
  INODE,
  INODE_SIZE,
  INODES_PER_GROUP,
  type Layout,
} from "./layout.ts";

/** Features (ext4, "The Super Block"). */
const COMPATIBLE = { HAS_JOURNAL: 0x4, EXT_ATTR: 0x8, DIR_INDEX: 0x20 } as const;
const INCOMPATIBLE = { FILETYPE: 0x2, EXTENTS: 0x40 } as const;
const READ_ONLY_COMPATIBLE = {
  SPARSE_SUPER: 0x1,
  LARGE_FILE: 0x2,
  HUGE_FILE: 0x8,
  DIR_NLINK: 0x20,
  EXTRA_ISIZE: 0x40,
} as const;

const MAGIC = 0xef53;
const CLEAN = 1;
const CONTINUE_ON_ERROR = 1;
const DYNAMIC_REVISION = 1;
const HALF_MD4 = 1;
const SIGNED_HASH = 1;
const DEFAULT_MOUNT_OPTIONS = 0xc; // user_xattr, acl
const EXTRA_INODE_SIZE = 32;

/** How many files and directories lie in each group. */
export interface GroupUsage {
  /** Inodes from the start of the group's table that are in use. */
  readonly inodes: number;
  readonly directories: number;
}

export interface Identity {
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** At most 16 characters of ASCII. */
  readonly label: string;
  /** Seconds since 1970. */
  readonly time: number;
}

/** The superblock, 1024 bytes, as it lies in group `group`. */
export function encodeSuperblock(
  layout: Layout,
  allocator: BlockAllocator,
  usage: readonly GroupUsage[],
  { uuid, label, time }: Identity,
  group: number,
): Uint8Array {
  const bytes = new Uint8Array(1024);
  const view = new DataView(bytes.buffer);
  const inodes = layout.groups.length * INODES_PER_GROUP;
  const freeBlocks = layout.groups.reduce((sum, _, index) => sum + allocator.free(index), 0);
  const usedInodes = usage.reduce((sum, one) => sum + one.inodes, 0);
  view.setUint32(0x00, inodes, true);
  view.setUint32(0x04, layout.blocks, true);
  view.setUint32(0x08, Math.floor(layout.blocks / 20), true); // kept for root: 5 %
  view.setUint32(0x0c, freeBlocks, true);
  view.setUint32(0x10, inodes - usedInodes, true);
  view.setUint32(0x18, 2, true); // 1024 << 2
  view.setUint32(0x1c, 2, true);
  view.setUint32(0x20, BLOCKS_PER_GROUP, true);
  view.setUint32(0x24, BLOCKS_PER_GROUP, true);
  view.setUint32(0x28, INODES_PER_GROUP, true);
  view.setUint32(0x30, time, true);
  view.setUint16(0x36, 0xffff, true); // never checked for its mount count
  view.setUint16(0x38, MAGIC, true);
  view.setUint16(0x3a, CLEAN, true);
  view.setUint16(0x3c, CONTINUE_ON_ERROR, true);
  view.setUint32(0x40, time, true);
  view.setUint32(0x4c, DYNAMIC_REVISION, true);
  view.setUint32(0x54, INODE.FIRST_FREE, true);
  view.setUint16(0x58, INODE_SIZE, true);
  view.setUint16(0x5a, group, true);
  view.setUint32(0x5c, sum(COMPATIBLE), true);
  view.setUint32(0x60, sum(INCOMPATIBLE), true);
  view.setUint32(0x64, sum(READ_ONLY_COMPATIBLE), true);
  bytes.set(uuid, 0x68);
  bytes.set(Buffer.from(label, "latin1").subarray(0, 16), 0x78);
  view.setUint32(0xe0, INODE.JOURNAL, true);
  bytes.set(uuid, 0xec); // seed of the directory hash
  view.setUint8(0xfc, HALF_MD4);
  view.setUint32(0x100, DEFAULT_MOUNT_OPTIONS, true);
  view.setUint32(0x108, time, true);
  view.setUint16(0x15c, EXTRA_INODE_SIZE, true);
  view.setUint16(0x15e, EXTRA_INODE_SIZE, true);
  view.setUint32(0x160, SIGNED_HASH, true);
  return bytes;
}

function sum(features: Readonly<Record<string, number>>): number {
  return Object.values(features).reduce((all, feature) => all | feature, 0);
}

/** The table of group descriptors, whole blocks. */
export function encodeDescriptors(
  layout: Layout,
  allocator: BlockAllocator,
  usage: readonly GroupUsage[],
): Uint8Array {
  const bytes = new Uint8Array(layout.descriptorBlocks * BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  for (const [index, group] of layout.groups.entries()) {
    const at = index * DESCRIPTOR_SIZE;
    view.setUint32(at, group.blockBitmap, true);
    view.setUint32(at + 4, group.inodeBitmap, true);
    view.setUint32(at + 8, group.inodeTable, true);
    view.setUint16(at + 12, allocator.free(index), true);
    view.setUint16(at + 14, INODES_PER_GROUP - usage[index]!.inodes, true);
    view.setUint16(at + 16, usage[index]!.directories, true);
  }
  return bytes;
}

/** The first block of an empty journal of `blocks` blocks (ext4, "Journal (jbd2)"; big-endian). */
export function encodeJournalSuperblock(blocks: number, uuid: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(BLOCK_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(0x00, 0xc03b3998);
  view.setUint32(0x04, 4); // a superblock of version 2
  view.setUint32(0x0c, BLOCK_SIZE);
  view.setUint32(0x10, blocks);
  view.setUint32(0x14, 1); // first block of the log
  view.setUint32(0x18, 1); // first transaction
  view.setUint32(0x1c, 0); // nothing to replay
  bytes.set(uuid, 0x30);
  view.setUint32(0x40, 1); // users
  bytes.set(uuid, 0x100);
  return bytes;
}

/** A random UUID (RFC 9562, version 4). */
export function randomUuid(): Uint8Array {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}
