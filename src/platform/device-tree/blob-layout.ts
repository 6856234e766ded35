/** The flattened device tree: Devicetree Specification v0.4, chapter 5. All fields are big-endian. */
export const BLOB = {
  MAGIC: 0xd00dfeed,
  /** The version written, and the oldest version whose readers can read it. */
  VERSION: 17,
  LAST_COMPATIBLE_VERSION: 16,
  HEADER_SIZE: 40,
  /** Byte offsets of the header's u32 fields. */
  HEADER: {
    magic: 0,
    totalSize: 4,
    structureOffset: 8,
    stringsOffset: 12,
    reservationsOffset: 16,
    version: 20,
    lastCompatibleVersion: 24,
    bootProcessor: 28,
    stringsSize: 32,
    structureSize: 36,
  },
  RESERVATION_SIZE: 16,
} as const;

/** Tokens of the structure block (section 5.4.1). */
export const TOKEN = { BEGIN_NODE: 1, END_NODE: 2, PROPERTY: 3, NOP: 4, END: 9 } as const;

/** A reader's limits, so that no input can exhaust the stack or the memory of the host. */
export const READER_LIMITS = { DEPTH: 64, BLOB_BYTES: 2 * 1024 * 1024, NODES: 65536 } as const;
