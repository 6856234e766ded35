import { Bug } from "../base/errors.ts";
import { fieldOf, registerIndex, type StoredRegisterName } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

/** What conditions of the trap table may ask for. */
export interface ConditionContext {
  readonly state: ElementState;
  readonly privilege: Privilege;
  /** ICH_HCR_EL2. */
  readonly hypervisorInterruptControl: () => number;
}

export type Condition = (context: ConditionContext) => boolean;

/** Bits of ICH_HCR_EL2 that trap (IHI 0069, 12.4.5). */
const ICH_HCR_FIELDS: Readonly<Record<string, number>> = { TC: 10, TALL0: 11, TALL1: 12, TDIR: 14 };

const STATES: Readonly<Record<string, Condition>> = {
  ALWAYS: () => true,
  HOST: ({ privilege }) => privilege.host,
  E2H: ({ privilege }) => privilege.e2h,
  EL2: ({ privilege }) => privilege.el2Enabled,
  HasEL2: ({ privilege }) => privilege.hasEl2,
  EL3: ({ privilege }) => privilege.hasEl3,
  NS: ({ privilege }) => !privilege.secureBelowEl3,
  SPSel: ({ state }) => state.word(PE_LAYOUT.SPSEL) === 1,
};

/** Compiles a condition of the trap table: see there for the language. */
export function compileCondition(text: string): Condition {
  const alternatives = text.split("|").map((part) => part.split("&").map((term) => compileTerm(term.trim())));
  const [first, ...rest] = alternatives;
  if (first === undefined) throw new Bug("an empty trap condition");
  if (rest.length === 0 && first.length === 1) return first[0]!;
  return (context) => alternatives.some((terms) => terms.every((term) => term(context)));
}

function compileTerm(term: string): Condition {
  if (term.startsWith("!")) {
    const inner = compileTerm(term.slice(1));
    return (context) => !inner(context);
  }
  const state = STATES[term];
  if (state) return state;
  const [register, field] = term.split(".");
  if (register === undefined || field === undefined)
    throw new Bug(`trap condition ${term} is not understood`);
  return compileField(register, field);
}

function compileField(register: string, field: string): Condition {
  if (register === "ICH_HCR_EL2") {
    const bit = ICH_HCR_FIELDS[field];
    if (bit === undefined) throw new Bug(`ICH_HCR_EL2 has no trap ${field}`);
    return ({ hypervisorInterruptControl }) => ((hypervisorInterruptControl() >>> bit) & 1) === 1;
  }
  if (register === "SCTLR") {
    const [bit] = fieldOf("SCTLR_EL1", field);
    return ({ state, privilege }) => state.bit(privilege.host ? SLOT.SCTLR_EL2 : SLOT.SCTLR_EL1, bit) === 1;
  }
  if (register === "CNTKCTL") {
    const [bit] = fieldOf("CNTKCTL_EL1", field);
    return ({ state, privilege }) =>
      state.bit(privilege.host ? SLOT.CNTHCTL_EL2 : SLOT.CNTKCTL_EL1, bit) === 1;
  }
  const [bit] = fieldOf(register, field);
  if (register === "HCR_EL2") {
    const mask = 1n << BigInt(bit);
    return ({ privilege }) => (privilege.hcr & mask) !== 0n;
  }
  if (!(register in SLOT)) throw new Bug(`trap condition reads ${register}, which has no storage`);
  const slot = registerIndex(register as StoredRegisterName);
  return ({ state }) => state.bit(slot, bit) === 1;
}
