import type { Clock } from "../base/clock.ts";
import { numberField, type StateField } from "../base/state-fields.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import { fieldOf } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

const [, EVNTEN] = fieldOf("CNTKCTL_EL1", "EVNTEN");
const [, EVNTDIR] = fieldOf("CNTKCTL_EL1", "EVNTDIR");
const [, EVNTI] = fieldOf("CNTKCTL_EL1", "EVNTI");

/** Events at each change of one bit of a counter in one direction. */
interface EventStream {
  /** Ticks between two events: twice the weight of the bit. A power of two, at most 65,536. */
  readonly period: number;
  /** Events are at ticks that are congruent to this modulo `period`. */
  readonly phase: number;
  /** Whose ticks they are. */
  readonly clock: "upper" | "lower";
}

export interface EventParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
  /** The counter below EL2. */
  readonly lowerClock: ScaledClock;
}

/**
 * The event register of an element: set by SEV and its like, cleared by a WFE that finds it set (DDI 0487,
 * D1.6.1). The generic timer's event streams (D11.2.3) are not alarms: what they have sent since is
 * worked out when somebody asks.
 */
export class EventRegister {
  readonly #state: ElementState;
  readonly #privilege: Privilege;
  readonly #clocks: { readonly upper: Clock; readonly lower: ScaledClock };
  #streams: readonly EventStream[] = [];
  /** Events of the streams up to these ticks are accounted for. */
  #seen = { upper: 0, lower: 0 };

  constructor(parts: EventParts) {
    this.#state = parts.state;
    this.#privilege = parts.privilege;
    this.#clocks = { upper: parts.clock, lower: parts.lowerClock };
  }

  reset(): void {
    this.#state.setWord(PE_LAYOUT.EVENT, 0);
    this.#streams = [];
    this.#seen = this.#now();
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "upper",
        Number.MAX_SAFE_INTEGER,
        () => this.#seen.upper,
        (value) => {
          this.#seen.upper = value;
        },
        Number.MIN_SAFE_INTEGER,
      ),
      numberField(
        "lower",
        Number.MAX_SAFE_INTEGER,
        () => this.#seen.lower,
        (value) => {
          this.#seen.lower = value;
        },
        Number.MIN_SAFE_INTEGER,
      ),
    ];
  }

  /** Lets `recompute` find the streams, while what they have sent stays as it is known here. */
  restored(recompute: () => void): void {
    const seen = { ...this.#seen };
    const event = this.#state.word(PE_LAYOUT.EVENT);
    recompute();
    this.#seen = seen;
    this.#state.setWord(PE_LAYOUT.EVENT, event);
  }

  signal(): void {
    this.#state.setWord(PE_LAYOUT.EVENT, 1);
  }

  /** Clears the register; true when it was set. */
  consume(): boolean {
    this.#collect();
    const wasSet = this.#state.word(PE_LAYOUT.EVENT) === 1;
    this.#state.setWord(PE_LAYOUT.EVENT, 0);
    return wasSet;
  }

  /** Tick of EL2's counter of the next event that a stream will send, if there is one. */
  nextStreamEvent(): number | undefined {
    const now = this.#now();
    let next: number | undefined;
    for (const stream of this.#streams) {
      const own = lastEvent(stream, now[stream.clock]) + stream.period;
      const at = stream.clock === "upper" ? own : this.#clocks.lower.sourceTicks(own);
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  /** After writes to the registers that control the streams. */
  streamsChanged(): void {
    const { hasEl2, host } = this.#privilege;
    const streams: EventStream[] = [];
    if (hasEl2) this.#add(streams, "upper", SLOT.CNTHCTL_EL2, 0n);
    // CNTKCTL_EL1 sends nothing under a host at EL2 (D19.12.15).
    const offset = hasEl2 ? this.#state.read(SLOT.CNTVOFF_EL2) : 0n;
    if (!host) this.#add(streams, "lower", SLOT.CNTKCTL_EL1, offset);
    if (this.#streams.length > 0) this.#collect();
    else this.#seen = this.#now();
    this.#streams = streams;
  }

  #add(streams: EventStream[], clock: EventStream["clock"], slot: number, offset: bigint): void {
    const control = this.#state.low(slot);
    if (((control >>> EVNTEN) & 1) === 0) return;
    const weight = 2 ** ((control >>> EVNTI) & 15);
    const period = 2 * weight;
    const falls = ((control >>> EVNTDIR) & 1) === 1;
    const shift = Number(BigInt.asUintN(16, offset));
    streams.push({ period, phase: (shift + (falls ? 0 : weight)) % period, clock });
  }

  /** Takes in what the streams have sent. */
  #collect(): void {
    const now = this.#now();
    const hasSent = this.#streams.some(
      (stream) => lastEvent(stream, now[stream.clock]) > this.#seen[stream.clock],
    );
    if (hasSent) this.signal();
    this.#seen = now;
  }

  #now(): { upper: number; lower: number } {
    return { upper: this.#clocks.upper.ticks(), lower: this.#clocks.lower.ticks() };
  }
}

/** Tick of a stream's last event up to `now`; negative when there was none since power-on. */
function lastEvent({ period, phase }: EventStream, now: number): number {
  return now - ((((now - phase) % period) + period) % period);
}
