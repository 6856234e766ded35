/** Virtio block device (virtio 1.2, section 5.2). */

export const SECTOR_SIZE = 512;

/** Feature bits. */
export const BLOCK_FEATURE = {
  SEG_MAX: 2,
  RO: 5,
  BLK_SIZE: 6,
  FLUSH: 9,
  TOPOLOGY: 10,
  CONFIG_WCE: 11,
  MQ: 12,
  DISCARD: 13,
  WRITE_ZEROES: 14,
} as const;

/** Request types. */
export const BLOCK_REQUEST = {
  IN: 0,
  OUT: 1,
  FLUSH: 4,
  GET_ID: 8,
  DISCARD: 11,
  WRITE_ZEROES: 13,
} as const;

/** What the last device-writable byte says. */
export const BLOCK_STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
export type BlockStatus = (typeof BLOCK_STATUS)[keyof typeof BLOCK_STATUS];

/** Type, reserved word, sector. */
export const REQUEST_HEADER_SIZE = 16;
export const IDENTIFIER_SIZE = 20;

/** A range of DISCARD and WRITE_ZEROES: sector, sectors, flags. */
export const RANGE_SIZE = 16;
/** The flag that lets WRITE_ZEROES deallocate. */
export const UNMAP = 1;

/** Most segments of a request, besides header and status. */
const MOST_SEGMENTS = 254;
/** Most sectors of one DISCARD or WRITE_ZEROES range, and most ranges of a request. */
export const MOST_RANGE_SECTORS = 0x3f_ffff;
export const MOST_RANGES = 16;

/** Where the configuration space says whether there is a volatile write cache: 1 or 0. */
export const WRITEBACK_OFFSET = 32;

/** The configuration space. `blockSize` is the size of a physical block in bytes, a power of two. */
export function blockConfiguration(sectors: number, blockSize: number, queues: number): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sectors), true);
  view.setUint32(12, MOST_SEGMENTS, true);
  view.setUint32(20, SECTOR_SIZE, true);
  // Topology: physical block size as a power of two of logical ones, no offset, smallest good transfer.
  view.setUint8(24, Math.log2(blockSize / SECTOR_SIZE));
  view.setUint16(26, blockSize / SECTOR_SIZE, true);
  view.setUint8(WRITEBACK_OFFSET, 1);
  view.setUint16(34, queues, true);
  view.setUint32(36, MOST_RANGE_SECTORS, true);
  view.setUint32(40, MOST_RANGES, true);
  view.setUint32(44, blockSize / SECTOR_SIZE, true);
  view.setUint32(48, MOST_RANGE_SECTORS, true);
  view.setUint32(52, MOST_RANGES, true);
  view.setUint8(56, 1);
  return bytes;
}
