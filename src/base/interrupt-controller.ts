/**
 * What a processing element and its interrupt controller say to each other: the GICv3 system-register
 * interface (Arm IHI 0069, chapter 12). The processor and the controller are different rooms; both import this.
 *
 * Who checks what
 * - The processor decides whether an access is allowed at all: exception level, the traps of HCR_EL2
 *   (IMO and FMO for the SGI registers), SCR_EL3.IRQ/FIQ, ICH_HCR_EL2.TC/TALL0/TALL1/TDIR (see
 *   {@link InterruptCpuInterface.hypervisorControl}) and ICC_SRE_ELx.Enable. Here ICC_SRE_EL1 reads 7 and
 *   ICC_SRE_EL2, ICC_SRE_EL3 read 15, ignoring writes, so the SRE traps never fire.
 * - The controller decides which physical, virtual, Secure or Non-secure copy the access reaches, which
 *   priorities the accessor sees, and which optional registers exist ("undefined" for those that do not).
 */

/** Registers of the physical CPU interface; at EL1 under IMO or FMO they reach the virtual one (ICV_*). */
export const ICC_REGISTERS = [
  "ICC_PMR_EL1",
  "ICC_IAR0_EL1",
  "ICC_EOIR0_EL1",
  "ICC_HPPIR0_EL1",
  "ICC_BPR0_EL1",
  "ICC_AP0R0_EL1",
  "ICC_AP0R1_EL1",
  "ICC_AP0R2_EL1",
  "ICC_AP0R3_EL1",
  "ICC_AP1R0_EL1",
  "ICC_AP1R1_EL1",
  "ICC_AP1R2_EL1",
  "ICC_AP1R3_EL1",
  "ICC_DIR_EL1",
  "ICC_RPR_EL1",
  "ICC_SGI1R_EL1",
  "ICC_ASGI1R_EL1",
  "ICC_SGI0R_EL1",
  "ICC_IAR1_EL1",
  "ICC_EOIR1_EL1",
  "ICC_HPPIR1_EL1",
  "ICC_BPR1_EL1",
  "ICC_CTLR_EL1",
  "ICC_SRE_EL1",
  "ICC_IGRPEN0_EL1",
  "ICC_IGRPEN1_EL1",
  "ICC_SRE_EL2",
  "ICC_CTLR_EL3",
  "ICC_SRE_EL3",
  "ICC_IGRPEN1_EL3",
] as const;

/** Registers of the hypervisor control interface. */
export const ICH_REGISTERS = [
  "ICH_AP0R0_EL2",
  "ICH_AP0R1_EL2",
  "ICH_AP0R2_EL2",
  "ICH_AP0R3_EL2",
  "ICH_AP1R0_EL2",
  "ICH_AP1R1_EL2",
  "ICH_AP1R2_EL2",
  "ICH_AP1R3_EL2",
  "ICH_HCR_EL2",
  "ICH_VTR_EL2",
  "ICH_MISR_EL2",
  "ICH_EISR_EL2",
  "ICH_ELRSR_EL2",
  "ICH_VMCR_EL2",
  "ICH_LR0_EL2",
  "ICH_LR1_EL2",
  "ICH_LR2_EL2",
  "ICH_LR3_EL2",
  "ICH_LR4_EL2",
  "ICH_LR5_EL2",
  "ICH_LR6_EL2",
  "ICH_LR7_EL2",
  "ICH_LR8_EL2",
  "ICH_LR9_EL2",
  "ICH_LR10_EL2",
  "ICH_LR11_EL2",
  "ICH_LR12_EL2",
  "ICH_LR13_EL2",
  "ICH_LR14_EL2",
  "ICH_LR15_EL2",
] as const;

export type IccRegister = (typeof ICC_REGISTERS)[number];
export type IchRegister = (typeof ICH_REGISTERS)[number];
export type InterruptRegister = IccRegister | IchRegister;

/** The state of the processing element at the moment of an access. */
export interface InterruptContext {
  readonly el: 0 | 1 | 2 | 3;
  /** SCR_EL3.NS; true on a machine without EL3. At EL3 it chooses the copy of banked registers. */
  readonly nonSecure: boolean;
  /**
   * Effective HCR_EL2.IMO and FMO: false where EL2 is absent or disabled in the current security state.
   * At EL1 they turn accesses of Group 1 (IMO), Group 0 (FMO) and common registers (either) into virtual ones.
   */
  readonly imo: boolean;
  readonly fmo: boolean;
  /**
   * SCR_EL3.IRQ and FIQ; false on a machine without EL3. They decide what ICC_DIR_EL1 may deactivate, and FIQ
   * whether Non-secure code sees only its half of the priorities.
   */
  readonly scrIrq: boolean;
  readonly scrFiq: boolean;
}

/** The four interrupt inputs of a processing element. */
export interface InterruptSignals {
  readonly irq: boolean;
  readonly fiq: boolean;
  readonly virq: boolean;
  readonly vfiq: boolean;
}

/** The controller as one processing element sees it. No call throws, whatever the guest does. */
export interface InterruptCpuInterface {
  /** Reading ICC_IAR*_EL1 acknowledges. "undefined" where the register is absent or write-only. */
  read(register: InterruptRegister, context: InterruptContext): bigint | "undefined";
  /** "undefined" where the register is absent or read-only. */
  write(register: InterruptRegister, value: bigint, context: InterruptContext): "done" | "undefined";
  /**
   * Tells on which side the element runs, since that decides between IRQ and FIQ for Group 1. To be called
   * when EL3 is entered or left and when SCR_EL3.NS changes; never needed on a machine without EL3.
   */
  executionStateChanged(el: 0 | 1 | 2 | 3, nonSecure: boolean): void;
  /** ICH_HCR_EL2 without side effects, for the processor's trap checks. */
  readonly hypervisorControl: number;
}
