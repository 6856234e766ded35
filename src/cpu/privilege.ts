import type { Feature } from "../isa/instruction.ts";
import { fieldMask } from "../isa/system-registers/definition.ts";
import { fieldOf } from "../isa/system-registers/table.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { ProcessorOptions } from "./feature-set.ts";

/** Mask of some HCR_EL2 fields. */
function hcrMask(...fields: string[]): bigint {
  return fields.reduce((sum, field) => sum | fieldMask(fieldOf("HCR_EL2", field)), 0n);
}

/** Fields that behave as 0 while HCR_EL2.TGE is 1 (DDI 0487, D19.2.48, the description of each field). */
const CLEARED_BY_TGE = hcrMask(
  ...["SWIO", "PTW", "VF", "VI", "VSE", "FB", "TID1", "TID3", "TSC", "TACR", "TSW"],
  ...["TTLB", "TVM", "HCD", "TRVM", "TLOR"],
);
/** Those that behave as 0 when HCR_EL2.E2H is 1 as well. */
const CLEARED_BY_HOST = hcrMask(
  ...["VM", "FMO", "IMO", "AMO", "BSU", "DC", "TWI", "TWE", "TID0", "TID2", "TPCP", "TPU", "TDZ"],
  ...["CD", "ID", "MIOCNCE"],
);
/** Those that behave as 1 when only TGE is 1. */
const SET_BY_TGE = hcrMask("FMO", "IMO", "AMO");
const TGE = hcrMask("TGE");
const E2H = hcrMask("E2H");

const [SCR_NS] = fieldOf("SCR_EL3", "NS");
const [HCR_TGE] = fieldOf("HCR_EL2", "TGE");
const [HCR_E2H] = fieldOf("HCR_EL2", "E2H");

/** Which exception levels exist and are enabled, and what HCR_EL2 amounts to just now. */
export class Privilege {
  readonly hasEl2: boolean;
  readonly hasEl3: boolean;
  readonly features: ReadonlySet<Feature>;
  readonly #state: ElementState;

  constructor(state: ElementState, options: ProcessorOptions, features: ReadonlySet<Feature>) {
    this.#state = state;
    this.hasEl2 = options.virtualization;
    this.hasEl3 = options.secure;
    this.features = features;
  }

  /** EL0 and EL1 (and, at EL3, what SCR_EL3.NS says of them) are Secure. */
  get secureBelowEl3(): boolean {
    return this.hasEl3 && this.#state.bit(SLOT.SCR_EL3, SCR_NS) === 0;
  }

  /** The current security state. */
  get secure(): boolean {
    return this.hasEl3 && (this.#state.el === 3 || this.#state.bit(SLOT.SCR_EL3, SCR_NS) === 0);
  }

  /** EL2Enabled(): there is no Secure EL2. */
  get el2Enabled(): boolean {
    return this.hasEl2 && !this.secureBelowEl3;
  }

  /** Effective HCR_EL2: zero where EL2 is disabled. */
  get hcr(): bigint {
    if (!this.el2Enabled) return 0n;
    let hcr = this.#state.read(SLOT.HCR_EL2);
    if ((hcr & TGE) === 0n) return hcr;
    hcr &= ~CLEARED_BY_TGE;
    return hcr & E2H ? hcr & ~CLEARED_BY_HOST : hcr | SET_BY_TGE;
  }

  /** Effective HCR_EL2.TGE. */
  get tge(): boolean {
    return this.el2Enabled && this.#state.bit(SLOT.HCR_EL2, HCR_TGE) === 1;
  }

  /** Effective HCR_EL2.E2H. */
  get e2h(): boolean {
    return this.el2Enabled && this.#state.bit(SLOT.HCR_EL2, HCR_E2H) === 1;
  }

  /** HCR_EL2.{E2H,TGE} = {1,1}: EL0 is run by a host at EL2. */
  get host(): boolean {
    return this.e2h && this.#state.bit(SLOT.HCR_EL2, HCR_TGE) === 1;
  }

  /** The level whose SCTLR, TCR and so on govern code at `el`: the regime's. */
  regimeLevel(el: number): 1 | 2 | 3 {
    if (el === 3) return 3;
    if (el === 2) return 2;
    return el === 0 && this.host ? 2 : 1;
  }

  /** Slot of the SCTLR that governs code at `el`. */
  sctlr(el: number): number {
    return SCTLR_OF_REGIME[this.regimeLevel(el)];
  }

  /** Where a synchronous exception goes unless something says otherwise. */
  defaultTarget(): 1 | 2 | 3 {
    const { el } = this.#state;
    if (el === 0) return this.tge ? 2 : 1;
    return el;
  }
}

const SCTLR_OF_REGIME = { 1: SLOT.SCTLR_EL1, 2: SLOT.SCTLR_EL2, 3: SLOT.SCTLR_EL3 } as const;
