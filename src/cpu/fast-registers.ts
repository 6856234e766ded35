import { MASK64 } from "../base/bits.ts";
import { type SystemRegisterName, systemRegister } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { systemRegisterOffset } from "../memory/system-register-offset.ts";
import { HCR_TRVM, HCR_TVM } from "./control-bits.ts";
import type { ElementState } from "./element-state.ts";
import type { InlineCounts } from "./inline-counters.ts";
import type { Privilege } from "./privilege.ts";

/** Conditions kept as bits of PE_LAYOUT.FAST_REGISTERS. */
export const FAST_CONDITIONS = [
  /** Always. */
  "any level",
  /** EL1 and above. */
  "privileged",
  /** EL1 and above, with a stack pointer of its own in use, so that SP_EL0 is in its bank. */
  "stack pointer elsewhere",
  /** EL1 and above, and EL1 names mean EL1's registers. */
  "not redirected",
  /** The same, and neither HCR_EL2.TVM nor TRVM traps them. */
  "not redirected, not trapped",
  /** EL2 and above. */
  "hypervisor",
  /** EL2 with HCR_EL2.E2H: EL1 names mean EL2's registers. */
  "redirected",
  /** DC ZVA traps nowhere. */
  "zeroes freely",
  /** Floating-point and SIMD instructions trap nowhere. */
  "floating point",
  /** EL1 and above; nothing pends that unmasking would let in, and debug exceptions are switched off. */
  "masks freely",
  /** PE_LAYOUT.COUNTER_FROM and what follows say what reads of the counter give, which trap nowhere. */
  "physical counter",
  "virtual counter",
] as const;
export type FastCondition = (typeof FAST_CONDITIONS)[number];

/** An MRS or MSR that is a plain load or store of a u64 in the element's block while its condition holds. */
export interface FastRegister {
  /** Bits 20:5 of the instruction word. */
  readonly encoding: number;
  readonly direction: "read" | "write";
  /** Bit of PE_LAYOUT.FAST_REGISTERS that must be set; otherwise the processor is asked. */
  readonly condition: number;
  /** Byte offset in the element's block. */
  readonly offset: number;
  /** Bits that a write keeps; all others become zero. */
  readonly mask: bigint;
}

function fast(
  name: SystemRegisterName,
  direction: "read" | "write",
  condition: FastCondition,
  offset: number,
): FastRegister {
  const { encoding, writable } = systemRegister(name);
  const mask = direction === "write" ? writable : MASK64;
  return { encoding, direction, condition: FAST_CONDITIONS.indexOf(condition), offset, mask };
}

function both(name: SystemRegisterName, condition: FastCondition, offset: number): FastRegister[] {
  return [fast(name, "read", condition, offset), fast(name, "write", condition, offset)];
}

/** At most one entry holds for an encoding at a time. */
export const FAST_REGISTERS: readonly FastRegister[] = [
  ...both("TPIDR_EL0", "any level", systemRegisterOffset("TPIDR_EL0")),
  fast("TPIDRRO_EL0", "read", "any level", systemRegisterOffset("TPIDRRO_EL0")),
  fast("TPIDRRO_EL0", "write", "privileged", systemRegisterOffset("TPIDRRO_EL0")),
  ...both("TPIDR_EL1", "privileged", systemRegisterOffset("TPIDR_EL1")),
  ...both("TPIDR_EL2", "hypervisor", systemRegisterOffset("TPIDR_EL2")),
  fast("PAR_EL1", "read", "privileged", systemRegisterOffset("PAR_EL1")),
  ...both("SP_EL0", "stack pointer elsewhere", PE_LAYOUT.SP_BANK),
  ...both("ELR_EL1", "not redirected", systemRegisterOffset("ELR_EL1")),
  ...both("SPSR_EL1", "not redirected", systemRegisterOffset("SPSR_EL1")),
  ...both("ESR_EL1", "not redirected, not trapped", systemRegisterOffset("ESR_EL1")),
  ...both("FAR_EL1", "not redirected, not trapped", systemRegisterOffset("FAR_EL1")),
  ...both("ELR_EL1", "redirected", systemRegisterOffset("ELR_EL2")),
  ...both("SPSR_EL1", "redirected", systemRegisterOffset("SPSR_EL2")),
  ...both("ESR_EL1", "redirected", systemRegisterOffset("ESR_EL2")),
  ...both("FAR_EL1", "redirected", systemRegisterOffset("FAR_EL2")),
];

const BIT = Object.fromEntries(FAST_CONDITIONS.map((name, index) => [name, 1 << index])) as Record<
  FastCondition,
  number
>;
const TVM_OR_TRVM = HCR_TVM | HCR_TRVM;

/** What the word depends on besides PSTATE and the hypervisor's registers. */
export interface FastFacts {
  readonly zeroesFreely: boolean;
  readonly floatingPoint: boolean;
  /** No interrupt pends, masked or not, and no debug exception is switched on. */
  readonly isQuiet: boolean;
  readonly counters: InlineCounts;
}

/** The word for PE_LAYOUT.FAST_REGISTERS, to be renewed when a fact, EL, SPSel, HCR_EL2 or SCR_EL3 changes. */
export function fastConditions(state: ElementState, privilege: Privilege, facts: FastFacts): number {
  const { el } = state;
  let word = BIT["any level"];
  if (facts.zeroesFreely) word |= BIT["zeroes freely"];
  if (facts.floatingPoint) word |= BIT["floating point"];
  if (facts.counters.physical) word |= BIT["physical counter"];
  if (facts.counters.virtual) word |= BIT["virtual counter"];
  if (el === 0) return word;
  if (facts.isQuiet) word |= BIT["masks freely"];
  word |= BIT["privileged"];
  if (state.word(PE_LAYOUT.SPSEL) === 1) word |= BIT["stack pointer elsewhere"];
  if (el >= 2 && privilege.hasEl2) word |= BIT["hypervisor"];
  if (el === 2 && privilege.e2h) return word | BIT["redirected"];
  word |= BIT["not redirected"];
  const trapped = el === 1 && privilege.hasEl2 && (privilege.hcr & TVM_OR_TRVM) !== 0n;
  return trapped ? word : word | BIT["not redirected, not trapped"];
}
