import type {
  IccRegister,
  IchRegister,
  InterruptContext,
  InterruptCpuInterface,
  InterruptRegister,
  InterruptSignals,
} from "../../base/interrupt-controller.ts";
import { FIRST_PPI } from "../../base/interrupt-ids.ts";
import { choiceField, flagField, nestedFields, type StateField } from "../../base/state-fields.ts";
import { GROUP0, GROUP1_NON_SECURE, GROUP1_SECURE, type Group, MAINTENANCE_PPI } from "./constants.ts";
import { type InterruptCore, PhysicalInterface } from "./physical-interface.ts";
import type { Redistributor } from "./redistributor.ts";
import { ICC_ROWS, ICH_ROWS } from "./system-registers.ts";
import { VirtualInterface } from "./virtual-interface.ts";

const LEVELS = ["EL0", "EL1", "EL2", "EL3"] as const;

/** The CPU interface of one processing element: routes register accesses and makes the four signals. */
export class CpuInterface implements InterruptCpuInterface {
  readonly physical: PhysicalInterface;
  readonly virtual: VirtualInterface;
  readonly redistributor: Redistributor;
  readonly #options: { security: boolean; virtualization: boolean };
  readonly #settle: () => void;
  #el: 0 | 1 | 2 | 3;
  #nonSecure: boolean;
  #signals: InterruptSignals = { irq: false, fiq: false, virq: false, vfiq: false };

  /** `settle` is called after each access that can change something. */
  constructor(
    core: InterruptCore,
    redistributor: Redistributor,
    options: { security: boolean; virtualization: boolean },
    settle: () => void,
  ) {
    this.redistributor = redistributor;
    this.physical = new PhysicalInterface(core, redistributor);
    this.virtual = new VirtualInterface((intid) => this.physical.deactivatePhysical(intid));
    this.#options = options;
    this.#settle = settle;
    this.#el = options.security ? 3 : 1;
    this.#nonSecure = !options.security;
  }

  reset(): void {
    this.physical.reset();
    this.virtual.reset();
    this.#el = this.#options.security ? 3 : 1;
    this.#nonSecure = !this.#options.security;
  }

  stateFields(): readonly StateField[] {
    return [
      ...nestedFields("physical", this.physical.stateFields()),
      ...nestedFields("virtual", this.virtual.stateFields()),
      choiceField(
        "level",
        LEVELS,
        () => LEVELS[this.#el],
        (value) => {
          // Its position is its level.
          this.#el = LEVELS.indexOf(value) as 0 | 1 | 2 | 3;
        },
      ),
      flagField(
        "nonSecure",
        () => this.#nonSecure,
        (value) => {
          this.#nonSecure = value;
        },
      ),
    ];
  }

  get hypervisorControl(): number {
    return this.virtual.control;
  }

  /** The signals last computed by {@link updateSignals}. */
  get signals(): InterruptSignals {
    return this.#signals;
  }

  read(register: InterruptRegister, context: InterruptContext): bigint | "undefined" {
    const row = this.#row(register, context);
    if (row?.read === undefined) return "undefined";
    const value = row.read(this, context);
    // Only acknowledging changes anything.
    if (row.write === undefined) this.#settle();
    return typeof value === "bigint" ? value : BigInt(value >>> 0);
  }

  write(register: InterruptRegister, value: bigint, context: InterruptContext): "done" | "undefined" {
    const row = this.#row(register, context);
    if (row?.write === undefined) return "undefined";
    row.write(this, value, context);
    this.#settle();
    return "done";
  }

  executionStateChanged(el: 0 | 1 | 2 | 3, nonSecure: boolean): void {
    this.#el = el;
    this.#nonSecure = nonSecure;
    this.#settle();
  }

  /** Drives the maintenance interrupt; to be called before signals are updated. */
  updateMaintenance(): void {
    if (!this.#options.virtualization) return;
    this.redistributor.bank.setLevel(FIRST_PPI + MAINTENANCE_PPI, this.virtual.maintenanceAsserted);
  }

  /** Recomputes the signals and returns true when they changed. */
  updateSignals(): boolean {
    const group = this.physical.signalledGroup;
    const fiq = group !== undefined && this.#isFiq(group);
    const irq = group !== undefined && !fiq;
    const virtual = this.#options.virtualization ? this.virtual.signal : "none";
    const virq = virtual === "virq";
    const vfiq = virtual === "vfiq";
    const old = this.#signals;
    if (old.irq === irq && old.fiq === fiq && old.virq === virq && old.vfiq === vfiq) return false;
    this.#signals = { irq, fiq, virq, vfiq };
    return true;
  }

  /** IHI 0069, 4.6.2: Group 1 of the other security state, and all of it at EL3, is a fast interrupt. */
  #isFiq(group: Group): boolean {
    const secure = this.#el === 3 || !this.#nonSecure;
    switch (group) {
      case GROUP0:
        return true;
      case GROUP1_SECURE:
        return this.#el === 3 || !secure;
      case GROUP1_NON_SECURE:
        return secure;
    }
  }

  #row(register: InterruptRegister, context: InterruptContext) {
    const icc = ICC_ROWS[register as IccRegister];
    if (icc === undefined)
      return this.#options.virtualization ? ICH_ROWS[register as IchRegister] : undefined;
    if (icc.onlyWith !== undefined && !this.#options[icc.onlyWith]) return undefined;
    return icc.virtual !== undefined && context.el === 1 && this.#isVirtual(icc.virtual.when, context)
      ? icc.virtual
      : icc;
  }

  #isVirtual(when: "imo" | "fmo" | "either", context: InterruptContext): boolean {
    if (!this.#options.virtualization) return false;
    return when === "either" ? context.imo || context.fmo : context[when];
  }
}
