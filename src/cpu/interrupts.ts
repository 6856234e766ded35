import type { InterruptSignals } from "../base/interrupt-controller.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { HCR_AMO, HCR_FMO, HCR_IMO, HCR_VF, HCR_VI, HCR_VSE, SCR_FIQ, SCR_IRQ } from "./control-bits.ts";
import { DAIF, type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

/** The interrupt that would be taken now, and where. */
export interface PendingInterrupt {
  readonly kind: "irq" | "fiq" | "virtualSError";
  readonly target: 1 | 2 | 3;
}

/**
 * The interrupt to take now, if any. Where several are pending: FIQ, IRQ, virtual IRQ, virtual FIQ, virtual
 * SError (the order is the implementation's choice; this is QEMU's).
 */
export function pendingInterrupt(
  state: ElementState,
  privilege: Privilege,
  signals: InterruptSignals,
): PendingInterrupt | undefined {
  const { irq, fiq } = signals;
  if (fiq) {
    const target = physicalTarget(state, privilege, "fiq");
    if (target !== undefined) return { kind: "fiq", target };
  }
  if (irq) {
    const target = physicalTarget(state, privilege, "irq");
    if (target !== undefined) return { kind: "irq", target };
  }
  if (!privilege.hasEl2 || state.el > 1) return undefined;
  return virtualInterrupt(state, privilege.hcr, signals);
}

/** Something pends that ends WFI, masked or not. */
export function wakesUp(state: ElementState, privilege: Privilege, signals: InterruptSignals): boolean {
  if (signals.irq || signals.fiq) return true;
  if (!privilege.hasEl2 || state.el > 1) return false;
  const { hcr } = privilege;
  if (hcr & HCR_IMO && (signals.virq || hcr & HCR_VI)) return true;
  if (hcr & HCR_FMO && (signals.vfiq || hcr & HCR_VF)) return true;
  return (hcr & HCR_AMO) !== 0n && (hcr & HCR_VSE) !== 0n;
}

/** Where a physical interrupt is taken, or undefined while it is masked (DDI 0487, D1.3.6.1 and D1.3.6.3). */
function physicalTarget(
  state: ElementState,
  privilege: Privilege,
  kind: "irq" | "fiq",
): 1 | 2 | 3 | undefined {
  const { el } = state;
  const masked = (state.word(PE_LAYOUT.DAIF) & (kind === "irq" ? DAIF.I : DAIF.F)) !== 0;
  if (privilege.hasEl3 && state.bit(SLOT.SCR_EL3, kind === "irq" ? SCR_IRQ : SCR_FIQ) === 1) {
    return el < 3 || !masked ? 3 : undefined;
  }
  if (el === 3) return undefined;
  if (privilege.hasEl2 && privilege.el2Enabled) {
    const routed = privilege.tge || (privilege.hcr & (kind === "irq" ? HCR_IMO : HCR_FMO)) !== 0n;
    if (routed) {
      if (el === 2 || privilege.host) return masked ? undefined : 2;
      return 2;
    }
    if (el === 2) return undefined;
  }
  return masked ? undefined : 1;
}

function virtualInterrupt(
  state: ElementState,
  hcr: bigint,
  { virq, vfiq }: InterruptSignals,
): PendingInterrupt | undefined {
  const daif = state.word(PE_LAYOUT.DAIF);
  if ((daif & DAIF.I) === 0 && hcr & HCR_IMO && (virq || hcr & HCR_VI)) return { kind: "irq", target: 1 };
  if ((daif & DAIF.F) === 0 && hcr & HCR_FMO && (vfiq || hcr & HCR_VF)) return { kind: "fiq", target: 1 };
  if ((daif & DAIF.A) === 0 && hcr & HCR_AMO && hcr & HCR_VSE) return { kind: "virtualSError", target: 1 };
  return undefined;
}
