/**
 * Numbers of the qcow2 image format, versions 2 and 3, after QEMU's published specification (docs/interop/qcow2).
 * All fields are big-endian.
 */

/** "QFI" and 0xfb. */
export const QCOW2_MAGIC = 0x5146_49fb;

/** Byte offsets of the header's fields; those from 72 on exist in version 3. */
export const HEADER = {
  MAGIC: 0,
  VERSION: 4,
  BACKING_FILE_OFFSET: 8,
  BACKING_FILE_SIZE: 16,
  CLUSTER_BITS: 20,
  SIZE: 24,
  CRYPT_METHOD: 32,
  L1_SIZE: 36,
  L1_TABLE_OFFSET: 40,
  REFCOUNT_TABLE_OFFSET: 48,
  REFCOUNT_TABLE_CLUSTERS: 56,
  SNAPSHOTS: 60,
  SNAPSHOTS_OFFSET: 64,
  INCOMPATIBLE_FEATURES: 72,
  COMPATIBLE_FEATURES: 80,
  AUTOCLEAR_FEATURES: 88,
  REFCOUNT_ORDER: 96,
  HEADER_LENGTH: 100,
  COMPRESSION_TYPE: 104,
} as const;

/** Bytes of a version 2 header, and the least of a version 3 one. */
export const HEADER_SIZE = { 2: 72, 3: 104 } as const;

/** Bits of the incompatible features. */
export const INCOMPATIBLE = {
  DIRTY: 0,
  CORRUPT: 1,
  EXTERNAL_DATA: 2,
  COMPRESSION_TYPE: 3,
  EXTENDED_L2: 4,
} as const;

/** Types of header extensions. */
export const EXTENSION = {
  END: 0,
  BACKING_FORMAT: 0xe279_2aca,
  FEATURE_NAMES: 0x6803_f857,
  BITMAPS: 0x2385_2875,
} as const;

/** Bytes of an entry in the table of feature names: type, bit, name padded with zeros. */
export const FEATURE_NAME_SIZE = 48;

/** Bounds that QEMU keeps too: they bound what is held in memory. */
export const LIMIT = {
  CLUSTER_BITS: [9, 21],
  L1_BYTES: 32 << 20,
  REFCOUNT_TABLE_BYTES: 8 << 20,
  BACKING_NAME_BYTES: 1023,
  SNAPSHOTS: 65_536,
  SNAPSHOT_TABLE_BYTES: 16 << 20,
  REFCOUNT_ORDER: 6,
} as const;

/** Upper halves of flags of L1 and L2 entries: bits 63 and 62. */
export const ENTRY_HIGH = { COPIED: 0x8000_0000, COMPRESSED: 0x4000_0000 } as const;
/** The bits of an entry's upper half that are part of the offset (bits 9 to 55). */
export const OFFSET_HIGH_MASK = 0x00ff_ffff;
/** The bits of its lower half. */
export const OFFSET_LOW_MASK = 0xffff_fe00;
/** Bit 0 of a version 3 L2 entry: reads as zeros. */
export const ZERO_FLAG = 1;

/** The compressions of clusters, by the header's number. */
export const COMPRESSIONS = ["zlib", "zstd"] as const;
export type ClusterCompression = (typeof COMPRESSIONS)[number];
