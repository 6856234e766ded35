import type { Clock } from "../base/clock.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

interface CounterParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
  /** The counter below EL2. */
  readonly lowerClock: ScaledClock;
}

/** What a counter's register shows at the current level: a clock's ticks, so much later. */
export interface CounterView {
  readonly clock: "upper" | "lower";
  readonly offset: bigint;
}

/** CNTPCT_EL0 and CNTVCT_EL0 as the current level sees them (DDI 0487, D11.1.2 and D11.2.4). */
export class Counters {
  readonly #parts: CounterParts;

  constructor(parts: CounterParts) {
    this.#parts = parts;
  }

  get physical(): CounterView {
    const { state, privilege } = this.#parts;
    const isUpper = state.el >= 2 || privilege.secure || this.#isOfHost;
    return { clock: isUpper ? "upper" : "lower", offset: 0n };
  }

  get virtual(): CounterView {
    const { state, privilege } = this.#parts;
    if (this.#isOfHost) return { clock: "upper", offset: 0n };
    if (!privilege.hasEl2) return { clock: "lower", offset: 0n };
    return { clock: privilege.secure ? "upper" : "lower", offset: state.read(SLOT.CNTVOFF_EL2) };
  }

  count({ clock, offset }: CounterView): bigint {
    const { clock: upper, lowerClock } = this.#parts;
    return BigInt.asUintN(64, BigInt((clock === "upper" ? upper : lowerClock).ticks()) - offset);
  }

  /** A host at EL2 and its EL0: no offset, no scale. */
  get #isOfHost(): boolean {
    const { state, privilege } = this.#parts;
    return (state.el === 2 && privilege.e2h) || (state.el === 0 && privilege.host);
  }
}
