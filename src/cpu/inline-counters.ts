import type { ClockLine, ScaledClock } from "../base/time-scale.ts";
import { systemRegister } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import type { ConditionContext } from "./condition.ts";
import type { Counters, CounterView } from "./counters.ts";
import type { TrapTable } from "./trap-evaluation.ts";

/** Which of the counters generated code reads by itself at the current level. */
export interface InlineCounts {
  readonly physical: boolean;
  readonly virtual: boolean;
}

/** What generated code needs for that: the line of the shared clock, and where each count starts on it. */
interface InlineView extends InlineCounts {
  readonly line: ClockLine;
  readonly starts: Readonly<Record<keyof InlineCounts, bigint>>;
}

const CODE = {
  physical: systemRegister("CNTPCT_EL0").encoding,
  virtual: systemRegister("CNTVCT_EL0").encoding,
} as const;
const ONE = 1n << 48n;
/** Generated code multiplies in 64 bits, which is enough for a factor below 128. */
const FACTOR_LIMIT = 128n * ONE;

export interface InlineCounterParts {
  readonly context: ConditionContext;
  readonly traps: TrapTable;
  readonly counters: Counters;
  /** The counter of EL2, whose source is the clock that generated code asks. */
  readonly clock: ScaledClock;
  readonly lowerClock: ScaledClock;
  /** One of the clocks has another pace, or shows another count. */
  changed(): void;
}

/**
 * Keeps PE_LAYOUT.COUNTER_FROM and what follows it: the counters as multiply-add (row H3, scaled path). Views are made
 * once for each level, as programs change it all the time and clocks and registers hardly ever.
 */
export class InlineCounters {
  readonly #parts: InlineCounterParts;
  readonly #views: (InlineView | undefined)[] = [];
  #written: InlineView | undefined;

  constructor(parts: InlineCounterParts) {
    this.#parts = parts;
    for (const clock of [parts.clock, parts.lowerClock]) clock.onChange(() => parts.changed());
  }

  /** A register, a clock or the security state has changed. */
  forget(): void {
    this.#views.length = 0;
    this.#written = undefined;
  }

  /** What holds at the current level; its view is in place then. */
  current(): InlineCounts {
    const { state } = this.#parts.context;
    const known = this.#views[state.el];
    const view = known ?? this.#view();
    this.#views[state.el] = view;
    if (view !== this.#written && (view.physical || view.virtual)) {
      state.setDoubleWord(PE_LAYOUT.COUNTER_FROM, BigInt(view.line.from));
      state.setDoubleWord(PE_LAYOUT.COUNTER_FACTOR, view.line.factor);
      state.setDoubleWord(PE_LAYOUT.COUNTER_PHYSICAL_START, view.starts.physical);
      state.setDoubleWord(PE_LAYOUT.COUNTER_VIRTUAL_START, view.starts.virtual);
      this.#written = view;
    }
    return view;
  }

  #view(): InlineView {
    const { counters, clock } = this.#parts;
    const { line } = clock;
    const physical = this.#start("physical", counters.physical, line);
    const virtual = this.#start("virtual", counters.virtual, line);
    return {
      physical: physical !== undefined,
      virtual: virtual !== undefined,
      line,
      starts: { physical: physical ?? 0n, virtual: virtual ?? 0n },
    };
  }

  /** Undefined where the processor must be asked. */
  #start(name: keyof InlineCounts, view: CounterView, line: ClockLine): bigint | undefined {
    const { context, traps, lowerClock } = this.#parts;
    if (line.factor >= FACTOR_LIMIT) return undefined;
    if (traps.access(CODE[name], "read", context) !== "execute") return undefined;
    const start = BigInt(line.start) - view.offset;
    if (view.clock === "upper") return start;
    const lower = lowerClock.line;
    // Two multiplications are not one.
    return lower.factor === ONE ? start + BigInt(lower.start) - BigInt(lower.from) : undefined;
  }
}
