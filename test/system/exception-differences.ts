/** Cases whose exception is not QEMU's, and why. */
export interface ExceptionDifference {
  readonly names: RegExp;
  /** ESR_ELx as ours must report it. */
  readonly ours: RegExp;
  readonly reason: string;
}

/** QEMU 7.2's `neoverse-n1` beside our processor. Sections are of DDI 0487. */
export const EXCEPTION_DIFFERENCES: readonly ExceptionDifference[] = [
  {
    names: /^SP alignment at/,
    ours: /^9a000000$/,
    reason: "QEMU does not check the stack pointer's alignment (D1.3.4.2).",
  },
  {
    names: /^STLR alignment at/,
    ours: /^9[26]000061$/,
    reason: "QEMU describes a fault of an ordered store at EL2 with ISV; see below.",
  },
  {
    names: /SCR_EL3\.EA$/,
    ours: /^92000010$/,
    reason: "Synchronous external aborts go to EL3 while SCR_EL3.EA is 1 (D1.3.6.3); QEMU ignores the bit.",
  },
  {
    names: /^(EL2: |alignment at EL2|external abort( on write)? at EL2)/,
    ours: /^960000[0-9a-f]{2}$/,
    reason: "ISV describes stage 2 aborts only (D19.2.37); QEMU sets it for all aborts taken to EL2.",
  },
  {
    names: /^HVC at EL3$/,
    ours: /^5a004321$/,
    reason: "HVC at EL3 is taken to EL3 (C6.2.129); QEMU goes to EL2.",
  },
  {
    names: /^ERET at EL\d with SPSR 0x1d0$/,
    ours: /^3a000000$/,
    reason: "There is no AArch32 here, so that the return is illegal; `neoverse-n1` has it at EL0.",
  },
  {
    names: /^EL0: msr daifset, #2$/,
    ours: /^620cd3e4$/,
    reason:
      "QEMU exchanges op1 and op2 in the syndrome (D19.2.37, ISS for MSR, MRS and system instructions).",
  },
  {
    names: /unaligned read of Device memory$/,
    ours: /^9[26]000021$/,
    reason:
      "Unaligned accesses to Device memory fault (B2.7.2), before permissions are looked at; not in QEMU.",
  },
  {
    names: /STXR without a monitor$/,
    ours: /^9[26]000007$/,
    reason: "Whether a failing STXR to a location that faults takes the fault is left open (B2.9.2).",
  },
  {
    names: /^EL1: DC CIVAC of nothing mapped$/,
    ours: /^96000147$/,
    reason: "Cache maintenance by address takes translation faults (D7.5.9.6); QEMU's does nothing.",
  },
  {
    names: /^EL1: DC ZVA of Device memory$/,
    ours: /^96000061$/,
    reason: "DC ZVA of Device memory takes an alignment fault (C5.3.11); not in QEMU.",
  },
  {
    names: /^stage 2: stur w15, \[x1, #3\]$/,
    ours: /^96000061$/,
    reason: "With stage 1 off the memory is Device, and the access is unaligned: stage 1 faults first.",
  },
  {
    names: /^Secure EL1: {2}hvc #1$/,
    ours: /^2000000$/,
    reason: "HVC is UNDEFINED at EL1 where EL2 is disabled (C6.2.129); QEMU 7.2 takes it.",
  },
];
