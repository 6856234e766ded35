/** Numbers of the OASIS Virtual I/O Device specification, version 1.2, that transport and rings share. */

/** Device types (section 5). 0 marks a slot without a device. */
export const VIRTIO_DEVICE = {
  NONE: 0,
  NETWORK: 1,
  BLOCK: 2,
  CONSOLE: 3,
  ENTROPY: 4,
  BALLOON: 5,
  SOCKET: 19,
  FILE_SYSTEM: 26,
} as const;

/** Bytes of a slot, as on QEMU's `virt`. */
export const VIRTIO_MMIO_SIZE = 0x200;

/** Bits of the device status (section 2.1). */
export const STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** Feature bit numbers that belong to no device type (section 6). */
export const FEATURE = {
  RING_INDIRECT_DESC: 28,
  RING_EVENT_IDX: 29,
  VERSION_1: 32,
  RING_PACKED: 34,
  RING_RESET: 40,
} as const;

/** Descriptor flags (sections 2.7.5 and 2.8.1). */
export const DESCRIPTOR = { NEXT: 1, WRITE: 2, INDIRECT: 4, AVAIL: 1 << 7, USED: 1 << 15 } as const;

/** Bytes of a descriptor, in either kind of ring. */
export const DESCRIPTOR_SIZE = 16;

/** A set of features as a 64-bit mask. */
export function featureMask(...bits: readonly number[]): bigint {
  return bits.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
}
