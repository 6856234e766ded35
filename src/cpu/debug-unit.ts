import { BREAKPOINTS, WATCHPOINTS } from "../isa/system-registers/debug.ts";
import { fieldOf } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { DAIF, type ElementState, SLOT } from "./element-state.ts";
import { illegalReturn } from "./exceptions.ts";
import type { Privilege } from "./privilege.ts";

const [MDSCR_SS] = fieldOf("MDSCR_EL1", "SS");
const [MDSCR_KDE] = fieldOf("MDSCR_EL1", "KDE");
const [MDSCR_MDE] = fieldOf("MDSCR_EL1", "MDE");
const [OSLK] = fieldOf("OSLSR_EL1", "OSLK");
const [SDD] = fieldOf("MDCR_EL3", "SDD");
const [TDE] = fieldOf("MDCR_EL2", "TDE");
const VIRTUAL_ADDRESS_BITS = 49;

const BREAKPOINT_SLOTS = Array.from({ length: BREAKPOINTS }, (_, n) => ({
  value: SLOT[`DBGBVR${n}_EL1`]!,
  control: SLOT[`DBGBCR${n}_EL1`]!,
}));
const WATCHPOINT_SLOTS = Array.from({ length: WATCHPOINTS }, (_, n) => ({
  value: SLOT[`DBGWVR${n}_EL1`]!,
  control: SLOT[`DBGWCR${n}_EL1`]!,
}));

/** Self-hosted debug (DDI 0487, chapter D2): when its exceptions are enabled, and what matches. */
export class DebugUnit {
  readonly #state: ElementState;
  readonly #privilege: Privilege;

  constructor(state: ElementState, privilege: Privilege) {
    this.#state = state;
    this.#privilege = privilege;
  }

  /** The level that debug exceptions go to. */
  target(secure: boolean): 1 | 2 {
    const { hasEl2, tge } = this.#privilege;
    const routed = hasEl2 && !secure && (tge || this.#state.bit(SLOT.MDCR_EL2, TDE) === 1);
    return routed ? 2 : 1;
  }

  /** The same for the current state, where BRK goes unless the level is higher already. */
  get currentTarget(): 1 | 2 {
    return this.target(this.#privilege.secure);
  }

  /** Debug exceptions other than BRK can be generated at `el`, with PSTATE.D = `masked`. */
  #generates(el: number, secure: boolean, masked: boolean): boolean {
    const state = this.#state;
    if (state.bit(SLOT.OSLSR_EL1, OSLK) === 1 || this.#doubleLocked) return false;
    const target = this.target(secure);
    const allowed = !this.#privilege.hasEl3 || !secure || state.bit(SLOT.MDCR_EL3, SDD) === 0;
    if (!allowed) return false;
    if (el === target) return state.bit(SLOT.MDSCR_EL1, MDSCR_KDE) === 1 && !masked;
    return target > el;
  }

  /** OSDLR_EL1.DLK without DBGPRCR_EL1.CORENPDRQ. */
  get #doubleLocked(): boolean {
    return this.#state.bit(SLOT.OSDLR_EL1, 0) === 1 && this.#state.bit(SLOT.DBGPRCR_EL1, 0) === 0;
  }

  get #generatesNow(): boolean {
    const masked = (this.#state.word(PE_LAYOUT.DAIF) & DAIF.D) !== 0;
    return this.#generates(this.#state.el, this.#privilege.secure, masked);
  }

  /** Software step is active at the current level: PSTATE.SS says whether an instruction is still allowed. */
  get stepActive(): boolean {
    return this.#state.bit(SLOT.MDSCR_EL1, MDSCR_SS) === 1 && this.#generatesNow;
  }

  /** Software step, breakpoints or watchpoints are switched on, whether they generate exceptions now or not. */
  get isInUse(): boolean {
    const isSet = (field: number): boolean => this.#state.bit(SLOT.MDSCR_EL1, field) === 1;
    return isSet(MDSCR_SS) || isSet(MDSCR_MDE);
  }

  get hasBreakpoints(): boolean {
    return this.#enabled(BREAKPOINT_SLOTS);
  }

  get hasWatchpoints(): boolean {
    return this.#enabled(WATCHPOINT_SLOTS);
  }

  #enabled(slots: readonly { control: number }[]): boolean {
    if (this.#state.bit(SLOT.MDSCR_EL1, MDSCR_MDE) === 0 || !this.#generatesNow) return false;
    return slots.some(({ control }) => this.#state.bit(control, 0) === 1);
  }

  /** PSTATE.SS after an exception return with this SPSR (DebugExceptionReturnSS in the manual). */
  stepAfterReturn(spsr: number): number {
    const state = this.#state;
    if (state.bit(SLOT.MDSCR_EL1, MDSCR_SS) === 0 || this.#generatesNow) return 0;
    const legal = illegalReturn(spsr, state.el, this.#privilege) === undefined;
    const destination = legal ? (spsr >> 2) & 3 : state.el;
    const secure = destination === 3 || this.#privilege.secureBelowEl3;
    const masked = ((spsr >> 6) & DAIF.D) !== 0;
    return this.#generates(destination, secure, masked) ? (spsr >>> 21) & 1 : 0;
  }

  /** A breakpoint matches the instruction at `pc`. */
  breakpointMatches(pc: bigint): boolean {
    return BREAKPOINT_SLOTS.some(({ control }, n) => {
      const word = this.#state.low(control);
      const type = (word >>> 20) & 15;
      // Linked context breakpoints only match by way of those that link to them.
      const isLinkTarget = (type & 1) === 1 && type !== 1;
      if ((word & 1) === 0 || isLinkTarget || !this.#stateMatches(word, 0)) return false;
      return this.#breakpointValueMatches(n, pc);
    });
  }

  #breakpointValueMatches(n: number, pc: bigint): boolean {
    const slots = BREAKPOINT_SLOTS[n]!;
    const word = this.#state.low(slots.control);
    const type = (word >>> 20) & 15;
    if (type > 1) return this.#contextMatches(n, type & ~1);
    const value = this.#state.read(slots.value);
    if (BigInt.asUintN(VIRTUAL_ADDRESS_BITS, value ^ pc) >> 2n !== 0n) return false;
    return type === 0 || this.#linkMatches((word >>> 16) & 15);
  }

  /** The breakpoint that another one or a watchpoint links to. */
  #linkMatches(n: number): boolean {
    const slots = BREAKPOINT_SLOTS[n];
    if (slots === undefined) return false;
    const word = this.#state.low(slots.control);
    const type = (word >>> 20) & 15;
    if ((word & 1) === 0 || (type & 1) === 0 || type === 1) return false;
    return this.#contextMatches(n, type & ~1);
  }

  /** Breakpoint types 2 (context), 6 (CONTEXTIDR_EL1), 8 (VMID), 10 (both), 12 and 14 (CONTEXTIDR_EL2). */
  #contextMatches(n: number, type: number): boolean {
    const state = this.#state;
    const { el } = state;
    const value = state.read(BREAKPOINT_SLOTS[n]!.value);
    const low = Number(value & 0xffff_ffffn);
    const high = Number(value >> 32n);
    const isGuest = el < 2 && !this.#privilege.host;
    const context1 = isGuest && state.low(SLOT.CONTEXTIDR_EL1) === low;
    const machine =
      isGuest && this.#privilege.el2Enabled && state.high(SLOT.VTTBR_EL2) >>> 16 === (high & 0xffff);
    const context2 = el < 3 && this.#privilege.el2Enabled && state.low(SLOT.CONTEXTIDR_EL2) === high;
    switch (type) {
      case 2: {
        const byHost = (el === 2 && this.#privilege.e2h) || (el === 0 && this.#privilege.host);
        return byHost ? state.low(SLOT.CONTEXTIDR_EL2) === low : context1;
      }
      case 6:
        return context1;
      case 8:
        return machine;
      case 10:
        return context1 && machine;
      case 12:
        return context2;
      case 14:
        return context1 && context2;
      default:
        return false;
    }
  }

  /** A watchpoint matches an access. `unprivileged`: checked as EL0's, which LDTR and siblings are too (D2.10.5). */
  watchpointMatches(address: bigint, size: number, isWrite: boolean, unprivileged: boolean): boolean {
    return WATCHPOINT_SLOTS.some(({ value, control }) => {
      const word = this.#state.low(control);
      if ((word & 1) === 0) return false;
      const kinds = (word >>> 3) & 3;
      if ((kinds & (isWrite ? 2 : 1)) === 0) return false;
      if (!this.#stateMatches(word, unprivileged ? 1 : 0)) return false;
      if (((word >>> 20) & 1) === 1 && !this.#linkMatches((word >>> 16) & 15)) return false;
      return overlapsWatch(this.#state.read(value), word, address, size);
    });
  }

  /** HMC, SSC and PMC or PAC against the current level and security state (StateMatch in the manual). */
  #stateMatches(control: number, unprivileged: number): boolean {
    const levels = (control >>> 1) & 3;
    const higher = ((control >>> 13) & 1) === 1;
    const security = (control >>> 14) & 3;
    const { secure, hasEl2, hasEl3 } = this.#privilege;
    const el = unprivileged === 1 ? 0 : this.#state.el;
    const byLevel = [
      (levels & 2) !== 0,
      (levels & 1) !== 0,
      hasEl2 && ((higher && !(security === 2 && levels === 0)) || security === 3),
      hasEl3 && higher && (security & 1) === 0,
    ][el];
    if (!byLevel) return false;
    if (security === 1) return !secure;
    if (security === 2) return secure;
    return security === 0 || higher || secure;
  }
}

/** DBGWCR.MASK (from 3: a power of two) or BAS (bytes of a double word) against the bytes accessed. */
function overlapsWatch(base: bigint, control: number, address: bigint, size: number): boolean {
  const start = BigInt.asUintN(VIRTUAL_ADDRESS_BITS, address);
  const end = start + BigInt(size);
  const watched = BigInt.asUintN(VIRTUAL_ADDRESS_BITS, base);
  const mask = (control >>> 24) & 31;
  if (mask >= 3) {
    const length = 1n << BigInt(mask);
    const first = watched & ~(length - 1n);
    return start < first + length && end > first;
  }
  const select = (control >>> 5) & 0xff;
  for (let byte = 0; byte < 8; byte++) {
    const at = watched + BigInt(byte);
    if (((select >>> byte) & 1) === 1 && at >= start && at < end) return true;
  }
  return false;
}
