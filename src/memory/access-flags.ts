/**
 * The `flags` argument of slow loads and stores. Generated code passes a constant, src/mmu/data-access.ts
 * takes it apart.
 */
export const ACCESS_FLAGS = {
  /** LDTR, STTR and siblings. */
  UNPRIVILEGED: 1 << 0,
  /** Exclusive, acquire, release and atomic: must be aligned to the whole access. */
  ALIGNED: 1 << 1,
  /**
   * From this bit on: log2 of the bytes of one element, plus 1; 0 where the access is one element. Ordinary
   * alignment checks and byte order go by element.
   */
  ELEMENT_SHIFT: 2,
} as const;

/** The flags of an access. `element` is the size of one element, in bytes, where it is not the whole access. */
export function accessFlags(options: {
  readonly unprivileged?: boolean;
  readonly aligned?: boolean;
  readonly element?: number;
}): number {
  const element = options.element === undefined ? 0 : Math.log2(options.element) + 1;
  return (
    (options.unprivileged === true ? ACCESS_FLAGS.UNPRIVILEGED : 0) |
    (options.aligned === true ? ACCESS_FLAGS.ALIGNED : 0) |
    (element << ACCESS_FLAGS.ELEMENT_SHIFT)
  );
}
