import { type StateField, u64Field } from "../base/state-fields.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import type { TimerTrap, TrappedTimerRegister } from "../cpu/timer-trap.ts";
import type { Timer } from "../cpu/timers.ts";

/** A compare value that no count reaches. */
const NEVER = 0xffff_ffff_ffff_ffffn;
/** Counts of clocks stay below this. */
const MOST = 2n ** 53n;

type GuestTimers = Readonly<Record<"physical" | "virtual", Timer>>;

/**
 * Row H3's trap path: an element's counters and timers run at the machine's pace, and each access from below EL2 comes
 * here. Counts are converted on their way to the guest, compare values on their way to the timer, which is armed for
 * the first tick at which the guest's count reaches what the guest wrote; so its condition is the guest's condition.
 */
export class TrappedTimers implements TimerTrap {
  readonly #clock: ScaledClock;
  readonly #timers: () => GuestTimers;
  readonly #compare = { physical: 0n, virtual: 0n };
  /** Accesses performed for the guest. */
  exits = 0;

  /** `clock`: the guest's. `timers`: the element's own. */
  constructor(clock: ScaledClock, timers: () => GuestTimers) {
    this.#clock = clock;
    this.#timers = timers;
    clock.onChange(() => {
      this.#arm("physical");
      this.#arm("virtual");
    });
  }

  read(register: TrappedTimerRegister): bigint {
    this.exits++;
    switch (register) {
      case "CNTPCT_EL0":
      case "CNTVCT_EL0":
        return this.#count;
      case "CNTP_TVAL_EL0":
      case "CNTV_TVAL_EL0":
        return BigInt.asUintN(32, this.#compare[nameOf(register)] - this.#count);
      case "CNTP_CTL_EL0":
      case "CNTV_CTL_EL0":
        return this.#timers()[nameOf(register)].readControl();
      case "CNTP_CVAL_EL0":
      case "CNTV_CVAL_EL0":
        return this.#compare[nameOf(register)];
    }
  }

  write(register: TrappedTimerRegister, value: bigint): void {
    this.exits++;
    switch (register) {
      case "CNTPCT_EL0":
      case "CNTVCT_EL0":
        return;
      case "CNTP_TVAL_EL0":
      case "CNTV_TVAL_EL0":
        this.#setCompare(nameOf(register), this.#count + BigInt.asIntN(32, value));
        return;
      case "CNTP_CTL_EL0":
      case "CNTV_CTL_EL0":
        this.#timers()[nameOf(register)].writeControl(value);
        return;
      case "CNTP_CVAL_EL0":
      case "CNTV_CVAL_EL0":
        this.#setCompare(nameOf(register), value);
        return;
    }
  }

  reset(): void {
    this.#compare.physical = 0n;
    this.#compare.virtual = 0n;
  }

  stateFields(): readonly StateField[] {
    return [
      u64Field(
        "physical",
        () => this.#compare.physical,
        (value) => {
          this.#compare.physical = value;
        },
      ),
      u64Field(
        "virtual",
        () => this.#compare.virtual,
        (value) => {
          this.#compare.virtual = value;
        },
      ),
    ];
  }

  stateRestored(): void {
    this.#arm("physical");
    this.#arm("virtual");
  }

  get #count(): bigint {
    return BigInt(this.#clock.ticks());
  }

  #setCompare(name: keyof GuestTimers, value: bigint): void {
    this.#compare[name] = BigInt.asUintN(64, value);
    this.#arm(name);
  }

  #arm(name: keyof GuestTimers): void {
    const value = this.#compare[name];
    const at = value < MOST ? this.#clock.sourceTicks(Number(value)) : undefined;
    this.#timers()[name].writeCompare(at === undefined ? NEVER : BigInt(at));
  }
}

function nameOf(register: TrappedTimerRegister): keyof GuestTimers {
  return register.startsWith("CNTP") ? "physical" : "virtual";
}
