import { registerNamed } from "../isa/system-registers/table.ts";

/**
 * Names that reach another register at EL2 while HCR_EL2.E2H is set, and those that EL0 reaches another register by
 * while a host runs it (DDI 0487, D5.8.1 "Behaviour of HCR_EL2.E2H").
 */
const AT_EL2: readonly (readonly [from: string, to: string])[] = [
  ["SCTLR_EL1", "SCTLR_EL2"],
  ["CPACR_EL1", "CPTR_EL2"],
  ["TTBR0_EL1", "TTBR0_EL2"],
  ["TTBR1_EL1", "TTBR1_EL2"],
  ["TCR_EL1", "TCR_EL2"],
  ["SPSR_EL1", "SPSR_EL2"],
  ["ELR_EL1", "ELR_EL2"],
  ["AFSR0_EL1", "AFSR0_EL2"],
  ["AFSR1_EL1", "AFSR1_EL2"],
  ["ESR_EL1", "ESR_EL2"],
  ["FAR_EL1", "FAR_EL2"],
  ["MAIR_EL1", "MAIR_EL2"],
  ["AMAIR_EL1", "AMAIR_EL2"],
  ["VBAR_EL1", "VBAR_EL2"],
  ["CONTEXTIDR_EL1", "CONTEXTIDR_EL2"],
  ["SCXTNUM_EL1", "SCXTNUM_EL2"],
  ["CNTKCTL_EL1", "CNTHCTL_EL2"],
];

const TIMERS: readonly (readonly [from: string, to: string])[] = [
  ["CNTP_TVAL_EL0", "CNTHP_TVAL_EL2"],
  ["CNTP_CTL_EL0", "CNTHP_CTL_EL2"],
  ["CNTP_CVAL_EL0", "CNTHP_CVAL_EL2"],
  ["CNTV_TVAL_EL0", "CNTHV_TVAL_EL2"],
  ["CNTV_CTL_EL0", "CNTHV_CTL_EL2"],
  ["CNTV_CVAL_EL0", "CNTHV_CVAL_EL2"],
];

function byEncoding(pairs: readonly (readonly [string, string])[]): ReadonlyMap<number, number> {
  return new Map(pairs.map(([from, to]) => [registerNamed(from).encoding, registerNamed(to).encoding]));
}

/** Encoding named to encoding meant, at EL2 with E2H. */
export const REDIRECTED_AT_EL2 = byEncoding([...AT_EL2, ...TIMERS]);
/** The same at EL0 with E2H and TGE. */
export const REDIRECTED_FOR_HOST_EL0 = byEncoding(TIMERS);

/** All pairs, for the reference. */
export const REDIRECTIONS = {
  "EL2 with E2H": [...AT_EL2, ...TIMERS],
  "EL0 with E2H and TGE": TIMERS,
} as const;
