import type { TimeSource } from "./machine-clock.ts";

/** Instructions for one counter tick in deterministic mode: a nominal thousand million a second. */
export const INSTRUCTIONS_PER_TICK = 16;

/**
 * Time that follows the instruction count, so that two runs are bit-identical. Elements take turns of equal
 * length; during a turn time advances with the element that runs, after a round it has advanced by one turn.
 */
export class InstructionTime implements TimeSource {
  readonly #wallSecondsAtStart: number;
  #base = 0;
  #instructionsInTurn: () => number = () => 0;

  /** `wallSecondsAtStart`: the date at power-on, fixed by the configuration. */
  constructor(wallSecondsAtStart: number) {
    this.#wallSecondsAtStart = wallSecondsAtStart;
  }

  ticks(): number {
    return this.#base + Math.floor(this.#instructionsInTurn() / INSTRUCTIONS_PER_TICK);
  }

  wallSeconds(): number {
    return this.#wallSecondsAtStart + this.ticks() / 62_500_000;
  }

  continueAt(ticks: number): void {
    this.#base = ticks;
  }

  /** A turn begins; `count` tells how many instructions it has done so far. */
  beginTurn(count: () => number): void {
    this.#instructionsInTurn = count;
  }

  /** The turn is over; time goes back to the start of the round for the next element. */
  endTurn(): void {
    this.#instructionsInTurn = () => 0;
  }

  /** Every element had its turn, or all sleep: time goes on. */
  advance(ticks: number): void {
    this.#base += ticks;
  }
}
