/**
 * Which accesses trap (spec S3). Data only: trap-evaluation.ts compiles it, the reference prints it.
 *
 * A condition is a disjunction (`|`) of conjunctions (`&`) of fields, each possibly negated (`!`). A field is
 * written REGISTER.FIELD. Three names stand for the register that governs EL0 in the current regime:
 * SCTLR (SCTLR_EL1, or SCTLR_EL2 when the host runs EL0), CNTKCTL (CNTKCTL_EL1 or CNTHCTL_EL2) and CPACR. HCR_EL2
 * means its effective value, so that everything of EL2's is inactive where EL2 is absent or disabled;
 * HOST stands for HCR_EL2.{E2H,TGE} = {1,1}, E2H for HCR_EL2.E2H, EL2 for "EL2 is enabled", HasEL2 and EL3 for "is
 * implemented", NS for SCR_EL3.NS.
 * Fields of EL3's registers are zero without EL3.
 */
export interface TrapRule {
  readonly name: string;
  /** Registers or system instructions, by name; a trailing `*` matches any continuation. */
  readonly accesses: readonly string[];
  /** Exception levels at which it applies. */
  readonly levels: readonly (0 | 1 | 2 | 3)[];
  /** Absent: both. System instructions count as writes. */
  readonly direction?: "read" | "write";
  readonly when: string;
  /**
   * Where the exception goes; "undefined" makes the access UNDEFINED. Rules for EL1 go to EL2 when HCR_EL2.TGE is
   * set. Rules for EL2 apply only while EL2 is enabled.
   */
  readonly target: 1 | 2 | 3 | "undefined";
}

const TRANSLATION_CONTROLS = [
  "SCTLR_EL1",
  "TTBR0_EL1",
  "TTBR1_EL1",
  "TCR_EL1",
  "ESR_EL1",
  "FAR_EL1",
  "AFSR0_EL1",
  "AFSR1_EL1",
  "MAIR_EL1",
  "AMAIR_EL1",
  "CONTEXTIDR_EL1",
];
/** Debug registers that are neither OS lock and power control nor the ROM address. */
const DEBUG = [
  "DBGBVR*",
  "DBGBCR*",
  "DBGWVR*",
  "DBGWCR*",
  "DBGCLAIM*",
  "DBGAUTHSTATUS_EL1",
  "MDCCINT_EL1",
  "MDSCR_EL1",
  "OSDTRRX_EL1",
  "OSDTRTX_EL1",
  "OSECCR_EL1",
];
const DEBUG_CHANNEL = ["MDCCSR_EL0", "DBGDTR_EL0", "DBGDTRRX_EL0"];
const DEBUG_LOCK = ["OSLAR_EL1", "OSLSR_EL1", "OSDLR_EL1", "DBGPRCR_EL1"];
const COUNTERS = ["PM*"];
/** Performance monitor registers that PMUSERENR_EL0.EN alone opens to EL0. */
const COUNTERS_EN = [
  "PMCR_EL0",
  "PMCNTENSET_EL0",
  "PMCNTENCLR_EL0",
  "PMOVSCLR_EL0",
  "PMOVSSET_EL0",
  "PMCEID0_EL0",
  "PMCEID1_EL0",
  "PMXEVTYPER_EL0",
  "PMEVTYPER*",
  "PMCCFILTR_EL0",
];
const EVENT_COUNTERS = ["PMXEVCNTR_EL0", "PMEVCNTR*"];
const PHYSICAL_TIMER = ["CNTP_TVAL_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"];
const VIRTUAL_TIMER = ["CNTV_TVAL_EL0", "CNTV_CTL_EL0", "CNTV_CVAL_EL0"];
const SECURE_TIMER = ["CNTPS_TVAL_EL1", "CNTPS_CTL_EL1", "CNTPS_CVAL_EL1"];
const LOR_REGIONS = ["LORSA_EL1", "LOREA_EL1", "LORN_EL1", "LORC_EL1"];
const LOR = [...LOR_REGIONS, "LORID_EL1"];
const INTERRUPTS_GROUP0 = [
  "ICC_AP0R*",
  "ICC_BPR0_EL1",
  "ICC_EOIR0_EL1",
  "ICC_HPPIR0_EL1",
  "ICC_IAR0_EL1",
  "ICC_IGRPEN0_EL1",
];
const INTERRUPTS_GROUP1 = [
  "ICC_AP1R*",
  "ICC_BPR1_EL1",
  "ICC_EOIR1_EL1",
  "ICC_HPPIR1_EL1",
  "ICC_IAR1_EL1",
  "ICC_IGRPEN1_EL1",
];
const INTERRUPTS_COMMON = ["ICC_PMR_EL1", "ICC_RPR_EL1", "ICC_CTLR_EL1", "ICC_DIR_EL1"];
const SOFTWARE_INTERRUPTS = ["ICC_SGI0R_EL1", "ICC_SGI1R_EL1", "ICC_ASGI1R_EL1"];
const BY_ADDRESS_TO_UNIFICATION = ["DC CVAU", "IC IVAU"];
const BY_ADDRESS_TO_COHERENCY = ["DC CVAC", "DC CIVAC", "DC CVAP"];
const FLOATING_POINT = ["FPCR", "FPSR"];

/** Stands for every encoding that the architecture leaves to implementations: CRn is 11 or 15. */
export const IMPLEMENTATION_DEFINED = "(implementation defined)";

/** In order of precedence: the first rule that applies decides. */
export const TRAP_RULES: readonly TrapRule[] = [
  // Existence: combinations of state in which a name means nothing.
  {
    name: "EL12 names need E2H",
    accesses: ["*_EL12", "*_EL02"],
    levels: [2, 3],
    when: "!EL2 | !E2H",
    target: "undefined",
  },
  {
    name: "SP_EL0 while it is the stack pointer in use",
    accesses: ["SP_EL0"],
    levels: [1, 2, 3],
    when: "!SPSel",
    target: "undefined",
  },
  {
    name: "secure timer outside of Secure EL1 and EL3",
    accesses: SECURE_TIMER,
    levels: [1],
    when: "NS",
    target: "undefined",
  },
  { name: "secure timer at EL2", accesses: SECURE_TIMER, levels: [2], when: "ALWAYS", target: "undefined" },
  {
    name: "limited ordering is Non-secure",
    accesses: LOR_REGIONS,
    levels: [1, 3],
    when: "!NS",
    target: "undefined",
  },

  {
    name: "RVBAR_EL1 below other levels",
    accesses: ["RVBAR_EL1"],
    levels: [1, 2, 3],
    when: "HasEL2 | EL3",
    target: "undefined",
  },
  { name: "RVBAR_EL2 below EL3", accesses: ["RVBAR_EL2"], levels: [2, 3], when: "EL3", target: "undefined" },

  // Controls of EL1 (or the host at EL2) over EL0.
  { name: "SCTLR.UMA", accesses: ["DAIF"], levels: [0], when: "!SCTLR.UMA", target: 1 },
  { name: "SCTLR.UCT", accesses: ["CTR_EL0"], levels: [0], when: "!SCTLR.UCT", target: 1 },
  { name: "SCTLR.DZE", accesses: ["DC ZVA"], levels: [0], when: "!SCTLR.DZE", target: 1 },
  {
    name: "SCTLR.UCI",
    accesses: [...BY_ADDRESS_TO_UNIFICATION, ...BY_ADDRESS_TO_COHERENCY],
    levels: [0],
    when: "!SCTLR.UCI",
    target: 1,
  },
  { name: "SCTLR.TSCXT", accesses: ["SCXTNUM_EL0"], levels: [0], when: "SCTLR.TSCXT", target: 1 },
  {
    name: "CNTKCTL.EL0PCTEN, EL0VCTEN",
    accesses: ["CNTFRQ_EL0"],
    levels: [0],
    when: "!CNTKCTL.EL0PCTEN & !CNTKCTL.EL0VCTEN",
    target: 1,
  },
  { name: "CNTKCTL.EL0PCTEN", accesses: ["CNTPCT_EL0"], levels: [0], when: "!CNTKCTL.EL0PCTEN", target: 1 },
  { name: "CNTKCTL.EL0VCTEN", accesses: ["CNTVCT_EL0"], levels: [0], when: "!CNTKCTL.EL0VCTEN", target: 1 },
  { name: "CNTKCTL.EL0PTEN", accesses: PHYSICAL_TIMER, levels: [0], when: "!CNTKCTL.EL0PTEN", target: 1 },
  { name: "CNTKCTL.EL0VTEN", accesses: VIRTUAL_TIMER, levels: [0], when: "!CNTKCTL.EL0VTEN", target: 1 },
  { name: "PMUSERENR_EL0.EN", accesses: COUNTERS_EN, levels: [0], when: "!PMUSERENR_EL0.EN", target: 1 },
  {
    name: "PMUSERENR_EL0.EN, SW",
    accesses: ["PMSWINC_EL0"],
    levels: [0],
    when: "!PMUSERENR_EL0.EN & !PMUSERENR_EL0.SW",
    target: 1,
  },
  {
    name: "PMUSERENR_EL0.EN, CR",
    accesses: ["PMCCNTR_EL0"],
    levels: [0],
    direction: "read",
    when: "!PMUSERENR_EL0.EN & !PMUSERENR_EL0.CR",
    target: 1,
  },
  {
    name: "PMUSERENR_EL0.EN for the cycle counter",
    accesses: ["PMCCNTR_EL0"],
    levels: [0],
    direction: "write",
    when: "!PMUSERENR_EL0.EN",
    target: 1,
  },
  {
    name: "PMUSERENR_EL0.EN, ER",
    accesses: EVENT_COUNTERS,
    levels: [0],
    direction: "read",
    when: "!PMUSERENR_EL0.EN & !PMUSERENR_EL0.ER",
    target: 1,
  },
  {
    name: "PMUSERENR_EL0.EN for event counters",
    accesses: EVENT_COUNTERS,
    levels: [0],
    direction: "write",
    when: "!PMUSERENR_EL0.EN",
    target: 1,
  },
  {
    name: "PMUSERENR_EL0.EN, ER for the selector",
    accesses: ["PMSELR_EL0"],
    levels: [0],
    when: "!PMUSERENR_EL0.EN & !PMUSERENR_EL0.ER",
    target: 1,
  },
  { name: "MDSCR_EL1.TDCC", accesses: DEBUG_CHANNEL, levels: [0], when: "MDSCR_EL1.TDCC", target: 1 },

  // Controls of EL2 over EL1 and EL0.
  {
    name: "HCR_EL2.TVM",
    accesses: TRANSLATION_CONTROLS,
    levels: [1],
    direction: "write",
    when: "HCR_EL2.TVM",
    target: 2,
  },
  {
    name: "HCR_EL2.TRVM",
    accesses: TRANSLATION_CONTROLS,
    levels: [1],
    direction: "read",
    when: "HCR_EL2.TRVM",
    target: 2,
  },
  {
    name: "HCR_EL2.TID1",
    accesses: ["REVIDR_EL1", "AIDR_EL1"],
    levels: [1],
    when: "HCR_EL2.TID1",
    target: 2,
  },
  {
    name: "HCR_EL2.TID2",
    accesses: ["CCSIDR_EL1", "CLIDR_EL1", "CSSELR_EL1"],
    levels: [1],
    when: "HCR_EL2.TID2",
    target: 2,
  },
  {
    name: "HCR_EL2.TID2 for CTR_EL0",
    accesses: ["CTR_EL0"],
    levels: [0, 1],
    when: "HCR_EL2.TID2",
    target: 2,
  },
  {
    name: "HCR_EL2.TID3",
    accesses: ["ID_*", "MVFR*", "S3_0_C0_*"],
    levels: [1],
    when: "HCR_EL2.TID3",
    target: 2,
  },
  {
    name: "HCR_EL2.TIDCP",
    accesses: [IMPLEMENTATION_DEFINED],
    levels: [1],
    when: "HCR_EL2.TIDCP",
    target: 2,
  },
  { name: "HCR_EL2.TACR", accesses: ["ACTLR_EL1"], levels: [1], when: "HCR_EL2.TACR", target: 2 },
  {
    name: "HCR_EL2.TSW",
    accesses: ["DC ISW", "DC CSW", "DC CISW"],
    levels: [1],
    when: "HCR_EL2.TSW",
    target: 2,
  },
  {
    name: "HCR_EL2.TPCP",
    accesses: BY_ADDRESS_TO_COHERENCY,
    levels: [0, 1],
    when: "HCR_EL2.TPCP",
    target: 2,
  },
  { name: "HCR_EL2.TPCP for DC IVAC", accesses: ["DC IVAC"], levels: [1], when: "HCR_EL2.TPCP", target: 2 },
  {
    name: "HCR_EL2.TPU",
    accesses: BY_ADDRESS_TO_UNIFICATION,
    levels: [0, 1],
    when: "HCR_EL2.TPU",
    target: 2,
  },
  {
    name: "HCR_EL2.TPU for IC IALLU",
    accesses: ["IC IALLU", "IC IALLUIS"],
    levels: [1],
    when: "HCR_EL2.TPU",
    target: 2,
  },
  { name: "HCR_EL2.TTLB", accesses: ["TLBI *"], levels: [1], when: "HCR_EL2.TTLB", target: 2 },
  { name: "HCR_EL2.TDZ", accesses: ["DC ZVA"], levels: [0, 1], when: "HCR_EL2.TDZ", target: 2 },
  { name: "HCR_EL2.TLOR", accesses: LOR, levels: [1], when: "HCR_EL2.TLOR", target: 2 },
  {
    name: "HCR_EL2.EnSCXT",
    accesses: ["SCXTNUM_EL0"],
    levels: [0, 1],
    when: "EL2 & !HOST & !HCR_EL2.EnSCXT",
    target: 2,
  },
  {
    name: "HCR_EL2.EnSCXT for EL1",
    accesses: ["SCXTNUM_EL1"],
    levels: [1],
    when: "EL2 & !HCR_EL2.EnSCXT",
    target: 2,
  },
  { name: "CPTR_EL2.TCPAC", accesses: ["CPACR_EL1"], levels: [1], when: "CPTR_EL2.TCPAC", target: 2 },
  {
    name: "MDCR_EL2.TDRA",
    accesses: ["MDRAR_EL1"],
    levels: [1],
    when: "MDCR_EL2.TDRA | MDCR_EL2.TDE | HCR_EL2.TGE",
    target: 2,
  },
  {
    name: "MDCR_EL2.TDOSA",
    accesses: DEBUG_LOCK,
    levels: [1],
    when: "MDCR_EL2.TDOSA | MDCR_EL2.TDE | HCR_EL2.TGE",
    target: 2,
  },
  {
    name: "MDCR_EL2.TDA",
    accesses: DEBUG,
    levels: [1],
    when: "MDCR_EL2.TDA | MDCR_EL2.TDE | HCR_EL2.TGE",
    target: 2,
  },
  {
    name: "MDCR_EL2.TDA for the debug channel",
    accesses: DEBUG_CHANNEL,
    levels: [0, 1],
    when: "MDCR_EL2.TDA | MDCR_EL2.TDE | HCR_EL2.TGE",
    target: 2,
  },
  { name: "MDCR_EL2.TPM", accesses: COUNTERS, levels: [0, 1], when: "MDCR_EL2.TPM", target: 2 },
  { name: "MDCR_EL2.TPMCR", accesses: ["PMCR_EL0"], levels: [0, 1], when: "MDCR_EL2.TPMCR", target: 2 },
  // Without E2H bits 0 and 1 of CNTHCTL_EL2 are EL1PCTEN and EL1PCEN; with it they are 10 and 11.
  {
    name: "CNTHCTL_EL2.EL1PCTEN",
    accesses: ["CNTPCT_EL0"],
    levels: [0, 1],
    when: "EL2 & !E2H & !CNTHCTL_EL2.EL0PCTEN | E2H & !HOST & !CNTHCTL_EL2.EL1PCTEN",
    target: 2,
  },
  {
    name: "CNTHCTL_EL2.EL1PCEN, EL1PTEN",
    accesses: PHYSICAL_TIMER,
    levels: [0, 1],
    when: "EL2 & !E2H & !CNTHCTL_EL2.EL0VCTEN | E2H & !HOST & !CNTHCTL_EL2.EL1PTEN",
    target: 2,
  },
  {
    name: "HCR_EL2.FMO, IMO for SGIs",
    accesses: SOFTWARE_INTERRUPTS,
    levels: [1],
    when: "HCR_EL2.FMO | HCR_EL2.IMO",
    target: 2,
  },
  {
    name: "ICH_HCR_EL2.TC",
    accesses: [...INTERRUPTS_COMMON, ...SOFTWARE_INTERRUPTS],
    levels: [1],
    when: "ICH_HCR_EL2.TC",
    target: 2,
  },
  { name: "ICH_HCR_EL2.TDIR", accesses: ["ICC_DIR_EL1"], levels: [1], when: "ICH_HCR_EL2.TDIR", target: 2 },
  {
    name: "ICH_HCR_EL2.TALL0",
    accesses: INTERRUPTS_GROUP0,
    levels: [1],
    when: "ICH_HCR_EL2.TALL0",
    target: 2,
  },
  {
    name: "ICH_HCR_EL2.TALL1",
    accesses: INTERRUPTS_GROUP1,
    levels: [1],
    when: "ICH_HCR_EL2.TALL1",
    target: 2,
  },

  // Controls of EL3 over everything below.
  {
    name: "CPTR_EL3.TCPAC",
    accesses: ["CPACR_EL1", "CPACR_EL12", "CPTR_EL2"],
    levels: [1, 2],
    when: "CPTR_EL3.TCPAC",
    target: 3,
  },
  {
    name: "MDCR_EL3.TDA",
    accesses: [...DEBUG, "MDRAR_EL1", "MDCR_EL2"],
    levels: [1, 2],
    when: "MDCR_EL3.TDA",
    target: 3,
  },
  {
    name: "MDCR_EL3.TDA for the debug channel",
    accesses: DEBUG_CHANNEL,
    levels: [0, 1, 2],
    when: "MDCR_EL3.TDA",
    target: 3,
  },
  { name: "MDCR_EL3.TDOSA", accesses: DEBUG_LOCK, levels: [1, 2], when: "MDCR_EL3.TDOSA", target: 3 },
  { name: "MDCR_EL3.TPM", accesses: COUNTERS, levels: [0, 1, 2], when: "MDCR_EL3.TPM", target: 3 },
  { name: "SCR_EL3.ST", accesses: SECURE_TIMER, levels: [1], when: "!SCR_EL3.ST", target: 3 },
  { name: "SCR_EL3.TLOR", accesses: LOR, levels: [1, 2], when: "SCR_EL3.TLOR", target: 3 },
  {
    name: "SCR_EL3.EnSCXT",
    accesses: ["SCXTNUM_EL0", "SCXTNUM_EL1", "SCXTNUM_EL2", "SCXTNUM_EL12"],
    levels: [0, 1, 2],
    when: "EL3 & !SCR_EL3.EnSCXT",
    target: 3,
  },
  {
    name: "SCR_EL3.FIQ for Group 0",
    accesses: INTERRUPTS_GROUP0,
    levels: [1],
    when: "SCR_EL3.FIQ & !HCR_EL2.FMO",
    target: 3,
  },
  {
    name: "SCR_EL3.FIQ for Group 0 at EL2",
    accesses: INTERRUPTS_GROUP0,
    levels: [2],
    when: "SCR_EL3.FIQ",
    target: 3,
  },
  {
    name: "SCR_EL3.IRQ for Group 1",
    accesses: INTERRUPTS_GROUP1,
    levels: [1],
    when: "SCR_EL3.IRQ & !HCR_EL2.IMO",
    target: 3,
  },
  {
    name: "SCR_EL3.IRQ for Group 1 at EL2",
    accesses: INTERRUPTS_GROUP1,
    levels: [2],
    when: "SCR_EL3.IRQ",
    target: 3,
  },
  {
    name: "SCR_EL3.FIQ, IRQ",
    accesses: [...INTERRUPTS_COMMON, ...SOFTWARE_INTERRUPTS],
    levels: [1],
    when: "SCR_EL3.FIQ & SCR_EL3.IRQ & !HCR_EL2.FMO & !HCR_EL2.IMO",
    target: 3,
  },
  {
    name: "SCR_EL3.FIQ, IRQ at EL2",
    accesses: [...INTERRUPTS_COMMON, ...SOFTWARE_INTERRUPTS],
    levels: [2],
    when: "SCR_EL3.FIQ & SCR_EL3.IRQ",
    target: 3,
  },
];

/** Accesses that take the floating-point trap (class 0x07) when the unit is switched off. */
export const FLOATING_POINT_ACCESSES: readonly string[] = FLOATING_POINT;

/** A wait or a call that a level above may claim for itself. The first row that applies decides. */
export interface EventTrap {
  readonly event: "WFI" | "WFE" | "SMC" | "HVC";
  readonly levels: readonly (0 | 1 | 2 | 3)[];
  readonly when: string;
  readonly target: 1 | 2 | 3 | "undefined";
}

export const EVENT_TRAPS: readonly EventTrap[] = [
  { event: "WFI", levels: [0], when: "!SCTLR.nTWI", target: 1 },
  { event: "WFI", levels: [0, 1], when: "HCR_EL2.TWI", target: 2 },
  { event: "WFI", levels: [0, 1, 2], when: "SCR_EL3.TWI", target: 3 },
  { event: "WFE", levels: [0], when: "!SCTLR.nTWE", target: 1 },
  { event: "WFE", levels: [0, 1], when: "HCR_EL2.TWE", target: 2 },
  { event: "WFE", levels: [0, 1, 2], when: "SCR_EL3.TWE", target: 3 },
  { event: "SMC", levels: [0], when: "ALWAYS", target: "undefined" },
  { event: "SMC", levels: [1], when: "HCR_EL2.TSC", target: 2 },
  { event: "SMC", levels: [1, 2, 3], when: "!EL3 | SCR_EL3.SMD", target: "undefined" },
  { event: "HVC", levels: [0], when: "ALWAYS", target: "undefined" },
  { event: "HVC", levels: [1], when: "!EL2", target: "undefined" },
  { event: "HVC", levels: [1, 2, 3], when: "EL3 & !SCR_EL3.HCE | !EL3 & HCR_EL2.HCD", target: "undefined" },
];
