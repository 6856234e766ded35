/** An access whose outcome is not QEMU's, and why. */
export interface RegisterDifference {
  /** Assembly names of registers or SYS operations, lower case. */
  readonly names: RegExp;
  readonly settings?: RegExp;
  readonly reason: string;
}

/** Registers that QEMU does not have. */
export const ABSENT_FROM_QEMU: readonly RegisterDifference[] = [
  {
    names:
      /^(osdtrrx|osdtrtx|oseccr|dbgprcr|dbgclaimset|dbgclaimclr|dbgauthstatus)_el1$|^dbgdtr(rx|tx)?_el0$/,
    reason: "QEMU leaves out these debug registers, which D19.3 makes part of every implementation.",
  },
  {
    names: /^scxtnum_el(0|1|2|3|12)$/,
    reason: "Our ID_AA64PFR0_EL1.CSV2 is 3, which includes these registers (D19.2.64); QEMU's is 1.",
  },
  {
    names: /^((gwb(base|ctl|prod|cons)|sptbase|sasid|cnt(scale|rebase))_el2|s3_4_c15_(c[12]_[0-3]|c3_[01]))$/,
    reason: "Our own registers, in the space for implementation defined ones (D19.2, reserved encodings).",
  },
];

/** QEMU 7.2's `neoverse-n1` beside our processor. Sections are of DDI 0487. */
export const REGISTER_DIFFERENCES: readonly RegisterDifference[] = [
  ...ABSENT_FROM_QEMU,
  {
    names: /^(erridr_el1|disr_el1|vsesr_el2|vdisr_el2)$/,
    reason: "FEAT_RAS is not implemented here.",
  },
  { names: /^s3_1_c15_c3_0$/, reason: "CBAR_EL1 of Arm's own cores: implementation defined." },
  {
    names: /^(dbgvcr32_el2|dacr32_el2|ifsr32_el2|fpexc32_el2|sder32_el3)$/,
    reason: "UNDEFINED where EL1 has no AArch32 (D19.2, the description of each); QEMU keeps them.",
  },
  {
    names: /_el(12|02)$/,
    settings: /^(?!E2H|host)/,
    reason: "UNDEFINED while HCR_EL2.E2H is 0 (D19.2, the description of each); QEMU 7.2 does not look.",
  },
  {
    names: /^zva$/,
    reason: "With the MMU off all memory is Device, where DC ZVA takes an alignment fault (C5.3.11).",
  },
  {
    names: /^mdccsr_el0$/,
    settings: /^EL0 closed$/,
    reason: "QEMU 7.2 does not implement MDSCR_EL1.TDCC (D19.3.20).",
  },
  {
    names: /^pm(selr|ccntr|xevcntr|swinc|evcntr\d)_el0$/,
    settings: /TPM$|^EL3 traps$/,
    reason:
      "Once a bit of PMUSERENR_EL0 but EN opens a register, QEMU forgets MDCR_EL2.TPM and MDCR_EL3.TPM.",
  },
  {
    names: /^mdcr_el2$/,
    settings: /^EL3 traps$/,
    reason: "MDCR_EL3.TDA traps MDCR_EL2 (D19.3.18); not in QEMU.",
  },
  {
    names: /^pmcr_el0$/,
    settings: /TPMCR$/,
    reason: "QEMU 7.2 does not implement MDCR_EL2.TPMCR (D19.3.17).",
  },
  {
    names: /^(alle2|vae2|vale2)(is)?$/,
    settings: /[sS]ecure/,
    reason: "At EL3, TLBI for EL2 is UNDEFINED while EL2 is disabled (C5.5); QEMU 7.2 executes it.",
  },
];
