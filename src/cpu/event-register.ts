import type { Clock } from "../base/clock.ts";
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
}

export interface EventParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
}

/**
 * The event register of an element: set by SEV and its like, cleared by a WFE that finds it set (DDI 0487,
 * D1.6.1). The generic timer's event streams (D11.2.3) are not alarms: what they have sent since is
 * worked out when somebody asks.
 */
export class EventRegister {
  readonly #state: ElementState;
  readonly #privilege: Privilege;
  readonly #clock: Clock;
  #streams: readonly EventStream[] = [];
  /** Events of the streams up to this tick are accounted for. */
  #seen = 0;

  constructor(parts: EventParts) {
    this.#state = parts.state;
    this.#privilege = parts.privilege;
    this.#clock = parts.clock;
  }

  reset(): void {
    this.#state.setWord(PE_LAYOUT.EVENT, 0);
    this.#streams = [];
    this.#seen = this.#clock.ticks();
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

  /** Tick of the next event that a stream will send, if there is one. */
  nextStreamEvent(): number | undefined {
    const now = this.#clock.ticks();
    let next: number | undefined;
    for (const stream of this.#streams) {
      const at = lastEvent(stream, now) + stream.period;
      if (next === undefined || at < next) next = at;
    }
    return next;
  }

  /** After writes to the registers that control the streams. */
  streamsChanged(): void {
    const { hasEl2, host } = this.#privilege;
    const streams: EventStream[] = [];
    if (hasEl2) this.#add(streams, SLOT.CNTHCTL_EL2, 0n);
    // CNTKCTL_EL1 sends nothing under a host at EL2 (D19.12.15).
    if (!host) this.#add(streams, SLOT.CNTKCTL_EL1, hasEl2 ? this.#state.read(SLOT.CNTVOFF_EL2) : 0n);
    if (this.#streams.length > 0) this.#collect();
    else this.#seen = this.#clock.ticks();
    this.#streams = streams;
  }

  #add(streams: EventStream[], slot: number, offset: bigint): void {
    const control = this.#state.low(slot);
    if (((control >>> EVNTEN) & 1) === 0) return;
    const weight = 2 ** ((control >>> EVNTI) & 15);
    const period = 2 * weight;
    const falls = ((control >>> EVNTDIR) & 1) === 1;
    const shift = Number(BigInt.asUintN(16, offset));
    streams.push({ period, phase: (shift + (falls ? 0 : weight)) % period });
  }

  /** Takes in what the streams have sent. */
  #collect(): void {
    const now = this.#clock.ticks();
    if (this.#streams.some((stream) => lastEvent(stream, now) > this.#seen)) this.signal();
    this.#seen = now;
  }
}

/** Tick of a stream's last event up to `now`; negative when there was none since power-on. */
function lastEvent({ period, phase }: EventStream, now: number): number {
  return now - ((((now - phase) % period) + period) % period);
}
