/** Fields of FPCR that this implementation has (DDI 0487, C5.2.8). */
export const FPCR = {
  /** Rounding mode, bits 23:22. */
  RMODE: 3 << 22,
  RMODE_SHIFT: 22,
  /** Flush denormal single and double inputs and results to zero. */
  FZ: 1 << 24,
  /** Every NaN result is the default NaN. */
  DN: 1 << 25,
  /** Half precision without infinities and NaNs, in conversions. */
  AHP: 1 << 26,
} as const;

/** Cumulative exception bits of FPSR (DDI 0487, C5.2.9). */
export const FPSR = {
  IOC: 1 << 0,
  DZC: 1 << 1,
  OFC: 1 << 2,
  UFC: 1 << 3,
  IXC: 1 << 4,
  IDC: 1 << 7,
  /** Saturation of integer SIMD instructions. */
  QC: 1 << 27,
} as const;

/** The first four are FPCR.RMode's values; an instruction may name the others. */
export const ROUNDING = {
  TIES_TO_EVEN: 0,
  TOWARDS_POSITIVE: 1,
  TOWARDS_NEGATIVE: 2,
  TOWARDS_ZERO: 3,
  TIES_AWAY: 4,
  TO_ODD: 5,
} as const;
export type Rounding = (typeof ROUNDING)[keyof typeof ROUNDING];

/** The rounding mode that FPCR asks for. */
export function roundingOf(control: number): Rounding {
  // Two bits, and each of their values is a mode.
  return ((control >>> FPCR.RMODE_SHIFT) & 3) as Rounding;
}
