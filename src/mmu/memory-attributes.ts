/**
 * Memory attributes are one byte, encoded as in MAIR_ELx and PAR_EL1.ATTR, and a shareability of two bits as
 * in descriptors: 0 non-shareable, 2 outer, 3 inner.
 */

export const ATTRIBUTES = {
  DEVICE_nGnRnE: 0x00,
  NORMAL_NON_CACHEABLE: 0x44,
  NORMAL_WRITE_THROUGH: 0xaa,
  NORMAL_WRITE_BACK: 0xff,
} as const;

export const SHAREABILITY = { NONE: 0, OUTER: 2, INNER: 3 } as const;

/** Whether an attribute byte (as in MAIR_ELx) means Device memory. */
export function isDevice(attributes: number): boolean {
  return (attributes & 0xf0) === 0;
}

/** Device memory, and Normal memory that is nowhere cacheable, is always outer shareable. */
export function effectiveShareability(attributes: number, shareability: number): number {
  return isDevice(attributes) || attributes === ATTRIBUTES.NORMAL_NON_CACHEABLE
    ? SHAREABILITY.OUTER
    : shareability;
}

/**
 * Stage 1 attributes with a stage 2 descriptor's MemAttr[3:0] (Arm ARM, combining the stage 1 and stage 2
 * memory type and cacheability attributes, without FEAT_S2FWB). `cacheDisabled` is HCR_EL2.CD or .ID.
 */
export function combineAttributes(stage1: number, memAttr: number, cacheDisabled: boolean): number {
  const stage2IsDevice = (memAttr & 0b1100) === 0;
  if (stage2IsDevice) {
    const stage2 = memAttr << 2;
    return isDevice(stage1) ? Math.min(stage1 & 0b1100, stage2) : stage2;
  }
  if (isDevice(stage1)) return stage1 & 0b1100;
  if (cacheDisabled) return ATTRIBUTES.NORMAL_NON_CACHEABLE;
  const outer = combineCacheability(stage1 >> 4, memAttr >> 2);
  const inner = combineCacheability(stage1 & 15, memAttr & 3);
  return (outer << 4) | inner;
}

export function combineShareability(stage1: number, stage2: number): number {
  if (stage1 === SHAREABILITY.OUTER || stage2 === SHAREABILITY.OUTER) return SHAREABILITY.OUTER;
  if (stage1 === SHAREABILITY.INNER || stage2 === SHAREABILITY.INNER) return SHAREABILITY.INNER;
  return SHAREABILITY.NONE;
}

const NON_CACHEABLE = 0b0100;
/** Set in a MAIR nibble for write-back (0b01RW, 0b11RW), clear for write-through (0b00RW, 0b10RW). */
const WRITE_BACK = 0b0100;

/** Hints and transience come from stage 1; the less cacheable of both types wins. */
function combineCacheability(nibble: number, stage2: number): number {
  if (nibble === NON_CACHEABLE || stage2 === 0b01 || stage2 === 0b00) return NON_CACHEABLE;
  return stage2 === 0b10 ? nibble & ~WRITE_BACK : nibble;
}
