/** The system registers that address translation looks at. */
export type TranslationRegisterName =
  | "SCTLR_EL1"
  | "SCTLR_EL2"
  | "SCTLR_EL3"
  | "TCR_EL1"
  | "TCR_EL2"
  | "TCR_EL3"
  | "TTBR0_EL1"
  | "TTBR1_EL1"
  | "TTBR0_EL2"
  | "TTBR1_EL2"
  | "TTBR0_EL3"
  | "MAIR_EL1"
  | "MAIR_EL2"
  | "MAIR_EL3"
  | "HCR_EL2"
  | "VTCR_EL2"
  | "VTTBR_EL2"
  | "SCR_EL3";

/**
 * Reads a register's own storage: no redirection by HCR_EL2.E2H, no traps. Registers of an exception level
 * that the processor does not have are never asked for.
 */
export interface TranslationRegisters {
  read(name: TranslationRegisterName): bigint;
}

/** What translation needs to know of the processor's ID registers. */
export interface TranslationFeatures {
  readonly el2: boolean;
  readonly el3: boolean;
  /** ID_AA64MMFR0_EL1.PARange in bits: 32, 36, 40, 42, 44 or 48. */
  readonly physicalAddressBits: number;
}

/** SCTLR_ELx (Arm ARM D19.2). */
export const SCTLR = {
  M: 1 << 0,
  A: 1 << 1,
  C: 1 << 2,
  I: 1 << 12,
  WXN: 1 << 19,
  E0E: 1 << 24,
  EE: 1 << 25,
} as const;

/** HCR_EL2, low word, then high word. */
export const HCR_LOW = { VM: 1 << 0, PTW: 1 << 2, FB: 1 << 9, DC: 1 << 12, TGE: 1 << 27 } as const;
export const HCR_HIGH = { CD: 1 << 0, ID: 1 << 1, E2H: 1 << 2 } as const;

/** SCR_EL3. */
export const SCR = { NS: 1 << 0, SIF: 1 << 9 } as const;

/** Bits 31:0 as i32. */
export function lowWord(value: bigint): number {
  return Number(value & 0xffff_ffffn) | 0;
}

/** Bits 63:32 as i32. */
export function highWord(value: bigint): number {
  return Number((value >> 32n) & 0xffff_ffffn) | 0;
}

/** A 64-bit value from its halves. */
export function doubleWord(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
