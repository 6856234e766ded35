import { type Alarm, type Clock, COUNTER_FREQUENCY } from "../base/clock.ts";
import { numberField, type StateField } from "../base/state-fields.ts";

/** Where a machine's time comes from. */
export interface TimeSource {
  /** Counter ticks since the source began; never goes back. */
  ticks(): number;
  /** Ticks a second; 62.5 MHz unless given. */
  readonly frequency?: number;
  /** Seconds since 1970, now. */
  wallSeconds(): number;
  /** Goes on from `ticks`, as the source of a machine that is restored. */
  continueAt(ticks: number): void;
}

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/** The machine's clock: a source of ticks, and the alarms that wait for it, in order of time and of asking. */
export class MachineClock implements Clock {
  readonly #source: TimeSource;
  /** Sorted by time; a machine has a handful of alarms. */
  #entries: Entry[] = [];
  #order = 0;
  /** Of the machine that a state stream comes from. */
  #frequencyThere = COUNTER_FREQUENCY;

  constructor(source: TimeSource) {
    this.#source = source;
  }

  ticks(): number {
    return this.#source.ticks();
  }

  get frequency(): number {
    return this.#source.frequency ?? COUNTER_FREQUENCY;
  }

  nanoseconds(): number {
    return this.#source.ticks() * (1e9 / this.frequency);
  }

  wallSeconds(): number {
    return this.#source.wallSeconds();
  }

  schedule(atTicks: number, callback: () => void): Alarm {
    const entry: Entry = { at: atTicks, order: this.#order++, callback };
    let index = this.#entries.length;
    while (index > 0 && (this.#entries[index - 1]?.at ?? 0) > atTicks) index--;
    this.#entries.splice(index, 0, entry);
    return {
      cancel: () => {
        const at = this.#entries.indexOf(entry);
        if (at >= 0) this.#entries.splice(at, 1);
      },
    };
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "ticks",
        Number.MAX_SAFE_INTEGER,
        () => this.ticks(),
        (ticks) => this.#source.continueAt(ticks),
      ),
      numberField(
        "frequency",
        Number.MAX_SAFE_INTEGER,
        () => this.frequency,
        (frequency) => {
          this.#frequencyThere = frequency;
        },
        1,
      ),
    ];
  }

  /** Of a machine whose counter has another frequency, the same time is kept, not the same count. */
  stateRestored(): void {
    if (this.#frequencyThere === this.frequency) return;
    this.#source.continueAt(Math.round((this.ticks() * this.frequency) / this.#frequencyThere));
  }

  /** Tick at which the next alarm is due, if there is one. */
  next(): number | undefined {
    return this.#entries[0]?.at;
  }

  /** Calls every alarm that is due, those that due alarms schedule for now included, to a bound. */
  runDue(): void {
    if (this.#entries.length === 0) return;
    const now = this.ticks();
    for (let calls = 0; calls < 1000; calls++) {
      const first = this.#entries[0];
      if (first === undefined || first.at > now) return;
      this.#entries.shift();
      first.callback();
    }
  }

  /** Forgets every alarm. */
  reset(): void {
    this.#entries = [];
  }
}
