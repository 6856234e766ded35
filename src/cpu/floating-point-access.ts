import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

const FPEN = 20;
const TFP = 10;

/** The level that floating-point instructions trap to at the current level, or undefined (DDI 0487, D1.3.6). */
export function floatingPointTrapTarget(state: ElementState, privilege: Privilege): 1 | 2 | 3 | undefined {
  const { el } = state;
  if (el < 2 && !privilege.host) {
    const enabled = (state.low(SLOT.CPACR_EL1) >>> FPEN) & 3;
    if ((enabled & 1) === 0 || (enabled === 1 && el === 0)) return privilege.tge ? 2 : 1;
  }
  if (el < 3 && privilege.el2Enabled) {
    if (privilege.e2h) {
      const enabled = (state.low(SLOT.CPTR_EL2) >>> FPEN) & 3;
      if ((enabled & 1) === 0 || (enabled === 1 && el === 0 && privilege.tge)) return 2;
    } else if (state.bit(SLOT.CPTR_EL2, TFP) === 1) return 2;
  }
  if (privilege.hasEl3 && state.bit(SLOT.CPTR_EL3, TFP) === 1) return 3;
  return undefined;
}
