/** Bits of a register that are not QEMU's, and why. */
export interface ValueDifference {
  readonly registers: RegExp;
  /** What was written: see register-values.ts. */
  readonly patterns?: RegExp;
  readonly settings?: RegExp;
  /** All of them where nothing is said. */
  readonly bits?: bigint;
  readonly reason: string;
}

const WRITTEN = /^(?!initial)/;
const INITIAL = /^initial$/;
const UPPER_HALF = 0xffff_ffff_0000_0000n;
const bit = (...positions: number[]): bigint =>
  positions.reduce((sum, each) => sum | (1n << BigInt(each)), 0n);
const range = (high: number, low: number): bigint => ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);

/**
 * Bits without a meaning here, register by register. A RES0 or RES1 bit may be fixed, as here, or keep what is
 * written, as on QEMU (DDI 0487, glossary, RES0 and RES1).
 */
const RESERVED: readonly (readonly [registers: RegExp, bits: bigint, features: string])[] = [
  [
    /^SPSR_EL(1|2|3|12)$/,
    UPPER_HALF | bit(5, 10, 11, 13) | range(19, 14) | range(27, 24),
    "BTI, NMI, DIT, MTE",
  ],
  [/^(ESR|CONTEXTIDR)_EL(1|2|3|12)$|^CNTFRQ_EL0$|^VPIDR_EL2$/, UPPER_HALF, "LS64"],
  [/^VBAR_EL(1|2|3|12)$/, range(10, 5), "none"],
  [/^CPACR_EL(1|12)$/, UPPER_HALF | range(31, 22) | range(19, 0), "SVE, SME, trace registers"],
  [/^CPTR_EL[23]$/, UPPER_HALF | range(30, 11) | range(9, 0), "SVE, SME, AMU, trace registers"],
  [/^TCR_EL(1|2|12)$/, bit(6, 35) | range(54, 41) | range(63, 57), "HPDS, PAuth, SVE, LPA2, MTE"],
  [/^TCR_EL3$/, UPPER_HALF | bit(6, 7, 19) | range(31, 23), "HPDS, PAuth, LPA2, MTE"],
  [/^VTCR_EL2$/, UPPER_HALF | range(31, 29) | bit(20, 23, 24), "SEL2, XNX, LPA2"],
  [/^CNTKCTL_EL(1|12)$/, UPPER_HALF | range(31, 10), "ECV"],
  [/^CNTHCTL_EL2$/, UPPER_HALF | range(31, 12), "ECV, NV"],
  [/^DBGBCR\d_EL1$/, UPPER_HALF | range(31, 24) | range(12, 5) | bit(3, 4), "AArch32, v8.9 debug"],
  [/^DBGWCR\d_EL1$/, UPPER_HALF | range(31, 29) | range(23, 21), "v8.9 debug"],
  [/^PM(X)?EVTYPER\d?_EL0$/, bit(25), "multithreading"],
  [/^PMCR_EL0$/, bit(7), "PMUv3p5"],
  [/^ICC_PMR_EL1$/, range(31, 8), "none (IHI 0069, 12.2.17)"],
  [/^HSTR_EL2$/, UPPER_HALF | range(31, 16), "none"],
  [/^FPCR$/, range(21, 16), "FP16; LEN and STRIDE have no meaning without AArch32"],
  [/^FPSR$/, range(31, 28), "N, Z, C and V have no meaning without AArch32"],
  [/^HPFAR_EL2$/, range(63, 40) | range(3, 0), "SEL2, LPA"],
  [/^SPSR_(irq|abt|und|fiq)$/, range(63, 0), "AArch32 at EL1"],
  [/^VMPIDR_EL2$/, range(63, 40) | range(31, 25), "none"],
  [/^MDCR_EL2$/, UPPER_HALF | range(31, 12), "SPE, TRF, MTPMU, PMUv3p1 and p5"],
  [/^MDCR_EL3$/, UPPER_HALF | range(31, 18) | range(15, 11) | bit(8, 7) | range(5, 0), "SPE, TRF, AArch32"],
  [/^SCR_EL3$/, bit(15), "RAS"],
  [/^HCR_EL2$/, bit(29, 36, 37), "RAS; HCD is RES0 where EL3 is"],
  [
    /^SCTLR_EL(1|12)$/,
    range(63, 45) | range(36, 27) | bit(22, 21, 17, 13, 11, 10, 8, 7, 6, 5),
    "those not listed here",
  ],
  [
    /^SCTLR_EL2$/,
    range(63, 45) | range(36, 27) | bit(22, 21, 17, 13, 11, 10, 8, 7, 6, 5),
    "those not listed here",
  ],
  [
    /^SCTLR_EL3$/,
    range(63, 45) |
      range(43, 42) |
      range(39, 38) |
      range(36, 26) |
      range(24, 20) |
      range(18, 13) |
      range(11, 4),
    "those not listed here",
  ],
];

/** QEMU 7.2's `neoverse-n1` beside our processor. Sections are of DDI 0487. */
export const VALUE_DIFFERENCES: readonly ValueDifference[] = [
  ...RESERVED.map(([registers, bits, features]) => ({
    registers,
    bits,
    patterns: WRITTEN,
    reason: `RES0 or RES1 without further features (${features}).`,
  })),
  {
    registers: /^CPTR_EL2$/,
    settings: /E2H/,
    bits: bit(10),
    reason: "TFP has no place in the form with E2H (D19.2.33); QEMU keeps it.",
  },
  {
    registers: /^(SCTLR_EL(1|12|2|3)|CPTR_EL2|VTCR_EL2|TCR_EL3|DBGBCR\d_EL1)$/,
    patterns: INITIAL,
    reason: "Fields with an UNKNOWN value after reset, or RES1 (D19.2, the description of each).",
  },
  {
    registers: /^(MIDR_EL1|VPIDR_EL2)$/,
    patterns: INITIAL,
    bits: range(31, 0),
    reason: "Another implementation (D19.2.104).",
  },
  {
    registers: /^ID_AA64(PFR0|DFR0|ISAR0|MMFR[012])_EL1$/,
    bits: range(63, 0),
    reason: "Other features; cpu/feature-set.ts and identification.ts say which are ours.",
  },
  {
    registers: /^(ID_(PFR|DFR|MMFR|ISAR)\d|MVFR\d)_EL1$/,
    reason: "UNKNOWN without AArch32 (D19.2, the description of each); QEMU's has it at EL0.",
  },
  {
    registers: /^(CCSIDR_EL1|CLIDR_EL1|CTR_EL0)$/,
    bits: range(31, 28) | bit(4),
    reason: "Other caches; instruction and data caches need no maintenance here (D19.2.34, IDC and DIC).",
  },
  {
    registers: /^PMCR_EL0$/,
    bits: range(31, 16),
    reason: "IMP and IDCODE are zero where MIDR_EL1 says it all (D19.5.10).",
  },
  {
    registers: /^PMCEID[01]_EL0$/,
    bits: bit(3, 4, 8, 30),
    reason: "Events are the implementation's choice (D13.12): instructions and chains here, stalls on QEMU.",
  },
  {
    registers: /^MDCCINT_EL1$/,
    patterns: WRITTEN,
    bits: bit(29, 30),
    reason: "QEMU has no debug communication channel and ignores writes (D19.3.19).",
  },
  {
    registers: /^MDSCR_EL1$/,
    patterns: WRITTEN,
    reason:
      "While the OS lock is open only SS, TDCC, KDE and MDE can be written (D19.3.20); QEMU keeps everything.",
  },
  {
    registers: /^ICC_AP1R0_EL1$/,
    patterns: WRITTEN,
    bits: range(31, 16),
    reason:
      "With 32 priorities the Non-secure ones are bits 31:16 (IHI 0069, 12.2.2); QEMU ignores the write.",
  },
  {
    registers: /^ICC_BPR1_EL1$/,
    patterns: /^odd$/,
    bits: 7n,
    reason:
      "Values below the minimum become the minimum (IHI 0069, 12.2.6); QEMU compares before it drops RES0 bits.",
  },
  {
    registers: /^ICC_CTLR_EL3$/,
    patterns: WRITTEN,
    bits: bit(0, 3),
    reason:
      "EOImode_EL1S and CBPR_EL1S are the Secure copies (IHI 0069, 12.2.8); QEMU shows the Non-secure ones.",
  },
  {
    registers: /^RVBAR_EL3$/,
    reason: "The address after reset: of the program here, of an empty flash on QEMU.",
  },
  {
    registers: /^HCR_EL2$/,
    bits: bit(31, 38, 53),
    reason:
      "RW is RAO/WI without AArch32 at EL1, EnSCXT comes with CSV2_2, MIOCNCE keeps its value (D19.2.48).",
  },
  {
    registers: /^SCR_EL3$/,
    bits: bit(10, 25),
    reason: "RW is RAO/WI without AArch32 at EL1, EnSCXT comes with CSV2_2 (D19.2.119).",
  },
];
