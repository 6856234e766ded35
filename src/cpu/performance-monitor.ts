import type { Alarm, Clock } from "../base/clock.ts";
import { PRIVATE_INTERRUPT } from "../base/interrupt-ids.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import { numberField, type StateField } from "../base/state-fields.ts";
import { COUNTER_MASK, EVENT_COUNTERS } from "../isa/system-registers/performance-monitors.ts";
import { fieldOf } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import type { Privilege } from "./privilege.ts";

/** Private peripheral interrupt of the performance monitors on `virt`. */
export const PERFORMANCE_MONITOR_INTERRUPT = PRIVATE_INTERRUPT.performanceMonitor;

/** Common events (DDI 0487, D13.12.3) that are counted; all others read as zero counts. */
const EVENT = { SW_INCR: 0x00, INST_RETIRED: 0x08, CPU_CYCLES: 0x11, CHAIN: 0x1e } as const;
const COUNTED_EVENTS = Object.values(EVENT).reduce<bigint>((mask, event) => mask | (1n << BigInt(event)), 0n);

const CYCLE = 31;
const PMCR_E = 1n << 0n;
const PMCR_P = 1n << 1n;
const PMCR_C = 1n << 2n;
const PMCR_D = 1n << 3n;
const PMCR_DP = 1n << 5n;
const PMCR_LC = 1n << 6n;
const PMCR_WRITABLE = PMCR_E | PMCR_D | (1n << 4n) | PMCR_DP | PMCR_LC;
const NANOSECONDS_PER_TICK = 16;
const [SPME] = fieldOf("MDCR_EL3", "SPME");
const [HPME] = fieldOf("MDCR_EL2", "HPME");

const COUNTER_SLOTS = [0, 1, 2, 3, 4, 5].map((n) => SLOT[`PMEVCNTR${n}_EL0`]!);
const TYPE_SLOTS = [0, 1, 2, 3, 4, 5].map((n) => SLOT[`PMEVTYPER${n}_EL0`]!);

interface Parts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly clock: Clock;
  readonly line: InterruptLine;
}

/**
 * PMUv3 with a cycle counter (1 GHz of guest time) and six event counters. Counts are brought up to date
 * when somebody looks and whenever the exception level changes while a counter runs.
 */
export class PerformanceMonitor {
  readonly #state: ElementState;
  readonly #privilege: Privilege;
  readonly #clock: Clock;
  readonly #line: InterruptLine;
  #alarm: Alarm | undefined;
  /** Ticks of that alarm. */
  #alarmAt = -1;
  #lastCycles = 0;
  #lastInstructions = 0;
  /** Some counter is running: {@link synchronize} has something to do. */
  active = false;

  constructor({ state, privilege, clock, line }: Parts) {
    this.#state = state;
    this.#privilege = privilege;
    this.#clock = clock;
    this.#line = line;
  }

  stateFields(): readonly StateField[] {
    return [
      numberField(
        "cycles",
        Number.MAX_SAFE_INTEGER,
        () => this.#lastCycles,
        (value) => {
          this.#lastCycles = value;
        },
      ),
      numberField(
        "instructions",
        Number.MAX_SAFE_INTEGER,
        () => this.#lastInstructions,
        (value) => {
          this.#lastInstructions = value;
        },
      ),
      numberField(
        "alarm",
        Number.MAX_SAFE_INTEGER,
        () => (this.#alarm === undefined ? -1 : this.#alarmAt),
        (value) => {
          this.#alarmAt = value;
        },
        -1,
      ),
    ];
  }

  stateRestored(): void {
    const at = this.#alarmAt;
    this.update();
    if (this.#alarm === undefined || at < 0) return;
    // Counts are as old as they were; so is the time to look at them.
    this.#alarm.cancel();
    this.#lookAt(at);
  }

  /** Instructions completed since reset. */
  instructions(): number {
    const { base, doubleWords, words } = this.#state;
    const counted = doubleWords[(base + PE_LAYOUT.INSTRUCTIONS) >>> 3]!;
    return Number(counted) - words[(base + PE_LAYOUT.FUEL) >>> 2]!;
  }

  /** Adds what has happened since the last call, under the present exception level and controls. */
  synchronize(): void {
    const cycles = this.#clock.nanoseconds();
    const instructions = this.instructions();
    const passedCycles = BigInt(Math.max(0, Math.floor(cycles - this.#lastCycles)));
    const passedInstructions = BigInt(Math.max(0, instructions - this.#lastInstructions));
    this.#lastCycles = cycles;
    this.#lastInstructions = instructions;
    if (!this.active) return;
    if (this.#counts(CYCLE)) this.#addCycles(passedCycles);
    for (let n = 0; n < EVENT_COUNTERS; n++) {
      if (!this.#counts(n)) continue;
      const event = this.#state.low(TYPE_SLOTS[n]!) & 0xffff;
      if (event === EVENT.CPU_CYCLES) this.#add(n, passedCycles);
      else if (event === EVENT.INST_RETIRED) this.#add(n, passedInstructions);
    }
  }

  /** After a change of any control: what runs, and when the next overflow is due. */
  update(): void {
    const state = this.#state;
    const enabled = state.read(SLOT.PMCNTENSET_EL0);
    const running = (state.read(SLOT.PMCR_EL0) & PMCR_E) !== 0n || state.bit(SLOT.MDCR_EL2, HPME) === 1;
    this.active = enabled !== 0n && running;
    this.#driveLine();
    this.#alarm?.cancel();
    this.#alarm = undefined;
    const watched = enabled & state.read(SLOT.PMINTENSET_EL1);
    if (!this.active || watched === 0n) return;
    let nearest = 2n ** 50n;
    if ((watched >> 31n) & 1n) {
      const limit = (state.read(SLOT.PMCR_EL0) & PMCR_LC) !== 0n ? 2n ** 64n : 2n ** 32n;
      const left = limit - (state.read(SLOT.PMCCNTR_EL0) % limit);
      if (left < nearest) nearest = left;
    }
    for (let n = 0; n < EVENT_COUNTERS; n++) {
      if (((watched >> BigInt(n)) & 1n) === 0n) continue;
      const left = 2n ** 32n - state.read(COUNTER_SLOTS[n]!);
      if (left < nearest) nearest = left;
    }
    // One instruction takes at least a nanosecond, so that no overflow is missed by looking this often.
    const ticks = Math.max(1, Math.ceil(Number(nearest) / NANOSECONDS_PER_TICK));
    this.#lookAt(this.#clock.ticks() + ticks);
  }

  #lookAt(ticks: number): void {
    this.#alarmAt = ticks;
    this.#alarm = this.#clock.schedule(ticks, () => {
      this.synchronize();
      this.update();
    });
  }

  /** Whether a counter is enabled and the present state is not filtered out. */
  #counts(n: number): boolean {
    const state = this.#state;
    if (((state.read(SLOT.PMCNTENSET_EL0) >> BigInt(n)) & 1n) === 0n) return false;
    const control = state.read(SLOT.PMCR_EL0);
    const byHypervisor = n !== CYCLE && this.#privilege.hasEl2 && n >= (state.low(SLOT.MDCR_EL2) & 31);
    const on = byHypervisor ? state.bit(SLOT.MDCR_EL2, HPME) === 1 : (control & PMCR_E) !== 0n;
    if (!on) return false;
    const prohibited = this.#privilege.secure && state.bit(SLOT.MDCR_EL3, SPME) === 0;
    if (prohibited && (n !== CYCLE || (control & PMCR_DP) !== 0n)) return false;
    return this.#passesFilter(state.low(n === CYCLE ? SLOT.PMCCFILTR_EL0 : TYPE_SLOTS[n]!));
  }

  #passesFilter(filter: number): boolean {
    const bit = (index: number): boolean => ((filter >>> index) & 1) === 1;
    const [p, u, nsk, nsu, nsh, m] = [bit(31), bit(30), bit(29), bit(28), bit(27), bit(26)];
    const { el } = this.#state;
    const nonSecure = this.#privilege.hasEl3 && !this.#privilege.secure;
    switch (el) {
      case 0:
        return nonSecure ? u === nsu : !u;
      case 1:
        return nonSecure ? p === nsk : !p;
      case 2:
        return nsh;
      case 3:
        return p === m;
    }
  }

  #addCycles(cycles: bigint): void {
    const state = this.#state;
    const control = state.read(SLOT.PMCR_EL0);
    const divided = (control & (PMCR_D | PMCR_LC)) === PMCR_D ? cycles / 64n : cycles;
    const limit = (control & PMCR_LC) !== 0n ? 64n : 32n;
    const before = state.read(SLOT.PMCCNTR_EL0);
    const after = before + divided;
    state.write(SLOT.PMCCNTR_EL0, after);
    if (before >> limit !== after >> limit) this.#overflow(CYCLE);
  }

  #add(n: number, count: bigint): void {
    const slot = COUNTER_SLOTS[n]!;
    const sum = this.#state.read(slot) + count;
    this.#state.write(slot, sum & 0xffff_ffffn);
    if (sum < 2n ** 32n) return;
    this.#overflow(n);
    const chained = n + 1;
    if (n % 2 === 0 && this.#counts(chained)) {
      const event = this.#state.low(TYPE_SLOTS[chained]!) & 0xffff;
      if (event === EVENT.CHAIN) this.#add(chained, 1n);
    }
  }

  #overflow(n: number): void {
    const overflowed = this.#state.read(SLOT.PMOVSCLR_EL0) | (1n << BigInt(n));
    this.#state.write(SLOT.PMOVSCLR_EL0, overflowed);
    this.#driveLine();
  }

  #driveLine(): void {
    const state = this.#state;
    const wanted = state.read(SLOT.PMOVSCLR_EL0) & state.read(SLOT.PMINTENSET_EL1);
    this.#line.set(wanted !== 0n && (state.read(SLOT.PMCR_EL0) & PMCR_E) !== 0n);
  }

  /** Counters that the current level may touch: EL2 keeps those from MDCR_EL2.HPMN on for itself. */
  accessible(): bigint {
    if (this.#state.el > 1 || !this.#privilege.el2Enabled) return COUNTER_MASK;
    return (1n << 31n) | ((1n << BigInt(this.#guestCounters())) - 1n);
  }

  #guestCounters(): number {
    return Math.min(EVENT_COUNTERS, this.#state.low(SLOT.MDCR_EL2) & 31);
  }

  readControl(): bigint {
    const limited = this.#state.el < 2 && this.#privilege.el2Enabled;
    const count = limited ? this.#guestCounters() : EVENT_COUNTERS;
    return this.#state.read(SLOT.PMCR_EL0) | (BigInt(count) << 11n);
  }

  writeControl(value: bigint): void {
    const state = this.#state;
    if (value & PMCR_C) state.write(SLOT.PMCCNTR_EL0, 0n);
    if (value & PMCR_P) {
      const accessible = this.accessible();
      COUNTER_SLOTS.forEach((slot, n) => {
        if ((accessible >> BigInt(n)) & 1n) state.write(slot, 0n);
      });
    }
    state.write(SLOT.PMCR_EL0, value & PMCR_WRITABLE);
  }

  /** PMSWINC_EL0. */
  softwareIncrement(value: bigint): void {
    const accessible = value & this.accessible();
    for (let n = 0; n < EVENT_COUNTERS; n++) {
      const selected = ((accessible >> BigInt(n)) & 1n) === 1n;
      const event = this.#state.low(TYPE_SLOTS[n]!) & 0xffff;
      if (selected && event === EVENT.SW_INCR && this.#counts(n)) this.#add(n, 1n);
    }
  }

  /** PMCEID0_EL0 and PMCEID1_EL0. */
  commonEvents(word: 0 | 1): bigint {
    return word === 0 ? COUNTED_EVENTS & 0xffff_ffffn : COUNTED_EVENTS >> 32n;
  }

  /** Slot of the counter or type register that PMSELR_EL0 selects; undefined where there is none. */
  selected(kind: "counter" | "type"): number | undefined {
    const n = this.#state.low(SLOT.PMSELR_EL0) & 31;
    if (kind === "type" && n === CYCLE) return SLOT.PMCCFILTR_EL0;
    if (((this.accessible() >> BigInt(n)) & 1n) === 0n) return undefined;
    return (kind === "counter" ? COUNTER_SLOTS : TYPE_SLOTS)[n];
  }
}
