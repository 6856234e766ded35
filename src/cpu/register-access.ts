import type {
  InterruptContext,
  InterruptCpuInterface,
  InterruptRegister,
} from "../base/interrupt-controller.ts";
import type { Affects, SystemRegister } from "../isa/system-registers/definition.ts";
import { indexOf, REGISTER_BY_ENCODING, registerNamed } from "../isa/system-registers/table.ts";
import type { ComputedRegister } from "./computed-registers.ts";
import type { ConditionContext } from "./condition.ts";
import { HCR_FMO, HCR_IMO, SCR_FIQ, SCR_IRQ } from "./control-bits.ts";
import { floatingPointTrapTarget } from "./floating-point-access.ts";
import { REDIRECTED_AT_EL2, REDIRECTED_FOR_HOST_EL0 } from "./redirection.ts";
import { isReachable, type TrapTable } from "./trap-evaluation.ts";
import { FLOATING_POINT_ACCESSES } from "./trap-table.ts";

/** What became of an MRS or MSR. */
export type AccessResult =
  | { readonly type: "read"; readonly value: bigint }
  | { readonly type: "written"; readonly affects: readonly Affects[] }
  | { readonly type: "undefined" }
  | { readonly type: "trap"; readonly target: 1 | 2 | 3 }
  | { readonly type: "floatingPointTrap"; readonly target: 1 | 2 | 3 };

const UNDEFINED: AccessResult = { type: "undefined" };

/** How a register's value is reached once an access is allowed. */
interface Access {
  readonly read: () => bigint | "undefined";
  readonly write: (value: bigint) => "done" | "undefined";
}

interface Plan {
  /** As named by the instruction. */
  readonly row: SystemRegister;
  /** As meant: aliases followed. */
  readonly meant: SystemRegister;
  readonly access: Access;
  readonly isFloatingPoint: boolean;
}

/** MRS and MSR (register): existence, traps, redirection, and the access itself. */
export class RegisterAccess {
  readonly #context: ConditionContext;
  readonly #traps: TrapTable;
  readonly #interrupts: InterruptCpuInterface;
  readonly #computed: ReadonlyMap<string, ComputedRegister>;
  readonly #plans = new Map<number, Plan>();
  readonly #scr: number;

  constructor(parts: {
    readonly context: ConditionContext;
    readonly traps: TrapTable;
    readonly interrupts: InterruptCpuInterface;
    readonly computed: ReadonlyMap<string, ComputedRegister>;
  }) {
    this.#context = parts.context;
    this.#traps = parts.traps;
    this.#interrupts = parts.interrupts;
    this.#computed = parts.computed;
    this.#scr = indexOf(registerNamed("SCR_EL3")) ?? 0;
  }

  read(encoding: number): AccessResult {
    const plan = this.#check(encoding, "read");
    if ("type" in plan) return plan;
    const value = plan.access.read();
    return value === "undefined" ? UNDEFINED : { type: "read", value: value | plan.meant.ones };
  }

  write(encoding: number, value: bigint): AccessResult {
    const plan = this.#check(encoding, "write");
    if ("type" in plan) return plan;
    const { meant, access } = plan;
    if (access.write(value & meant.writable) === "undefined") return UNDEFINED;
    return { type: "written", affects: meant.affects };
  }

  #check(encoding: number, direction: "read" | "write"): Plan | AccessResult {
    const { state, privilege } = this.#context;
    const { el } = state;
    const named = this.#plan(encoding);
    if (named === undefined || !isReachable(named.row, el, direction)) return this.#unallocated(encoding);
    const verdict = this.#traps.access(encoding, direction, this.#context);
    if (verdict === "undefined") return UNDEFINED;
    if (verdict !== "execute") return this.#exists(named) ? { type: "trap", target: verdict } : UNDEFINED;
    if (named.isFloatingPoint) {
      const target = floatingPointTrapTarget(state, privilege);
      if (target !== undefined) return { type: "floatingPointTrap", target };
    }
    if (el === 2 ? privilege.e2h : el === 0 && privilege.host) {
      const redirected = (el === 2 ? REDIRECTED_AT_EL2 : REDIRECTED_FOR_HOST_EL0).get(encoding);
      if (redirected !== undefined) return this.#plan(redirected) ?? UNDEFINED;
    }
    return named;
  }

  /** Active priorities registers that the controller does not have are UNDEFINED before any trap. */
  #exists({ row, access }: Plan): boolean {
    return !/^ICC_AP[01]R[1-3]_EL1$/.test(row.name) || access.read() !== "undefined";
  }

  /** No such register here: UNDEFINED, unless HCR_EL2.TIDCP claims the encoding. */
  #unallocated(encoding: number): AccessResult {
    const crn = (encoding >> 7) & 15;
    if (crn === 11 || crn === 15) {
      const verdict = this.#traps.implementationDefined(this.#context);
      if (typeof verdict === "number") return { type: "trap", target: verdict };
    }
    return UNDEFINED;
  }

  #plan(encoding: number): Plan | undefined {
    const known = this.#plans.get(encoding);
    if (known !== undefined) return known;
    const row = REGISTER_BY_ENCODING.get(encoding);
    const { features } = this.#context.privilege;
    if (row === undefined || row.storage === "absent") return undefined;
    if (row.feature !== undefined && !features.has(row.feature)) return undefined;
    if (row.storage === "alias" && !features.has("FEAT_VHE")) return undefined;
    const meant = row.of === undefined ? row : registerNamed(row.of);
    const isFloatingPoint = FLOATING_POINT_ACCESSES.includes(row.name);
    const plan = { row, meant, access: this.#accessOf(meant), isFloatingPoint };
    this.#plans.set(encoding, plan);
    return plan;
  }

  #accessOf(row: SystemRegister): Access {
    const { state } = this.#context;
    if (row.level === 2 && !this.#context.privilege.hasEl2) return ZERO;
    if (row.storage === "interruptController") {
      // The table's rows of this kind are named after the interface's registers.
      const name = row.name as InterruptRegister;
      return {
        read: () => this.#interrupts.read(name, this.#interruptContext()),
        write: (value) => this.#interrupts.write(name, value, this.#interruptContext()),
      };
    }
    const slot = indexOf(row);
    if (row.storage === "slot" && slot !== undefined) {
      return {
        read: () => state.read(slot),
        write: (value) => {
          state.write(slot, value | row.ones);
          return "done";
        },
      };
    }
    const { read, write } = this.#computed.get(row.name) ?? {};
    return {
      read: read ?? ZERO.read,
      write: (value) => {
        write?.(value);
        return "done";
      },
    };
  }

  #interruptContext(): InterruptContext {
    const { state, privilege } = this.#context;
    const { hcr, hasEl3, secureBelowEl3 } = privilege;
    return {
      el: state.el,
      nonSecure: !secureBelowEl3,
      imo: (hcr & HCR_IMO) !== 0n,
      fmo: (hcr & HCR_FMO) !== 0n,
      scrIrq: hasEl3 && state.bit(this.#scr, SCR_IRQ) === 1,
      scrFiq: hasEl3 && state.bit(this.#scr, SCR_FIQ) === 1,
    };
  }
}

const ZERO: Access = { read: () => 0n, write: () => "done" };
