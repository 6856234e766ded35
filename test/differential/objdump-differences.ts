/** Where our disassembly and GNU objdump 2.40's differ on purpose. Each entry says why. */
export interface ObjdumpDifference {
  /** Names of rows it may occur in. */
  readonly row: RegExp;
  readonly reason: string;
  /** Whether this pair of lines is that difference. */
  readonly explains: (ours: string, theirs: string) => boolean;
}

export const OBJDUMP_DIFFERENCES: readonly ObjdumpDifference[] = [
  {
    row: /^DGH_hints$/,
    reason: "objdump has no name for the data gathering hint (FEAT_DGH) by default",
    explains: (_, theirs) => theirs === "hint #0x6",
  },
  {
    row: /^MSR_imm_/,
    reason: "objdump names the field only with the values that it thinks of use; the others work, too",
    explains: (_, theirs) => /^msr s0_\d_c4_c\d+_\d, xzr$/.test(theirs),
  },
  {
    row: /^(MSR|MRS)_systemmove$/,
    reason: "one side knows a register's name that the other does not; objdump names by direction as well",
    explains: (ours, theirs) => {
      const generic = /\bs[23]_[0-7]_c\d+_c\d+_[0-7]\b/;
      return ours.startsWith(theirs.slice(0, 3)) && (generic.test(ours) || generic.test(theirs));
    },
  },
  {
    row: /^LDP_STP_ldst/,
    reason: "objdump refuses LDPSW that loads its base or one register twice (CONSTRAINED UNPREDICTABLE)",
    explains: (ours, theirs) => /^ldpsw /.test(ours) && /^\.inst /.test(theirs),
  },
];
