/**
 * A shadow table (spec S2): one for each guest translation table that a walk has come through, 512 entries of
 * 16 bytes, in linear memory. An entry keeps the guest's descriptor as it was read, so that the guest's
 * permissions are always at hand, and what was found out about it once.
 */
export const SHADOW_ENTRY = {
  SIZE: 16,
  SHIFT: 4,
  /** u32 each: the descriptor in the processor's byte order. */
  DESCRIPTOR_LOW: 0,
  DESCRIPTOR_HIGH: 4,
  /**
   * u32: for KIND.TABLE, the address of the next shadow table or, with DIRECT set, of the guest's own table of
   * the last level, which is read at each miss and not traced.
   */
  NEXT: 8,
  /** u32: kind, fast permissions, status. */
  STATE: 12,
} as const;

/** In NEXT. */
export const DIRECT = 1;

export const SHADOW_ENTRIES = 512;
export const SHADOW_TABLE_SIZE: number = SHADOW_ENTRIES * SHADOW_ENTRY.SIZE;

/** Bits 1:0 of STATE: what is known of the guest's entry (row M5's three states). */
export const KIND = {
  MASK: 3,
  /** Nothing: the guest's table has to be read. */
  UNKNOWN: 0,
  LEAF: 1,
  TABLE: 2,
  /** The guest has no valid translation: bits 13:8 of STATE are the fault status to deliver. */
  ABSENT: 3,
} as const;

export const STATUS_SHIFT = 8;

/**
 * Bits 7:2 of a leaf's STATE: data accesses that need nothing but the translation (Normal memory, accessed,
 * permitted whatever the tables above say), as pairs "read, write".
 */
export const FAST = {
  USER: 2,
  PRIVILEGED: 4,
  /** Privileged while PSTATE.PAN is set. */
  PRIVILEGED_PAN: 6,
  READ: 1,
  WRITE: 2,
} as const;

/** The entry belongs to one ASID. */
export const NOT_GLOBAL: number = 1 << 14;

/** Word offsets in an entry. */
export const LOW: number = SHADOW_ENTRY.DESCRIPTOR_LOW >> 2;
export const HIGH: number = SHADOW_ENTRY.DESCRIPTOR_HIGH >> 2;
export const NEXT: number = SHADOW_ENTRY.NEXT >> 2;
export const STATE: number = SHADOW_ENTRY.STATE >> 2;
