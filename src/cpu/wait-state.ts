import type { Alarm, Clock } from "../base/clock.ts";
import { choiceField, nestedFields, numberField, type StateField } from "../base/state-fields.ts";
import { type EventParts, EventRegister } from "./event-register.ts";

const WAITS = ["nothing", "interrupt", "event"] as const;

/** Whether an element executes nothing just now, and what ends that: WFI and WFE (DDI 0487, D1.6). */
export class WaitState {
  readonly #events: EventRegister;
  readonly #clock: Clock;
  /** What is waited for: an interrupt (WFI), or also an event (WFE). */
  #waiting: "interrupt" | "event" | undefined;
  #nextEvent: Alarm | undefined;
  /** Ticks of that alarm. */
  #nextEventAt = -1;

  constructor(parts: EventParts) {
    this.#events = new EventRegister(parts);
    this.#clock = parts.clock;
  }

  get isWaiting(): boolean {
    return this.#waiting !== undefined;
  }

  reset(): void {
    this.#events.reset();
    this.end();
  }

  stateFields(): readonly StateField[] {
    return [
      choiceField(
        "waiting",
        WAITS,
        () => this.#waiting ?? "nothing",
        (value) => {
          this.#waiting = value === "nothing" ? undefined : value;
        },
      ),
      numberField(
        "nextEvent",
        Number.MAX_SAFE_INTEGER,
        () => (this.#nextEvent === undefined ? -1 : this.#nextEventAt),
        (value) => {
          this.#nextEventAt = value;
        },
        -1,
      ),
      ...nestedFields("events", this.#events.stateFields()),
    ];
  }

  /** `recompute` is what else follows from the registers; it may end the wait. */
  restored(recompute: () => void): void {
    this.#events.restored(recompute);
    if (this.#waiting === "event" && this.#nextEventAt >= 0) this.#wakeAt(this.#nextEventAt);
  }

  /** See EventRegister. */
  consumeEvent(): boolean {
    return this.#events.consume();
  }

  /** See EventRegister. */
  streamsChanged(): void {
    this.#events.streamsChanged();
  }

  waitForInterrupt(): void {
    this.#waiting = "interrupt";
  }

  /** Until an event, an interrupt that is not masked, or what a timer's stream sends next. */
  waitForEvent(): void {
    this.#waiting = "event";
    const at = this.#events.nextStreamEvent();
    if (at !== undefined) this.#wakeAt(at);
  }

  #wakeAt(ticks: number): void {
    this.#nextEventAt = ticks;
    this.#nextEvent = this.#clock.schedule(ticks, () => this.signalEvent());
  }

  end(): void {
    this.#nextEvent?.cancel();
    this.#nextEvent = undefined;
    this.#waiting = undefined;
  }

  /** Sets the event register, or ends a WFE. */
  signalEvent(): void {
    this.#events.signal();
    if (this.#waiting !== "event") return;
    // Whether the event that ends a WFE stays in the register is the implementation's choice (D1.6.1).
    this.#events.consume();
    this.end();
  }

  /**
   * Ends the wait if these interrupts do: `wakesUp`, one pends, masked or not; `isTaken`, one is not masked.
   * True when it did.
   */
  interruptsChanged(wakesUp: boolean, isTaken: boolean): boolean {
    const ends = this.#waiting === "interrupt" ? wakesUp : this.#waiting === "event" && isTaken;
    if (ends) this.end();
    return ends;
  }
}
