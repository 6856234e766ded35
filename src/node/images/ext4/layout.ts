/**
 * Where things lie in an ext4 file system as {@link Ext4Writer} makes it (Linux, Documentation/filesystems/ext4):
 * blocks of 4 KiB, 32-byte group descriptors, no checksums, extents.
 */
export const BLOCK_SIZE = 4096;
/** What one bitmap block covers. */
export const BLOCKS_PER_GROUP = 8 * BLOCK_SIZE;
export const INODE_SIZE = 256;
export const DESCRIPTOR_SIZE = 32;
const INODES_PER_BLOCK = BLOCK_SIZE / INODE_SIZE;
/** One inode for each 16 KiB, as mke2fs does. */
const BYTES_PER_INODE = 16384;
export const INODES_PER_GROUP = (BLOCKS_PER_GROUP * BLOCK_SIZE) / BYTES_PER_INODE;
export const INODE_TABLE_BLOCKS = INODES_PER_GROUP / INODES_PER_BLOCK;

/** Inodes with a fixed number (ext4, "Special inodes"). */
export const INODE = { ROOT: 2, JOURNAL: 8, FIRST_FREE: 11 } as const;

/** One block group: first blocks of its parts. */
export interface Group {
  readonly first: number;
  /** Blocks in it; the last group may have fewer. */
  readonly blocks: number;
  /** Whether it begins with a copy of the superblock and of the descriptors (sparse_super). */
  readonly hasCopy: boolean;
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** The first block that files may have. */
  readonly firstData: number;
}

export interface Layout {
  readonly blocks: number;
  readonly groups: readonly Group[];
  readonly descriptorBlocks: number;
}

/** The smallest last group worth having: its own tables and something besides. */
const SMALLEST_GROUP = INODE_TABLE_BLOCKS + 64;

/** The layout of a file system of at most `bytes` bytes. */
export function layOut(bytes: number): Layout {
  let blocks = Math.floor(bytes / BLOCK_SIZE);
  if (blocks % BLOCKS_PER_GROUP < SMALLEST_GROUP) blocks -= blocks % BLOCKS_PER_GROUP;
  if (blocks === 0) throw new RangeError(`${bytes} bytes are too few for a file system`);
  const count = Math.ceil(blocks / BLOCKS_PER_GROUP);
  const descriptorBlocks = Math.ceil((count * DESCRIPTOR_SIZE) / BLOCK_SIZE);
  const groups = Array.from({ length: count }, (_, index): Group => {
    const first = index * BLOCKS_PER_GROUP;
    const hasCopy = holdsCopy(index);
    const blockBitmap = first + (hasCopy ? 1 + descriptorBlocks : 0);
    return {
      first,
      blocks: Math.min(BLOCKS_PER_GROUP, blocks - first),
      hasCopy,
      blockBitmap,
      inodeBitmap: blockBitmap + 1,
      inodeTable: blockBitmap + 2,
      firstData: blockBitmap + 2 + INODE_TABLE_BLOCKS,
    };
  });
  return { blocks, groups, descriptorBlocks };
}

/** Groups 0, 1 and the powers of 3, 5 and 7. */
function holdsCopy(index: number): boolean {
  if (index <= 1) return true;
  return [3, 5, 7].some((base) => {
    let power = base;
    while (power < index) power *= base;
    return power === index;
  });
}
