import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { SCTLR_DSSBS, SCTLR_SPAN } from "./control-bits.ts";
import { DAIF, type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

/** Vector offsets of the kinds of exceptions within a group (DDI 0487, D1.3.1.5). */
export const VECTOR = { SYNCHRONOUS: 0x000, IRQ: 0x080, FIQ: 0x100, SERROR: 0x180 } as const;

/** An exception about to be taken. */
export interface Exception {
  readonly target: 1 | 2 | 3;
  readonly vector: (typeof VECTOR)[keyof typeof VECTOR];
  /** Preferred return address. */
  readonly returnAddress: bigint;
  /** Value for ESR_ELx; undefined leaves it (interrupts). */
  readonly syndrome?: number;
  /** Value for FAR_ELx. */
  readonly faultAddress?: bigint;
  /** Value for HPFAR_EL2. */
  readonly intermediateAddress?: bigint;
}

const BANKED = {
  1: { spsr: SLOT.SPSR_EL1, elr: SLOT.ELR_EL1, esr: SLOT.ESR_EL1, far: SLOT.FAR_EL1, vbar: SLOT.VBAR_EL1 },
  2: { spsr: SLOT.SPSR_EL2, elr: SLOT.ELR_EL2, esr: SLOT.ESR_EL2, far: SLOT.FAR_EL2, vbar: SLOT.VBAR_EL2 },
  3: { spsr: SLOT.SPSR_EL3, elr: SLOT.ELR_EL3, esr: SLOT.ESR_EL3, far: SLOT.FAR_EL3, vbar: SLOT.VBAR_EL3 },
} as const;

const SPSR = { SSBS: 12, IL: 20, SS: 21, PAN: 22, UAO: 23 } as const;

/** PSTATE as SPSR_ELx keeps it. */
function savedStatus(state: ElementState): number {
  return (
    ((state.nzcv << 28) |
      (state.word(PE_LAYOUT.UAO) << SPSR.UAO) |
      (state.word(PE_LAYOUT.PAN) << SPSR.PAN) |
      (state.word(PE_LAYOUT.SS) << SPSR.SS) |
      (state.word(PE_LAYOUT.IL) << SPSR.IL) |
      (state.word(PE_LAYOUT.SSBS) << SPSR.SSBS) |
      (state.word(PE_LAYOUT.DAIF) << 6) |
      (state.el << 2) |
      state.word(PE_LAYOUT.SPSEL)) >>>
    0
  );
}

/** Takes an exception: banked registers, PSTATE and PC. What depends on PSTATE is the caller's to refresh. */
export function enterException(state: ElementState, privilege: Privilege, exception: Exception): void {
  const { target, vector } = exception;
  const banked = BANKED[target];
  const from = state.el;
  state.write(banked.spsr, BigInt(savedStatus(state)));
  state.write(banked.elr, exception.returnAddress);
  if (exception.syndrome !== undefined) state.write(banked.esr, BigInt(exception.syndrome >>> 0));
  if (exception.faultAddress !== undefined) state.write(banked.far, exception.faultAddress);
  if (exception.intermediateAddress !== undefined) state.write(SLOT.HPFAR_EL2, exception.intermediateAddress);
  const group = from < target ? 0x400 : state.word(PE_LAYOUT.SPSEL) === 1 ? 0x200 : 0x000;
  if (setsPan(state, privilege, target)) state.setWord(PE_LAYOUT.PAN, 1);
  if (privilege.features.has("FEAT_SSBS")) {
    state.setWord(PE_LAYOUT.SSBS, state.bit(privilege.sctlr(target), SCTLR_DSSBS));
  }
  state.setWord(PE_LAYOUT.UAO, 0);
  state.setWord(PE_LAYOUT.SS, 0);
  state.setWord(PE_LAYOUT.IL, 0);
  state.setWord(PE_LAYOUT.DAIF, DAIF.ALL);
  state.selectLevel(target, 1);
  state.pc = state.read(banked.vbar) + BigInt(group + vector);
}

/** Levels that share their regime with EL0 start with PAN set unless SCTLR_ELx.SPAN forbids it. */
function setsPan(state: ElementState, privilege: Privilege, target: number): boolean {
  if (!privilege.features.has("FEAT_PAN")) return false;
  if (target === 1) return state.bit(SLOT.SCTLR_EL1, SCTLR_SPAN) === 0;
  return target === 2 && privilege.host && state.bit(SLOT.SCTLR_EL2, SCTLR_SPAN) === 0;
}

/** Why an exception return is illegal (DDI 0487, D1.4.5), or undefined when it is not. */
export function illegalReturn(spsr: number, from: number, privilege: Privilege): string | undefined {
  const isAArch32 = (spsr & 0x10) !== 0;
  if (isAArch32) return "AArch32 is not implemented";
  const el = (spsr >> 2) & 3;
  if ((spsr & 2) !== 0) return "SPSR.M[1] is set";
  if (el === 0 && (spsr & 1) !== 0) return "EL0 has no stack pointer of its own to select";
  if (el > from) return "the target is above the current exception level";
  if (el === 2 && !privilege.el2Enabled) return "EL2 is absent or disabled";
  if (el === 1 && privilege.tge) return "HCR_EL2.TGE leaves no EL1";
  return undefined;
}

/**
 * Restores PSTATE and PC from SPSR_ELx and ELR_ELx. `steps` is PSTATE.SS after the return, see debug-unit.ts.
 * What depends on PSTATE is the caller's to refresh.
 */
export function returnFromException(
  state: ElementState,
  privilege: Privilege,
  steps: (spsr: number) => number,
): void {
  const from = state.el;
  const banked = BANKED[from === 0 ? 1 : from];
  const spsr = state.low(banked.spsr);
  const elr = state.read(banked.elr);
  state.setWord(PE_LAYOUT.SS, steps(spsr));
  if (illegalReturn(spsr, from, privilege) !== undefined) {
    state.setWord(PE_LAYOUT.IL, 1);
  } else {
    state.setWord(PE_LAYOUT.IL, (spsr >>> SPSR.IL) & 1);
    if (privilege.features.has("FEAT_SSBS")) state.setWord(PE_LAYOUT.SSBS, (spsr >>> SPSR.SSBS) & 1);
    state.selectLevel((spsr >> 2) & 3, spsr & 1);
  }
  state.nzcv = spsr >>> 28;
  state.setWord(PE_LAYOUT.DAIF, (spsr >> 6) & 15);
  if (privilege.features.has("FEAT_PAN")) state.setWord(PE_LAYOUT.PAN, (spsr >>> SPSR.PAN) & 1);
  if (privilege.features.has("FEAT_UAO")) state.setWord(PE_LAYOUT.UAO, (spsr >>> SPSR.UAO) & 1);
  state.setWord(PE_LAYOUT.EXCLUSIVE_ADDRESS, 0);
  state.pc = branchAddress(state, privilege, elr);
}

/** TBI bits of the TCR that governs each regime: lower and upper half. */
const TBI0 = 37;
const TBI1 = 38;
const TBI = 20;

/** An address without the tag that the regime of the current level ignores (BranchAddr in the manual). */
function branchAddress(state: ElementState, privilege: Privilege, address: bigint): bigint {
  const regime = privilege.regimeLevel(state.el);
  const upper = (address >> 55n) & 1n;
  if (regime === 1 || (regime === 2 && privilege.e2h)) {
    const tcr = regime === 1 ? SLOT.TCR_EL1 : SLOT.TCR_EL2;
    if (state.bit(tcr, upper ? TBI1 : TBI0) === 0) return address;
    return BigInt.asUintN(64, BigInt.asIntN(56, address));
  }
  const tcr = regime === 2 ? SLOT.TCR_EL2 : SLOT.TCR_EL3;
  return state.bit(tcr, TBI) === 0 ? address : BigInt.asUintN(56, address);
}
