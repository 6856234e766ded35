import type { Stateful } from "../base/state-fields.ts";
import { nestedFields, type StateField, u64Field } from "../base/state-fields.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import type { DerivedState } from "./derived-state.ts";
import { elementFields } from "./element-fields.ts";
import type { ElementState } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";
import type { TimerTrap } from "./timer-trap.ts";
import type { WaitState } from "./wait-state.ts";

interface Parts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly lowerClock: ScaledClock;
  readonly wait: WaitState;
  readonly exceptions: Stateful;
  readonly monitor: Stateful;
  /** The ring for records of the MMU. */
  readonly ring: Stateful;
  readonly timerTrap: TimerTrap | undefined;
  readonly derived: DerivedState;
  readonly resetVector: { value: bigint };
}

/** What a processor remembers, its MMU's registers included. All else follows from it. */
export class ProcessorState implements Stateful {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  stateFields(): readonly StateField[] {
    const { state, privilege, lowerClock, wait, exceptions, monitor, ring, timerTrap, resetVector } =
      this.#parts;
    const exists = [true, true, privilege.hasEl2, privilege.hasEl3];
    return [
      ...elementFields(state, (level) => exists[level] === true),
      u64Field(
        "resetVector",
        () => resetVector.value,
        (value) => {
          resetVector.value = value;
        },
      ),
      ...nestedFields("lowerClock", lowerClock.stateFields()),
      ...nestedFields("wait", wait.stateFields()),
      ...nestedFields("step", exceptions.stateFields()),
      ...nestedFields("monitor", monitor.stateFields()),
      ...nestedFields("ring", ring.stateFields()),
      ...nestedFields("timerTrap", timerTrap?.stateFields() ?? []),
    ];
  }

  stateRestored(): void {
    const { wait, derived, monitor, ring, timerTrap } = this.#parts;
    ring.stateRestored?.();
    wait.restored(() => derived.restored());
    monitor.stateRestored?.();
    timerTrap?.stateRestored?.();
    derived.raiseAttention();
  }
}
