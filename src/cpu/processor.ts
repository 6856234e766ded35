import type { InterruptSignals } from "../base/interrupt-controller.ts";
import type { Stateful } from "../base/state-fields.ts";
import { ScaledClock } from "../base/time-scale.ts";
import type { ProcessorOperation } from "../isa/semantics.ts";
import type { Affects } from "../isa/system-registers/definition.ts";
import { registerIndex } from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { STORE_RESULT } from "../mmu/data-access.ts";
import type { MemoryFault } from "../mmu/memory-fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { doubleWord } from "../mmu/translation-registers.ts";
import { computedRegisters } from "./computed-registers.ts";
import type { ConditionContext } from "./condition.ts";
import { Counters } from "./counters.ts";
import { DebugUnit } from "./debug-unit.ts";
import { DerivedState } from "./derived-state.ts";
import { DAIF, ElementState } from "./element-state.ts";
import { DAIF_ENCODING, DC_ZVA, PAN_ENCODING, SPSEL_ENCODING, UAO_ENCODING } from "./encodings.ts";
import { ExceptionTaker } from "./exception-taker.ts";
import { floatingPointTrapTarget } from "./floating-point-access.ts";
import { FLOW, type Flow } from "./flow.ts";
import { MAIN_IDENTIFIER, multiprocessorAffinity } from "./identification.ts";
import type { PendingInterrupt } from "./interrupts.ts";
import { PerformanceMonitor } from "./performance-monitor.ts";
import { Privilege } from "./privilege.ts";
import type { ProcessorParts, ProcessorStart, ServiceCallOutcome } from "./processor-parts.ts";
import { ProcessorState } from "./processor-state.ts";
import { type AccessResult, RegisterAccess } from "./register-access.ts";
import { resetRegisters } from "./reset-values.ts";
import { ServiceCalls } from "./service-calls.ts";
import { EXCEPTION_CLASS, waitIss } from "./syndrome.ts";
import { SystemInstructions, type SystemResult } from "./system-instructions.ts";
import { makeTimers, type Timer, type TimerName } from "./timers.ts";
import { TrapTable } from "./trap-evaluation.ts";
import { WaitState } from "./wait-state.ts";

/** One processing element: everything an instruction does that is not arithmetic or plain memory access. */
export class Processor {
  readonly base: number;
  readonly index: number;
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly mmu: Mmu;
  readonly debug: DebugUnit;
  readonly monitor: PerformanceMonitor;
  readonly timers: Readonly<Record<TimerName, Timer>>;
  /** Has executed YIELD lately: another element may have better use for the time. Cleared by the run loop. */
  yielded = false;
  /** The counter below EL2: CNTSCALE_EL2 sets its pace. */
  readonly #lowerClock: ScaledClock;
  readonly #parts: ProcessorParts;
  readonly #registers: RegisterAccess;
  readonly #system: SystemInstructions;
  readonly #traps = new TrapTable();
  readonly #context: ConditionContext;
  readonly #derived: DerivedState;
  readonly #exceptions: ExceptionTaker;
  readonly #wait: WaitState;
  readonly #serviceCalls: ServiceCalls;
  readonly #resetVector = { value: 0n };
  /** What it remembers. */
  readonly saved: Stateful;

  constructor(parts: ProcessorParts) {
    const { memory, base, index, mmu, clock, options, features, interrupts, lines, hooks, inlineClock } =
      parts;
    this.#parts = parts;
    this.base = base;
    this.index = index;
    this.mmu = mmu;
    this.state = new ElementState(memory, base);
    this.privilege = new Privilege(this.state, options, features);
    const { state, privilege } = this;
    this.debug = new DebugUnit(state, privilege);
    this.monitor = new PerformanceMonitor({ state, privilege, clock, line: lines.performanceMonitor });
    this.#lowerClock = new ScaledClock(clock);
    const { debug, monitor } = this;
    const clocks = { clock, lowerClock: this.#lowerClock };
    const timers = makeTimers({ state, privilege, ...clocks }, lines);
    this.timers = timers;
    this.#wait = new WaitState({ state, privilege, ...clocks });
    this.#serviceCalls = new ServiceCalls(hooks, state, this.debug);
    this.#context = {
      state,
      privilege,
      hypervisorInterruptControl: () => interrupts.hypervisorControl,
    };
    const counters = new Counters({ state, privilege, ...clocks });
    this.#derived = new DerivedState({
      context: this.#context,
      ...{ mmu, debug, monitor, timers, traps: this.#traps, interrupts, wait: this.#wait },
      ...{ counters, inlineClock, lowerClock: this.#lowerClock },
    });
    const [wait, derived] = [this.#wait, this.#derived];
    this.#exceptions = new ExceptionTaker({ state, privilege, mmu, debug, monitor, derived, wait });
    const { timerTrap } = hooks ?? {};
    this.saved = new ProcessorState({
      ...{ state, privilege, monitor, timerTrap, ring: mmu.ring, resetVector: this.#resetVector },
      ...{ lowerClock: this.#lowerClock, wait, exceptions: this.#exceptions, derived },
    });
    const computed = computedRegisters({
      state,
      privilege,
      ...{ ...clocks, counters, timers, timerTrap, monitor },
      identity: { midr: MAIN_IDENTIFIER, mpidr: multiprocessorAffinity(index) },
      resetVector: () => this.#resetVector.value,
      pending: () => this.#derived.pendingStatus(),
      mmu,
      transmit: (value) => hooks?.debugTransmit?.(value) ?? false,
    });
    const [context, traps] = [this.#context, this.#traps];
    this.#registers = new RegisterAccess({ context, traps, interrupts, computed });
    this.#system = new SystemInstructions(context, traps, mmu);
    mmu.access.watchpoints = (low, high, size, isWrite, unprivileged) =>
      this.debug.watchpointMatches(doubleWord(low, high), size, isWrite, unprivileged);
  }

  /** Waiting for an interrupt (WFI) or an event (WFE): there is no use in running it before. */
  get sleeping(): boolean {
    return this.#wait.isWaiting;
  }

  /** The run loop must call {@link beforeInstruction} before each instruction. */
  get needsCarefulMode(): boolean {
    return this.#derived.needsCarefulMode;
  }

  /** Cold reset at the highest exception level; the first instruction is at `vector`. */
  reset(vector = 0): void {
    const { state, privilege } = this;
    resetRegisters(state, this.#parts);
    this.#resetVector.value = BigInt(vector);
    state.setWord(PE_LAYOUT.DAIF, DAIF.ALL);
    state.selectLevel(privilege.hasEl3 ? 3 : privilege.hasEl2 ? 2 : 1, 1);
    state.nzcv = 0;
    state.pc = this.#resetVector.value;
    this.yielded = false;
    this.#exceptions.reset();
    this.mmu.ring.reset();
    this.#lowerClock.follow();
    this.#parts.hooks?.timerTrap?.reset();
    this.#derived.reset();
  }

  /** Puts the element, just reset, where software begins. */
  start(start: ProcessorStart): void {
    const { state } = this;
    for (const { name, bits } of start.systemRegisters) {
      const slot = registerIndex(name);
      state.write(slot, state.read(slot) | bits);
    }
    start.arguments.forEach((value, register) => {
      state.setX(register, value);
    });
    state.selectLevel(start.level, 1);
    state.pc = BigInt(start.pc);
    this.#derived.everythingChanged();
  }

  /** Host address of the bytes, or 0 after an exception was taken. */
  load(low: number, high: number, size: number, flags: number): number {
    const host = this.mmu.access.load(low, high, size, flags);
    if (host === 0) this.#exceptions.takeAccessFault();
    return host;
  }

  /** A STORE_RESULT; after FAULT an exception was taken. */
  store(low: number, high: number, size: number, flags: number): number {
    const result = this.mmu.access.store(low, high, size, flags);
    if (result === STORE_RESULT.FAULT) this.#exceptions.takeAccessFault("write");
    return result;
  }

  /** As {@link load}, for a location that will be written. */
  prepareWrite(low: number, high: number, size: number, flags: number): number {
    const host = this.mmu.access.prepareWrite(low, high, size, flags);
    if (host === 0) this.#exceptions.takeAccessFault();
    return host;
  }

  /** Host address of the frame that PC lies in, or 0 after an exception was taken. */
  fetch(): number {
    const { state } = this;
    const at = (this.base + PE_LAYOUT.PC) >>> 2;
    const low = state.words[at]!;
    if ((low & 3) !== 0) {
      const pc = state.pc;
      this.#exceptions.takeSynchronous(EXCEPTION_CLASS.PC_ALIGNMENT, 0, { faultAddress: pc });
      return 0;
    }
    const host = this.mmu.access.fetch(low, state.words[at + 1]!);
    if (host === 0) this.#exceptions.takeAccessFault();
    return host;
  }

  /**
   * Executes a processor operation for the instruction at PC. On FLOW.CHANGED, PC says where to go on: at the
   * next instruction, or in an exception's handler.
   */
  execute(operation: ProcessorOperation | "floatingPointTrap", a: number, b: number, c: number): Flow {
    const { state } = this;
    switch (operation) {
      case "undefinedInstruction":
      case "debugSwitch":
      case "debugRestore":
        return this.#exceptions.takeUndefined();
      case "floatingPointTrap":
        return this.#exceptions.takeFloatingPointTrap(floatingPointTrapTarget(state, this.privilege));
      case "supervisorCall":
        return this.#exceptions.takeCall(EXCEPTION_CLASS.SUPERVISOR_CALL, a, this.privilege.defaultTarget());
      case "hypervisorCall":
        return this.#hypervisorCall(a);
      case "secureMonitorCall":
        return this.#monitorCall(a);
      case "breakpoint":
        return this.#breakpointInstruction(a);
      case "halt":
        if (state.el >= 2 && this.#parts.hooks?.hostGate?.(a & 0xffff)) return this.#next();
        return this.#exceptions.takeUndefined();
      case "exceptionReturn":
        return state.el === 0 ? this.#exceptions.takeUndefined() : this.#exceptionReturn();
      case "waitForInterrupt":
        return this.#waitForInterrupt();
      case "waitForEvent":
        return this.#waitForEvent();
      case "sendEvent":
      case "sendEventLocal":
        this.signalEvent();
        if (operation === "sendEvent") this.#parts.hooks?.broadcastEvent?.();
        return FLOW.NEXT;
      case "yield":
        this.yielded = true;
        return this.#next(true);
      case "writeProcessState":
        return this.#writeProcessState(a, b, c);
      case "readSystemRegister":
        return this.#readRegister(a, b);
      case "writeSystemRegister":
        if (this.monitor.active) this.monitor.synchronize();
        return this.#settle(this.#registers.write(a, state.x(b)), a, b, "write");
      case "systemInstruction":
        return this.#settleSystem(this.#system.execute(a, state.x(b)), a, b);
      case "systemInstructionResult":
        return this.#systemResult(a, b);
      case "zeroCacheLine":
        return this.#settleSystem(this.#system.execute(DC_ZVA, state.x(a)), DC_ZVA, a);
      case "stackAlignmentCheck":
        return this.#exceptions.checkStackAlignment();
    }
  }

  /**
   * In careful mode, before the instruction at PC: software step and breakpoints. True when an exception was
   * taken instead.
   */
  beforeInstruction(): boolean {
    return this.#exceptions.beforeInstruction();
  }

  /** The interrupt controller's outputs to this element. */
  setInterruptSignals(signals: InterruptSignals): void {
    this.#derived.setSignals(signals);
  }

  /** Makes generated code return to the run loop at the next opportunity. */
  raiseAttention(): void {
    this.#derived.raiseAttention();
  }

  /**
   * To be called by the run loop when attention was asked for, between instructions: takes the illegal state
   * exception or an interrupt, where one is due.
   */
  serviceAttention(): void {
    this.state.setWord(PE_LAYOUT.ATTENTION, 0);
    if (this.state.word(PE_LAYOUT.IL) === 1) {
      this.#exceptions.completeStep();
      this.#exceptions.takeSynchronous(EXCEPTION_CLASS.ILLEGAL_STATE, 0, {});
      return;
    }
    this.takeInterruptIfPending();
  }

  /** True when an interrupt or a virtual SError was taken. */
  takeInterruptIfPending(): boolean {
    const pending = this.pendingInterrupt();
    if (pending === undefined) return false;
    this.#exceptions.completeStep();
    this.#exceptions.takeInterrupt(pending);
    return true;
  }

  /** The interrupt that would be taken now: pending, routed here and not masked. */
  pendingInterrupt(): PendingInterrupt | undefined {
    return this.#derived.pendingInterrupt();
  }

  /** An event for this element, from SEV anywhere or from a monitor that opens: sets its register, or ends its WFE. */
  signalEvent(): void {
    this.#wait.signalEvent();
  }

  /** As WFI does, from outside: a power controller's CPU_SUSPEND. */
  sleep(): void {
    this.#wait.waitForInterrupt();
  }

  /** Ends a WFI or WFE. */
  wake(): void {
    this.#wait.end();
  }

  /** Takes a fault of an access by the instruction at PC, or of its fetch (access "execute"). */
  takeMemoryFault(fault: MemoryFault, isMaintenance = false): void {
    this.#exceptions.takeMemoryFault(fault, isMaintenance);
  }

  /** Completes the instruction at PC. `attend`: the run loop has something to look at. */
  #next(attend = false): Flow {
    this.state.pc += 4n;
    if (attend) this.raiseAttention();
    return FLOW.CHANGED;
  }

  #hypervisorCall(immediate: number): Flow {
    if (this.state.el !== 0 && this.#parts.hooks?.conduit?.("hvc", immediate & 0xffff)) {
      return this.#next(true);
    }
    if (this.#traps.event("HVC", this.#context) !== "execute") return this.#exceptions.takeUndefined();
    if (!this.privilege.hasEl2) return this.#exceptions.takeUndefined();
    return this.#exceptions.takeCall(EXCEPTION_CLASS.HYPERVISOR_CALL, immediate, this.state.el === 3 ? 3 : 2);
  }

  #monitorCall(immediate: number): Flow {
    const verdict = this.#traps.event("SMC", this.#context);
    if (typeof verdict === "number") {
      return this.#exceptions.takeSynchronous(EXCEPTION_CLASS.MONITOR_CALL, immediate & 0xffff, {
        target: verdict,
      });
    }
    if (this.state.el !== 0 && this.#parts.hooks?.conduit?.("smc", immediate & 0xffff)) {
      return this.#next(true);
    }
    if (verdict === "undefined") return this.#exceptions.takeUndefined();
    return this.#exceptions.takeCall(EXCEPTION_CLASS.MONITOR_CALL, immediate, 3);
  }

  #readRegister(encoding: number, rt: number): Flow {
    const serviced = this.#serviced(this.#serviceCalls.registerRead(encoding, rt));
    return serviced ?? this.#settle(this.#registers.read(encoding), encoding, rt, "read");
  }

  /** Ends an instruction that was a call to the hypervisor; undefined where it was none. */
  #serviced(outcome: ServiceCallOutcome): Flow | undefined {
    if (outcome === "not ours") return undefined;
    if (outcome === "served") return this.#next();
    this.takeMemoryFault(outcome);
    return FLOW.CHANGED;
  }

  #breakpointInstruction(immediate: number): Flow {
    const serviced = this.#serviced(this.#serviceCalls.breakpoint(immediate & 0xffff));
    if (serviced !== undefined) return serviced;
    const { el } = this.state;
    const debugTarget = this.debug.currentTarget;
    const target = el > debugTarget ? this.privilege.defaultTarget() : debugTarget;
    return this.#exceptions.takeSynchronous(EXCEPTION_CLASS.BRK, immediate & 0xffff, { target });
  }

  #exceptionReturn(): Flow {
    this.#wait.signalEvent();
    return this.#exceptions.returnFromException();
  }

  #waitForInterrupt(): Flow {
    if (this.#derived.wakesUp) return FLOW.NEXT;
    const trapped = this.#trapWait("WFI");
    if (trapped === undefined) this.#wait.waitForInterrupt();
    return trapped ?? this.#next(true);
  }

  #waitForEvent(): Flow {
    if (this.#wait.consumeEvent()) return FLOW.NEXT;
    const trapped = this.#trapWait("WFE");
    if (trapped === undefined && this.pendingInterrupt() === undefined) this.#wait.waitForEvent();
    return trapped ?? this.#next(true);
  }

  #trapWait(event: "WFI" | "WFE"): Flow | undefined {
    const verdict = this.#traps.event(event, this.#context);
    if (typeof verdict !== "number") return undefined;
    return this.#exceptions.takeSynchronous(EXCEPTION_CLASS.WAIT, waitIss(event), { target: verdict });
  }

  /** MSR (immediate). */
  #writeProcessState(op1: number, op2: number, value: number): Flow {
    const { state } = this;
    switch ((op1 << 3) | op2) {
      case 0o03:
        if (state.el === 0) return this.#exceptions.takeUndefined();
        state.setWord(PE_LAYOUT.UAO, value & 1);
        return this.#stateWritten(["translation"]);
      case 0o04:
        if (state.el === 0) return this.#exceptions.takeUndefined();
        state.setWord(PE_LAYOUT.PAN, value & 1);
        return this.#stateWritten(["translation"]);
      case 0o05:
        if (state.el === 0) return this.#exceptions.takeUndefined();
        state.selectLevel(state.el, value & 1);
        return this.#stateWritten([]);
      case 0o31:
        state.setWord(PE_LAYOUT.SSBS, value & 1);
        return FLOW.NEXT;
      case 0o36:
      case 0o37: {
        const verdict = this.#traps.access(DAIF_ENCODING, "write", this.#context);
        if (typeof verdict === "number") {
          // The syndrome shows the instruction's own fields: op0 0, CRm the immediate, Rt 31.
          const encoding = (op1 << 11) | (4 << 7) | (value << 3) | op2;
          return this.#exceptions.takeSystemRegisterTrap(verdict, { encoding, rt: 31, direction: "write" });
        }
        const daif = state.word(PE_LAYOUT.DAIF);
        state.setWord(PE_LAYOUT.DAIF, op2 === 6 ? daif | value : daif & ~value & DAIF.ALL);
        if (op2 === 6 && (value & DAIF.D) === 0) return FLOW.NEXT;
        return this.#masksWritten();
      }
      default:
        return this.#exceptions.takeUndefined();
    }
  }

  /** After a change of PSTATE fields that translation or stack pointer selection depend on. */
  #stateWritten(affects: readonly Affects[]): Flow {
    this.#derived.refreshFastConditions();
    if (affects.includes("translation")) this.mmu.stateChanged();
    return this.#next();
  }

  /** After a change of PSTATE.DAIF. */
  #masksWritten(): Flow {
    this.#derived.refreshDebug();
    if (this.pendingInterrupt() !== undefined) return this.#next(true);
    return this.needsCarefulMode ? this.#next(true) : FLOW.NEXT;
  }

  #settle(result: AccessResult, encoding: number, rt: number, direction: "read" | "write"): Flow {
    switch (result.type) {
      case "read":
        this.state.setX(rt, result.value);
        return FLOW.NEXT;
      case "written":
        return this.#registerWritten(encoding, result.affects);
      case "undefined":
        return this.#exceptions.takeUndefined();
      case "floatingPointTrap":
        return this.#exceptions.takeFloatingPointTrap(result.target);
      case "trap":
        return this.#exceptions.takeSystemRegisterTrap(result.target, { encoding, rt, direction });
    }
  }

  #registerWritten(encoding: number, affects: readonly Affects[]): Flow {
    if (encoding === DAIF_ENCODING) return this.#masksWritten();
    if (encoding === SPSEL_ENCODING) return this.#stateWritten([]);
    if (encoding === PAN_ENCODING || encoding === UAO_ENCODING) return this.#stateWritten(["translation"]);
    // Where an interrupt controller's or timer's register was written, the controller reports what follows.
    if (affects.length === 0) return FLOW.NEXT;
    this.#derived.refresh(affects);
    return this.#next();
  }

  #settleSystem(result: SystemResult, encoding: number, rt: number): Flow {
    switch (result.type) {
      case "done":
        return FLOW.NEXT;
      case "changed":
        return this.#next();
      case "undefined":
        return this.#exceptions.takeUndefined();
      case "fault":
        this.takeMemoryFault(result.fault, encoding !== DC_ZVA);
        return FLOW.CHANGED;
      case "trap":
        return this.#exceptions.takeSystemRegisterTrap(result.target, { encoding, rt, direction: "write" });
    }
  }

  /** SYSL: no instruction of this architecture version gives a result. */
  #systemResult(encoding: number, rt: number): Flow {
    const crn = (encoding >> 7) & 15;
    if (crn === 11 || crn === 15) {
      const verdict = this.#traps.implementationDefined(this.#context);
      if (typeof verdict === "number") {
        return this.#exceptions.takeSystemRegisterTrap(verdict, { encoding, rt, direction: "read" });
      }
    }
    return this.#exceptions.takeUndefined();
  }
}
