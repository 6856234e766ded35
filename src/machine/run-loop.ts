import { type Interpreter, RUN_OVERSHOOT } from "../engine/interpreter/interpreter.ts";
import { INSTRUCTIONS_PER_TICK, type InstructionTime } from "./instruction-time.ts";
import type { MachineClock } from "./machine-clock.ts";
import type { ProcessingElement } from "./processing-element.ts";

/** Instructions of one turn where time is the host's: a millisecond or less. */
const TURN = 100_000;
/** The same with several elements, which wait for each other. */
const SHARED_TURN = 40_000;
/** Instructions of one turn where time follows instructions. */
const EXACT_TURN = 50_000;
/** Instructions of one turn while each needs a look first (single step, breakpoints). */
const CAREFUL_TURN = 2_000;
/** Below this an exact run does not begin with a fast one. */
const WORTH_RUNNING = 2 * RUN_OVERSHOOT;

/** What a burst of turns ended with. */
export type BurstEnd =
  /** Time is up; there is more to do. */
  | { readonly kind: "busy" }
  /** Every element waits; the next alarm is at this counter value, if there is one. */
  | { readonly kind: "idle"; readonly until: number | undefined }
  /** {@link RunLoop.interrupt} was called. */
  | { readonly kind: "interrupted" };

/** Gives the processing elements turns on this thread. */
export class RunLoop {
  readonly #elements: readonly ProcessingElement[];
  readonly #interpreter: Interpreter;
  readonly #clock: MachineClock;
  readonly #instructionTime: InstructionTime | undefined;
  readonly #onTurn: (element: ProcessingElement) => void;
  #interrupted = false;
  /** The element that had the last turn. */
  #lastTurn: ProcessingElement | undefined;

  /** With `instructionTime` the machine is deterministic: turns are exact and idle time is skipped. */
  constructor(parts: {
    elements: readonly ProcessingElement[];
    interpreter: Interpreter;
    clock: MachineClock;
    instructionTime: InstructionTime | undefined;
    /** Called before each turn of an element. */
    onTurn?: (element: ProcessingElement) => void;
  }) {
    this.#elements = parts.elements;
    this.#interpreter = parts.interpreter;
    this.#clock = parts.clock;
    this.#instructionTime = parts.instructionTime;
    this.#onTurn = parts.onTurn ?? (() => {});
  }

  /** Ends the burst in progress at the next instruction boundary: the machine is switched off, say. */
  interrupt(): void {
    this.#interrupted = true;
    for (const { processor } of this.#elements) processor.raiseAttention();
  }

  /** Index of the element that had the last turn, -1 before the first. */
  get lastTurn(): number {
    return this.#lastTurn?.index ?? -1;
  }

  set lastTurn(index: number) {
    this.#lastTurn = this.#elements[index];
  }

  /** Runs until `isOver` says so (asked between rounds), or nothing is left to do. */
  burst(isOver: () => boolean): BurstEnd {
    this.#interrupted = false;
    do {
      this.#clock.runDue();
      if (!this.#round()) {
        if (this.#interrupted) return { kind: "interrupted" };
        if (!this.#skipIdleTime()) return { kind: "idle", until: this.#clock.next() };
      }
      if (this.#interrupted) return { kind: "interrupted" };
    } while (!isOver());
    return { kind: "busy" };
  }

  /** One turn for each element that can run. False when none can. */
  #round(): boolean {
    let longest = 0;
    let ran = false;
    for (const element of this.#elements) {
      if (this.#lastTurn !== element) element.openMonitor();
      if (element.wantsAttention && element.power === "on") element.processor.serviceAttention();
      if (!element.isRunnable) continue;
      ran = true;
      this.#lastTurn = element;
      longest = Math.max(longest, this.#turn(element));
      if (this.#interrupted) break;
    }
    this.#instructionTime?.advance(Math.ceil(longest / INSTRUCTIONS_PER_TICK));
    return ran;
  }

  /** In deterministic mode, where waiting would be pointless: time goes on to the next alarm. */
  #skipIdleTime(): boolean {
    const next = this.#clock.next();
    if (this.#instructionTime === undefined || next === undefined) return false;
    this.#instructionTime.advance(Math.max(0, next - this.#clock.ticks()));
    return true;
  }

  /** Returns the instructions executed. */
  #turn(element: ProcessingElement): number {
    const { processor } = element;
    const before = element.instructions;
    this.#onTurn(element);
    processor.yielded = false;
    const time = this.#instructionTime;
    if (time === undefined) {
      const length = this.#elements.length > 1 ? SHARED_TURN : TURN;
      if (processor.needsCarefulMode) this.#interpreter.runExactly(element, CAREFUL_TURN, true);
      else this.#interpreter.run(element, length);
    } else {
      time.beginTurn(() => element.instructions - before);
      this.#exactTurn(element, this.#exactLength());
      time.endTurn();
    }
    return element.instructions - before;
  }

  /** A turn ends where the next alarm is due. */
  #exactLength(): number {
    const next = this.#clock.next();
    if (next === undefined) return EXACT_TURN;
    const ticks = Math.max(1, next - this.#clock.ticks());
    return Math.min(EXACT_TURN, ticks * INSTRUCTIONS_PER_TICK);
  }

  #exactTurn(element: ProcessingElement, length: number): void {
    const { processor } = element;
    for (let left = length; left > 0; ) {
      if (element.wantsAttention) processor.serviceAttention();
      if (!element.isRunnable || this.#interrupted || processor.yielded) return;
      if (processor.needsCarefulMode || left < WORTH_RUNNING) {
        left -= this.#interpreter.runExactly(element, left, processor.needsCarefulMode);
      } else left -= this.#interpreter.run(element, left - RUN_OVERSHOOT);
    }
  }
}
