import type { InterruptCpuInterface, InterruptSignals } from "../base/interrupt-controller.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import type { Affects } from "../isa/system-registers/definition.ts";
import { systemInstruction } from "../isa/system-registers/system-instructions.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import type { Mmu } from "../mmu/mmu.ts";
import type { ConditionContext } from "./condition.ts";
import { HCR_AMO, HCR_FMO, HCR_IMO, HCR_VF, HCR_VI, HCR_VSE } from "./control-bits.ts";
import type { Counters } from "./counters.ts";
import type { DebugUnit } from "./debug-unit.ts";
import { DAIF } from "./element-state.ts";
import { fastConditions } from "./fast-registers.ts";
import { floatingPointTrapTarget } from "./floating-point-access.ts";
import { InlineCounters, type InlineCounts } from "./inline-counters.ts";
import { type PendingInterrupt, pendingInterrupt, wakesUp } from "./interrupts.ts";
import type { PerformanceMonitor } from "./performance-monitor.ts";
import { TIMER_NAMES, type Timer, type TimerName } from "./timers.ts";
import type { TrapTable } from "./trap-evaluation.ts";
import type { WaitState } from "./wait-state.ts";

const ATTENTION = 0x8000_0000;
const NO_SIGNALS: InterruptSignals = { irq: false, fiq: false, virq: false, vfiq: false };
const VIRTUAL_INTERRUPTS = HCR_VF | HCR_VI | HCR_VSE;
const NO_COUNTS: InlineCounts = { physical: false, virtual: false };
const DC_ZVA = systemInstruction("DC ZVA").encoding;

export interface DerivedParts {
  readonly context: ConditionContext;
  readonly mmu: Mmu;
  readonly debug: DebugUnit;
  readonly monitor: PerformanceMonitor;
  readonly timers: Readonly<Record<TimerName, Timer>>;
  readonly traps: TrapTable;
  readonly interrupts: InterruptCpuInterface;
  readonly wait: WaitState;
  readonly counters: Counters;
  readonly lowerClock: ScaledClock;
  /** Undefined where generated code asks the processor for each count. */
  readonly inlineClock: ScaledClock | undefined;
}

/**
 * Everything that follows from PSTATE, the system registers and the interrupt signals, and that others keep:
 * generated code's words, the MMU's context, the interrupt controller's view, timers and counters.
 */
export class DerivedState {
  readonly #parts: DerivedParts;
  #signals: InterruptSignals = NO_SIGNALS;
  #sawEl3 = false;
  #sawNonSecure = false;
  /** See Processor.needsCarefulMode. */
  needsCarefulMode = false;
  /** DC ZVA traps nowhere at the current level. */
  #zeroesFreely = false;

  readonly #inlineCounters: InlineCounters | undefined;

  constructor(parts: DerivedParts) {
    this.#parts = parts;
    const { context, traps, counters, lowerClock, inlineClock } = parts;
    const changed = () => this.#clockChanged();
    this.#inlineCounters =
      inlineClock &&
      new InlineCounters({ context, traps, counters, lowerClock, clock: inlineClock, changed });
  }

  /** After a cold reset. */
  reset(): void {
    const { context, interrupts, timers, monitor, wait } = this.#parts;
    const { state, privilege } = context;
    wait.reset();
    for (const name of TIMER_NAMES) timers[name].reset();
    monitor.update();
    this.#sawEl3 = state.el === 3;
    this.#sawNonSecure = !privilege.secureBelowEl3;
    interrupts.executionStateChanged(state.el, !privilege.secure);
    this.everythingChanged();
  }

  /** The registers have been restored, and the interrupt controller knows on which side the element runs. */
  restored(): void {
    const { state, privilege } = this.#parts.context;
    this.#sawEl3 = state.el === 3;
    this.#sawNonSecure = !privilege.secureBelowEl3;
    this.everythingChanged();
    this.levelChanged();
  }

  everythingChanged(): void {
    this.refresh(["translation", "interrupts", "floatingPoint", "debug", "timers"]);
  }

  /** The interrupt controller's outputs to this element. */
  setSignals(signals: InterruptSignals): void {
    this.#signals = signals;
    this.refreshFastConditions();
    this.#lookAtInterrupts();
  }

  /** Makes generated code return to the run loop at the next opportunity. */
  raiseAttention(): void {
    this.#parts.context.state.setWord(PE_LAYOUT.ATTENTION, ATTENTION);
  }

  /** Something pends that ends WFI. */
  get wakesUp(): boolean {
    const { state, privilege } = this.#parts.context;
    return wakesUp(state, privilege, this.#signals);
  }

  /** The interrupt that would be taken now: pending, routed here and not masked. */
  pendingInterrupt(): PendingInterrupt | undefined {
    const { state, privilege } = this.#parts.context;
    return pendingInterrupt(state, privilege, this.#signals);
  }

  /** After an exception or a return: everything that depends on EL, PSTATE and the security state. */
  levelChanged(): void {
    const { state, privilege } = this.#parts.context;
    this.#announceSecurity();
    state.setWord(PE_LAYOUT.NON_SECURE, privilege.secure ? 0 : 1);
    this.#parts.mmu.stateChanged();
    this.#refreshFloatingPoint();
    this.#zeroesFreely = this.#zeroTrapIsOff();
    this.refreshFastConditions();
    this.refreshDebug();
    if (state.word(PE_LAYOUT.IL) === 1 || this.pendingInterrupt() !== undefined) this.raiseAttention();
  }

  /** After writes to system registers. */
  refresh(affects: readonly Affects[]): void {
    const { state, privilege } = this.#parts.context;
    this.#inlineCounters?.forget();
    for (const what of affects) {
      switch (what) {
        case "translation":
        case "byteOrder":
          if (what === "byteOrder" && affects.includes("translation")) break;
          state.setWord(PE_LAYOUT.NON_SECURE, privilege.secure ? 0 : 1);
          this.#zeroesFreely = this.#zeroTrapIsOff();
          this.#parts.mmu.contextChanged();
          break;
        case "interrupts":
          this.#announceSecurity();
          this.#lookAtInterrupts();
          break;
        case "floatingPoint":
          this.#refreshFloatingPoint();
          break;
        case "debug":
          this.refreshDebug();
          break;
        case "counters":
          this.#parts.monitor.synchronize();
          this.#parts.monitor.update();
          break;
        case "timers":
          for (const name of TIMER_NAMES) this.#parts.timers[name].update();
          this.#parts.wait.streamsChanged();
          break;
      }
    }
    this.refreshFastConditions();
  }

  #clockChanged(): void {
    this.#inlineCounters?.forget();
    this.refreshFastConditions();
  }

  /** Tells generated code which instructions need no processor. */
  refreshFastConditions(): void {
    const { context, debug } = this.#parts;
    const { state, privilege } = context;
    const { irq, fiq, virq, vfiq } = this.#signals;
    const facts = {
      zeroesFreely: this.#zeroesFreely,
      floatingPoint: state.word(PE_LAYOUT.FP_ENABLED) !== 0,
      isQuiet: !(irq || fiq || virq || vfiq || debug.isInUse) && (privilege.hcr & VIRTUAL_INTERRUPTS) === 0n,
      counters: this.#inlineCounters?.current() ?? NO_COUNTS,
    };
    state.setWord(PE_LAYOUT.FAST_REGISTERS, fastConditions(state, privilege, facts));
  }

  #zeroTrapIsOff(): boolean {
    const { state, privilege } = this.#parts.context;
    const { el } = state;
    if (el >= 2 || (el === 1 && !privilege.hasEl2)) return true;
    return this.#parts.traps.access(DC_ZVA, "write", this.#parts.context) === "execute";
  }

  /** Tells the interrupt controller on which side the element runs. */
  #announceSecurity(): void {
    const { state, privilege } = this.#parts.context;
    if (!privilege.hasEl3) return;
    const inEl3 = state.el === 3;
    const nonSecure = !privilege.secureBelowEl3;
    if (inEl3 === this.#sawEl3 && nonSecure === this.#sawNonSecure) return;
    this.#sawEl3 = inEl3;
    this.#sawNonSecure = nonSecure;
    this.#parts.interrupts.executionStateChanged(state.el, nonSecure);
  }

  #refreshFloatingPoint(): void {
    const { state, privilege } = this.#parts.context;
    const enabled = floatingPointTrapTarget(state, privilege) === undefined;
    state.setWord(PE_LAYOUT.FP_ENABLED, enabled ? 1 : 0);
  }

  refreshDebug(): void {
    const { debug, mmu } = this.#parts;
    const careful = debug.stepActive || debug.hasBreakpoints;
    if (careful !== this.needsCarefulMode) {
      this.needsCarefulMode = careful;
      this.raiseAttention();
    }
    const watched = debug.hasWatchpoints;
    if (watched !== mmu.context.slowOnly) mmu.context.setSlowOnly(watched);
  }

  #lookAtInterrupts(): void {
    const isTaken = this.pendingInterrupt() !== undefined;
    const goesOn = this.#parts.wait.interruptsChanged(this.wakesUp, isTaken);
    if (isTaken || goesOn) this.raiseAttention();
  }

  /** ISR_EL1: pending physical interrupts, or the virtual ones at EL1 where HCR_EL2 routes the physical away. */
  pendingStatus(): number {
    const { irq, fiq, virq, vfiq } = this.#signals;
    const { state, privilege } = this.#parts.context;
    const { hcr } = privilege;
    const isGuest = state.el < 2;
    const irqPending = isGuest && hcr & HCR_IMO ? virq || (hcr & HCR_VI) !== 0n : irq;
    const fiqPending = isGuest && hcr & HCR_FMO ? vfiq || (hcr & HCR_VF) !== 0n : fiq;
    const errorPending = isGuest && (hcr & HCR_AMO) !== 0n && (hcr & HCR_VSE) !== 0n;
    return (errorPending ? DAIF.A : 0) | (irqPending ? DAIF.I : 0) | (fiqPending ? DAIF.F : 0);
  }
}
