import type { Run } from "./allocator.ts";
import { BLOCK_SIZE, INODE_SIZE } from "./layout.ts";

/** File types in a mode (POSIX, sys/stat.h) and in a directory entry (ext4, "Directory entries"). */
export const FILE_TYPE = {
  file: { mode: 0o100000, entry: 1 },
  directory: { mode: 0o040000, entry: 2 },
  "character-device": { mode: 0o020000, entry: 3 },
  "block-device": { mode: 0o060000, entry: 4 },
  fifo: { mode: 0o010000, entry: 5 },
  link: { mode: 0o120000, entry: 7 },
} as const;
export type FileType = keyof typeof FILE_TYPE;

/** What an inode says beside where its content lies. */
export interface Attributes {
  /** Permission bits with set-user-ID, set-group-ID and sticky. */
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** Seconds since 1970. */
  readonly time: number;
}

/** Longest target of a symbolic link that lies in the inode itself. */
export const SHORT_LINK = 59;
/** Extents that fit into the inode. */
export const INLINE_EXTENTS = 4;
/** Extents that fit into a block of them. */
export const EXTENTS_PER_BLOCK = Math.floor((BLOCK_SIZE - 12) / 12);

const EXTENTS_FLAG = 0x80000;
/** Offsets in an inode (ext4, "Index nodes"). */
const AT = {
  mode: 0x00,
  user: 0x02,
  sizeLow: 0x04,
  accessTime: 0x08,
  changeTime: 0x0c,
  modificationTime: 0x10,
  group: 0x18,
  links: 0x1a,
  blocksLow: 0x1c,
  flags: 0x20,
  block: 0x28,
  sizeHigh: 0x6c,
  userHigh: 0x78,
  groupHigh: 0x7a,
  extraSize: 0x80,
  creationTime: 0x90,
} as const;
const EXTRA_SIZE = 32;

/** Where the content of an inode is. */
export type Content =
  /** In blocks; `tree` are the blocks of extents that did not fit into the inode. */
  | { readonly kind: "runs"; readonly runs: readonly Run[]; readonly tree: readonly Run[] }
  /** The target of a short symbolic link. */
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "device"; readonly major: number; readonly minor: number };

/** The bytes of an inode. `size` is the file's length in bytes. */
export function encodeInode(
  type: FileType,
  attributes: Attributes,
  links: number,
  size: number,
  content: Content,
): Uint8Array {
  const bytes = new Uint8Array(INODE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(AT.mode, FILE_TYPE[type].mode | (attributes.mode & 0o7777), true);
  view.setUint16(AT.user, attributes.user & 0xffff, true);
  view.setUint16(AT.userHigh, attributes.user >>> 16, true);
  view.setUint16(AT.group, attributes.group & 0xffff, true);
  view.setUint16(AT.groupHigh, attributes.group >>> 16, true);
  view.setUint32(AT.sizeLow, size % 2 ** 32, true);
  view.setUint32(AT.sizeHigh, Math.floor(size / 2 ** 32), true);
  for (const at of [AT.accessTime, AT.changeTime, AT.modificationTime, AT.creationTime]) {
    view.setUint32(at, attributes.time >>> 0, true);
  }
  view.setUint16(AT.links, links, true);
  view.setUint16(AT.extraSize, EXTRA_SIZE, true);
  switch (content.kind) {
    case "runs": {
      const blocks = [...content.runs, ...content.tree].reduce((sum, run) => sum + run.count, 0);
      // In units of 512 bytes.
      view.setUint32(AT.blocksLow, blocks * (BLOCK_SIZE / 512), true);
      view.setUint32(AT.flags, EXTENTS_FLAG, true);
      bytes.set(extentRoot(content), AT.block);
      break;
    }
    case "inline":
      bytes.set(content.bytes, AT.block);
      break;
    case "device":
      // The new encoding of a device number, in the second word (kernel, new_encode_dev).
      view.setUint32(
        AT.block + 4,
        (content.minor & 0xff) | (content.major << 8) | ((content.minor & ~0xff) << 12),
        true,
      );
      break;
  }
  return bytes;
}

const EXTENT_MAGIC = 0xf30a;

function extentRoot({ runs, tree }: Extract<Content, { kind: "runs" }>): Uint8Array {
  if (tree.length === 0) return extentNode(runs, 0, INLINE_EXTENTS);
  const bytes = new Uint8Array(12 + 12 * INLINE_EXTENTS);
  const view = new DataView(bytes.buffer);
  writeHeader(view, tree.length, INLINE_EXTENTS, 1);
  let logical = 0;
  for (const [index, leaf] of tree.entries()) {
    const at = 12 + 12 * index;
    view.setUint32(at, logical, true);
    view.setUint32(at + 4, leaf.start, true);
    const part = runs.slice(index * EXTENTS_PER_BLOCK, (index + 1) * EXTENTS_PER_BLOCK);
    logical += part.reduce((sum, run) => sum + run.count, 0);
  }
  return bytes;
}

/** A header with leaf extents for `runs`, the first of which begins at block `logical` of the file. */
export function extentNode(runs: readonly Run[], logical: number, most: number): Uint8Array {
  const bytes = new Uint8Array(12 + 12 * most);
  const view = new DataView(bytes.buffer);
  writeHeader(view, runs.length, most, 0);
  let block = logical;
  for (const [index, { start, count }] of runs.entries()) {
    const at = 12 + 12 * index;
    view.setUint32(at, block, true);
    // A length of 32768 is written as such; more would mean "not initialised".
    view.setUint16(at + 4, count, true);
    view.setUint32(at + 8, start, true);
    block += count;
  }
  return bytes;
}

function writeHeader(view: DataView, entries: number, most: number, depth: number): void {
  view.setUint16(0, EXTENT_MAGIC, true);
  view.setUint16(2, entries, true);
  view.setUint16(4, most, true);
  view.setUint16(6, depth, true);
}
