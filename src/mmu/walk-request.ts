/** What a translation is for, as one number of these bits. A request without WRITE and EXECUTE is a read. */
export const REQUEST = {
  WRITE: 1 << 0,
  EXECUTE: 1 << 1,
  /** Checked as above EL0 (in regimes with two privileges). */
  PRIVILEGED: 1 << 2,
  /** PSTATE.PAN applies. */
  PAN: 1 << 3,
  /** Not aligned to its element: faults on Device memory. */
  UNALIGNED: 1 << 4,
  /** An address translation instruction: sets no dirty state. */
  ADDRESS_TRANSLATION: 1 << 5,
  /** Without stage 2 for the result; tables still go through it. */
  STAGE1_ONLY: 1 << 6,
  /** A debugger's look: no permission and no access flag is checked, nothing is updated. */
  PEEK: 1 << 7,
  /** Stage 2, for a stage 1 table. */
  TABLE: 1 << 8,
  /** Stage 2, for the update of a stage 1 descriptor. */
  TABLE_UPDATE: 1 << 9,
  /** The hypervisor's look with somebody's rights: permissions and access flags are checked, nothing is updated. */
  INSPECT: 1 << 10,
} as const;

/** Bits of a result's permissions. */
export const PERMISSION = { READ: 1, WRITE: 2, EXECUTE: 4, ALL: 7 } as const;
