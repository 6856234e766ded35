import { type Alarm, type Clock, COUNTER_FREQUENCY } from "./clock.ts";
import { UserError } from "./errors.ts";
import { numberField, type StateField, u64Field } from "./state-fields.ts";

/** Fraction bits of a scale: it is an unsigned 16.48 number. */
const FRACTION = 48n;
const ONE = 1n << FRACTION;
/** Beside 0, which stops the guest's time: slower, or faster, no guest could use its timers. */
const SLOWEST = 0.001;
const FASTEST = 100;

/** A factor as users write it: "0.5x", "2". 0 stops the guest's time. What no guest can live with is a UserError. */
export function parseTimeScale(text: string): number {
  const match = /^(\d+(?:\.\d*)?|\.\d+)x?$/.exec(text);
  const scale = match === null ? Number.NaN : Number(match[1]);
  if (isTimeScale(scale)) return scale;
  throw new UserError(
    `"${text}" is no time scale; give a factor from ${SLOWEST} to ${FASTEST} such as 0.5x, or 0 to stop the guest's time.`,
    { exitStatus: 2 },
  );
}

/** Whether a guest's clock can run at so many times the machine's pace. */
export function isTimeScale(scale: number): boolean {
  return scale === 0 || (scale >= SLOWEST && scale <= FASTEST);
}

/** A clock as a line over its source's ticks t, without rounding but the one shown: start + ((t - from) * factor >> 48). */
export interface ClockLine {
  readonly from: number;
  /** Unsigned 16.48. */
  readonly factor: bigint;
  readonly start: number;
}

interface Waiting {
  readonly at: number;
  readonly callback: () => void;
  alarm: Alarm | undefined;
}

/**
 * A guest's clock, which runs at its own pace behind the machine's (row H3): g(h) = g0 + ((h - h0) * S >> 48) for the
 * machine's ticks h. Each change of S begins anew at the present (h0, g0), so that g never goes back and never jumps.
 */
export class ScaledClock implements Clock {
  readonly #source: Clock;
  readonly #waiting = new Set<Waiting>();
  readonly #listeners: (() => void)[] = [];
  #scale = ONE;
  /** Ticks of this clock in a second of its source's, at scale 1. */
  #frequency: number;
  #sourceStart = 0;
  /** Of a state stream. */
  #ticksThere = 0;
  #sourceFrequencyThere = COUNTER_FREQUENCY;
  #guestStart = 0;

  constructor(source: Clock) {
    this.#source = source;
    this.#frequency = source.frequency ?? COUNTER_FREQUENCY;
  }

  /** Guest's seconds in a second of the machine's. */
  get scale(): number {
    return Number(this.#scale) / this.#unit;
  }

  /** Takes effect now: alarms that wait are due at the same guest's time as before. */
  setScale(scale: number): void {
    this.factor = BigInt(Math.round(scale * this.#unit));
  }

  /** Ticks a second at scale 1: the source's, or those of the machine that a state stream comes from. */
  get frequency(): number {
    return this.#frequency;
  }

  /** Holds until the next change ({@link onChange}). */
  get line(): ClockLine {
    return { from: this.#sourceStart, factor: this.#scale, start: this.#guestStart };
  }

  /** This clock's ticks in one of its source's, as an unsigned 16.48 number. */
  get factor(): bigint {
    return this.#scale;
  }

  /** As {@link setScale}, below 2^64. */
  set factor(factor: bigint) {
    this.#begin(this.ticks(), factor);
  }

  /** The guest's clock shows `ticks` now, and goes on from there at the same pace. */
  rebase(ticks: number): void {
    this.#begin(ticks, this.#scale);
  }

  /** Shows what the machine's clock shows, at its pace. */
  follow(): void {
    this.#begin(this.#source.ticks(), ONE);
  }

  stateFields(): readonly StateField[] {
    const ticks = (name: string, get: () => number, set: (value: number) => void) =>
      numberField(name, Number.MAX_SAFE_INTEGER, get, set, Number.MIN_SAFE_INTEGER);
    return [
      u64Field(
        "scale",
        () => this.#scale,
        (value) => {
          this.#scale = value;
        },
      ),
      ticks(
        "sourceStart",
        () => this.#sourceStart,
        (value) => {
          this.#sourceStart = value;
        },
      ),
      ticks(
        "guestStart",
        () => this.#guestStart,
        (value) => {
          this.#guestStart = value;
        },
      ),
      ticks(
        "ticks",
        () => this.ticks(),
        (value) => {
          this.#ticksThere = value;
        },
      ),
      ticks(
        "frequency",
        () => this.#frequency,
        (value) => {
          this.#frequency = Math.max(1, value);
        },
      ),
      ticks(
        "sourceFrequency",
        () => this.#sourceFrequency,
        (value) => {
          this.#sourceFrequencyThere = Math.max(1, value);
        },
      ),
    ];
  }

  /** Keeps its count and its pace where the source has another frequency than the one in the machine before. */
  stateRestored(): void {
    const [there, here] = [this.#sourceFrequencyThere, this.#sourceFrequency];
    if (there === here) return;
    this.#guestStart = this.#ticksThere;
    this.#sourceStart = this.#source.ticks();
    this.#scale = (this.#scale * BigInt(there)) / BigInt(here);
  }

  /** Called after each change of the scale or of the count. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  ticks(): number {
    return this.#guestTicks(this.#source.ticks());
  }

  nanoseconds(): number {
    return this.ticks() * (1e9 / this.#frequency);
  }

  /** The date is the world's, whatever the guest's clock does. */
  wallSeconds(): number {
    return this.#source.wallSeconds();
  }

  schedule(atTicks: number, callback: () => void): Alarm {
    const waiting: Waiting = { at: atTicks, callback, alarm: undefined };
    this.#waiting.add(waiting);
    this.#arm(waiting);
    return {
      cancel: () => {
        this.#waiting.delete(waiting);
        waiting.alarm?.cancel();
      },
    };
  }

  /** The first tick of the machine's at which the guest's clock shows `guest`; undefined where that never comes. */
  sourceTicks(guest: number): number | undefined {
    if (guest <= this.#guestStart) return this.#sourceStart;
    if (this.#scale === ONE) return this.#sourceStart + (guest - this.#guestStart);
    if (this.#scale === 0n) return undefined;
    const distance = (BigInt(guest - this.#guestStart) << FRACTION) + this.#scale - 1n;
    const at = this.#sourceStart + Number(distance / this.#scale);
    return Number.isSafeInteger(at) ? at : undefined;
  }

  /** Forgets every alarm; time goes on. */
  reset(): void {
    this.#waiting.clear();
  }

  get #sourceFrequency(): number {
    return this.#source.frequency ?? COUNTER_FREQUENCY;
  }

  /** The factor of scale 1. */
  get #unit(): number {
    return Number(ONE) * (this.#frequency / this.#sourceFrequency);
  }

  #begin(guest: number, scale: bigint): void {
    this.#guestStart = guest;
    this.#sourceStart = this.#source.ticks();
    this.#scale = scale;
    for (const waiting of this.#waiting) {
      waiting.alarm?.cancel();
      this.#arm(waiting);
    }
    for (const listener of this.#listeners) listener();
  }

  #guestTicks(source: number): number {
    const passed = source - this.#sourceStart;
    if (this.#scale === ONE) return this.#guestStart + passed;
    return this.#guestStart + Number((BigInt(passed) * this.#scale) >> FRACTION);
  }

  #arm(waiting: Waiting): void {
    const at = this.sourceTicks(waiting.at);
    waiting.alarm =
      at === undefined
        ? undefined
        : this.#source.schedule(at, () => {
            this.#waiting.delete(waiting);
            waiting.callback();
          });
  }
}
