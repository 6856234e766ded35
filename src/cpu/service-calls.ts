import { systemRegister } from "../isa/system-registers/table.ts";
import type { DebugUnit } from "./debug-unit.ts";
import type { ElementState } from "./element-state.ts";
import type { ProcessorHooks, ServiceCallOutcome } from "./processor-parts.ts";

const DEBUG_CHANNEL_STATUS = systemRegister("MDCCSR_EL0").encoding;
const ZERO_REGISTER = 31;

/**
 * The two instructions by which software below EL2, programs included, may call the hypervisor without meaning
 * anything to others (rows H1, H2). The hypervisor looks before the guest's own traps do: it virtualises
 * MDSCR_EL1.TDCC, which Linux sets.
 */
export class ServiceCalls {
  readonly #hook: ProcessorHooks["serviceCall"];
  readonly #state: ElementState;
  readonly #debug: DebugUnit;

  constructor(hooks: ProcessorHooks | undefined, state: ElementState, debug: DebugUnit) {
    this.#hook = hooks?.serviceCall;
    this.#state = state;
    this.#debug = debug;
  }

  /** MRS of the register with this encoding into Rt. */
  registerRead(encoding: number, rt: number): ServiceCallOutcome {
    if (encoding !== DEBUG_CHANNEL_STATUS || rt !== ZERO_REGISTER) return "not ours";
    return this.#call("debug channel", 0);
  }

  /** BRK. A debugger of the guest's that is at work gets its breakpoints as the architecture gives them. */
  breakpoint(immediate: number): ServiceCallOutcome {
    return this.#debug.isInUse ? "not ours" : this.#call("breakpoint", immediate);
  }

  #call(door: "debug channel" | "breakpoint", immediate: number): ServiceCallOutcome {
    return this.#hook === undefined || this.#state.el > 1 ? "not ours" : this.#hook(door, immediate);
  }
}
