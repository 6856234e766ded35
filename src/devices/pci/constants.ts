/** Numbers of the PCI Local Bus Specification 3.0 (chapter 6) and of PCI Express (ECAM, section 7.2.2). */

/** Offsets in the configuration header, type 0. */
export const CONFIGURATION = {
  VENDOR: 0x00,
  DEVICE: 0x02,
  COMMAND: 0x04,
  STATUS: 0x06,
  REVISION: 0x08,
  CLASS: 0x09,
  CACHE_LINE: 0x0c,
  BAR: 0x10,
  SUBSYSTEM_VENDOR: 0x2c,
  SUBSYSTEM: 0x2e,
  CAPABILITIES: 0x34,
  INTERRUPT_LINE: 0x3c,
  INTERRUPT_PIN: 0x3d,
  /** The first byte after the header. */
  END: 0x40,
} as const;

/** Bytes of a conventional function's configuration space, and of its place in the ECAM. */
export const CONFIGURATION_SIZE = 0x100;
export const ECAM_FUNCTION_SIZE = 0x1000;

export const COMMAND = {
  IO: 1 << 0,
  MEMORY: 1 << 1,
  BUS_MASTER: 1 << 2,
  PARITY: 1 << 6,
  SERR: 1 << 8,
  INTX_DISABLE: 1 << 10,
} as const;

export const STATUS_REGISTER = { INTERRUPT: 1 << 3, CAPABILITIES: 1 << 4 } as const;

/** Low bits of a memory BAR. */
export const BAR_FLAG = { MEMORY_64: 4, PREFETCHABLE: 8 } as const;
export const BARS = 6;

export const CAPABILITY = { VENDOR: 0x09, MSIX: 0x11 } as const;

/** Slots of a bus. */
export const SLOTS = 32;
