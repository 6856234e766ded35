import type { Clock } from "../base/clock.ts";
import { Bug } from "../base/errors.ts";
import type { InterruptCpuInterface, InterruptSignals } from "../base/interrupt-controller.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import type { Feature } from "../isa/instruction.ts";
import type { ProcessorOperation } from "../isa/semantics.ts";
import type { Affects } from "../isa/system-registers/definition.ts";
import { systemInstruction } from "../isa/system-registers/system-instructions.ts";
import {
  indexOf,
  registerIndex,
  type StoredRegisterName,
  SYSTEM_REGISTERS,
  systemRegister,
} from "../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { STORE_RESULT } from "../mmu/data-access.ts";
import type { MemoryFault } from "../mmu/memory-fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { doubleWord, type TranslationRegisters } from "../mmu/translation-registers.ts";
import { computedRegisters } from "./computed-registers.ts";
import type { ConditionContext } from "./condition.ts";
import {
  HCR_AMO,
  HCR_FMO,
  HCR_IMO,
  HCR_VF,
  HCR_VI,
  HCR_VSE,
  SCR_EA,
  SCTLR_SA,
  SCTLR_SA0,
} from "./control-bits.ts";
import { DebugUnit } from "./debug-unit.ts";
import { DAIF, type ElementMemory, ElementState, SLOT } from "./element-state.ts";
import { enterException, returnFromException, VECTOR } from "./exceptions.ts";
import { fastConditions } from "./fast-registers.ts";
import type { ProcessorOptions } from "./feature-set.ts";
import { floatingPointTrapTarget } from "./floating-point-access.ts";
import { identificationValues, MAIN_IDENTIFIER, multiprocessorAffinity } from "./identification.ts";
import { type PendingInterrupt, pendingInterrupt, wakesUp } from "./interrupts.ts";
import { PerformanceMonitor } from "./performance-monitor.ts";
import { Privilege } from "./privilege.ts";
import { type AccessResult, RegisterAccess } from "./register-access.ts";
import {
  abortIss,
  classFrom,
  describeTransfer,
  EXCEPTION_CLASS,
  FLOATING_POINT_ISS,
  systemRegisterIss,
  waitIss,
} from "./syndrome.ts";
import { SystemInstructions, type SystemResult } from "./system-instructions.ts";
import { TIMER_NAMES, Timer, type TimerName } from "./timers.ts";
import { TrapTable } from "./trap-evaluation.ts";
import { zeroBlockFast } from "./zero-block.ts";

/** How generated code goes on after an operation. */
export const FLOW = {
  /** With the next instruction; PC and the translation context are as before. */
  NEXT: 0,
  /** At PC, looking everything up again. */
  CHANGED: 1,
} as const;
export type Flow = (typeof FLOW)[keyof typeof FLOW];

/** What the machine around the element does for it. */
export interface ProcessorHooks {
  /**
   * An HVC or SMC that built-in firmware may answer. True: it did, and the instruction is complete. Asked
   * before the architecture's own rules, HCR_EL2.TSC excepted.
   */
  readonly conduit?: (kind: "hvc" | "smc", immediate: number) => boolean;
  /** HLT at EL2 and EL3: true when the host gate took it, and the instruction is complete. */
  readonly hostGate?: (immediate: number) => boolean;
  /** SEV: the event register of every element is to be set ({@link Processor.signalEvent}). */
  readonly broadcastEvent?: () => void;
  /** A word for the debug communication channel; false when nobody listens. */
  readonly debugTransmit?: (value: number) => boolean;
}

export interface ProcessorParts {
  readonly memory: ElementMemory;
  /** Byte address of the element's block. */
  readonly base: number;
  /** Index of the element in the machine, from 0. */
  readonly index: number;
  readonly mmu: Mmu;
  readonly clock: Clock;
  readonly interrupts: InterruptCpuInterface;
  /** Lines of the timers and of the performance monitor to the interrupt controller. */
  readonly lines: Readonly<Record<TimerName | "performanceMonitor", InterruptLine>>;
  readonly features: ReadonlySet<Feature>;
  readonly options: ProcessorOptions;
  readonly hooks?: ProcessorHooks;
}

/** How an element begins; see `startState` of the machine room. */
export interface ProcessorStart {
  readonly pc: number;
  readonly arguments: readonly bigint[];
  readonly level: 1 | 2 | 3;
  readonly systemRegisters: readonly { readonly name: StoredRegisterName; readonly bits: bigint }[];
}

const ATTENTION = 0x8000_0000;
const NO_SIGNALS: InterruptSignals = { irq: false, fiq: false, virq: false, vfiq: false };

/** The registers that address translation reads, for the Mmu of the element whose block is at `base`. */
export function translationRegisters(memory: ElementMemory, base: number): TranslationRegisters {
  const state = new ElementState(memory, base);
  return { read: (name) => state.read(SLOT[name]) };
}

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
  /** Waiting for an interrupt (WFI): the run loop gives it no time until {@link wake}. */
  sleeping = false;
  /** Has executed WFE or YIELD lately: another element may have better use for the time. Cleared by the run loop. */
  yielded = false;
  /** The run loop must call {@link beforeInstruction} before each instruction. */
  needsCarefulMode = false;
  readonly #parts: ProcessorParts;
  readonly #registers: RegisterAccess;
  readonly #system: SystemInstructions;
  readonly #traps = new TrapTable();
  readonly #context: ConditionContext;
  #signals: InterruptSignals = NO_SIGNALS;
  /** DC ZVA traps nowhere at the current level. */
  #zeroesFreely = false;
  #eventRegister = false;
  /** Software step: an instruction was let through and has not completed yet. */
  #stepping = false;
  #stepCompleted = false;
  #steppedExclusive = false;
  /** Instructions completed when the step began: the engine may ask twice before the same instruction. */
  #stepBegan = 0;
  #resetVector = 0n;
  #sawEl3 = false;
  #sawNonSecure = false;

  constructor(parts: ProcessorParts) {
    const { memory, base, index, mmu, clock, options, features, interrupts, lines, hooks } = parts;
    this.#parts = parts;
    this.base = base;
    this.index = index;
    this.mmu = mmu;
    this.state = new ElementState(memory, base);
    this.privilege = new Privilege(this.state, options, features);
    const { state, privilege } = this;
    this.debug = new DebugUnit(state, privilege);
    this.monitor = new PerformanceMonitor({ state, privilege, clock, line: lines.performanceMonitor });
    const timer = (name: TimerName) => new Timer(name, { state, privilege, clock, line: lines[name] });
    this.timers = {
      physical: timer("physical"),
      virtual: timer("virtual"),
      hypervisor: timer("hypervisor"),
      hypervisorVirtual: timer("hypervisorVirtual"),
      secure: timer("secure"),
    };
    this.#context = {
      state,
      privilege,
      hypervisorInterruptControl: () => interrupts.hypervisorControl,
    };
    const computed = computedRegisters({
      state,
      privilege,
      clock,
      timers: this.timers,
      monitor: this.monitor,
      identity: { midr: MAIN_IDENTIFIER, mpidr: multiprocessorAffinity(index) },
      resetVector: () => this.#resetVector,
      pending: () => this.#pendingStatus(),
      transmit: (value) => hooks?.debugTransmit?.(value) ?? false,
    });
    this.#registers = new RegisterAccess({
      context: this.#context,
      traps: this.#traps,
      interrupts,
      computed,
    });
    this.#system = new SystemInstructions(this.#context, this.#traps, mmu);
    mmu.access.watchpoints = (low, high, size, isWrite) =>
      this.debug.watchpointMatches(doubleWord(low, high), size, isWrite);
  }

  // Reset and start.

  /** Cold reset at the highest exception level; the first instruction is at `vector`. */
  reset(vector = 0): void {
    const { state, privilege } = this;
    const first = (this.base + PE_LAYOUT.X) >>> 3;
    state.doubleWords.fill(0n, first, (this.base + PE_LAYOUT.SIZE) >>> 3);
    for (const row of SYSTEM_REGISTERS) {
      const slot = indexOf(row);
      if (slot !== undefined) state.write(slot, row.reset | row.ones);
    }
    const { features, options } = this.#parts;
    for (const [name, value] of identificationValues(features, options))
      state.write(registerIndex(name), value);
    state.write(SLOT.VPIDR_EL2, MAIN_IDENTIFIER);
    state.write(SLOT.VMPIDR_EL2, multiprocessorAffinity(this.index));
    this.#resetVector = BigInt(vector);
    state.setWord("DAIF", DAIF.ALL);
    state.selectLevel(privilege.hasEl3 ? 3 : privilege.hasEl2 ? 2 : 1, 1);
    state.nzcv = 0;
    state.pc = this.#resetVector;
    this.sleeping = false;
    this.yielded = false;
    this.#eventRegister = false;
    this.#stepping = false;
    this.#stepCompleted = false;
    for (const name of TIMER_NAMES) this.timers[name].reset();
    this.monitor.update();
    this.#sawEl3 = state.el === 3;
    this.#sawNonSecure = !privilege.secureBelowEl3;
    this.#parts.interrupts.executionStateChanged(state.el, !privilege.secure);
    this.#refresh(["translation", "interrupts", "floatingPoint", "debug", "timers"]);
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
    this.#refresh(["translation", "interrupts", "floatingPoint", "debug", "timers"]);
  }

  // The engine's questions (see engine/interpreter): accesses, fetches, operations.

  /** Host address of the bytes, or 0 after an exception was taken. */
  load(low: number, high: number, size: number, flags: number): number {
    const host = this.mmu.access.load(low, high, size, flags);
    if (host === 0) this.#takeAccessFault();
    return host;
  }

  /** A STORE_RESULT; after FAULT an exception was taken. */
  store(low: number, high: number, size: number, flags: number): number {
    const result = this.mmu.access.store(low, high, size, flags);
    if (result === STORE_RESULT.FAULT) this.#takeAccessFault("write");
    return result;
  }

  /** As {@link load}, for a location that will be written. */
  prepareWrite(low: number, high: number, size: number, flags: number): number {
    const host = this.mmu.access.prepareWrite(low, high, size, flags);
    if (host === 0) this.#takeAccessFault();
    return host;
  }

  /** Host address where generated code may read (or also write) by itself, or 0; takes no exception. */
  reach(low: number, high: number, size: number, flags: number, forWriting: boolean): number {
    return this.mmu.access.reach(low, high, size, flags, forWriting);
  }

  /** Host address of the frame that PC lies in, or 0 after an exception was taken. */
  fetch(): number {
    const { state } = this;
    const at = (this.base + PE_LAYOUT.PC) >>> 2;
    const low = state.words[at]!;
    if ((low & 3) !== 0) {
      const pc = state.pc;
      this.#takeSynchronous(EXCEPTION_CLASS.PC_ALIGNMENT, 0, { faultAddress: pc });
      return 0;
    }
    const host = this.mmu.access.fetch(low, state.words[at + 1]!);
    if (host === 0) this.#takeAccessFault();
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
        return this.#undefined();
      case "floatingPointTrap":
        return this.#floatingPointTrap();
      case "supervisorCall":
        return this.#call(EXCEPTION_CLASS.SUPERVISOR_CALL, a, this.privilege.defaultTarget());
      case "hypervisorCall":
        return this.#hypervisorCall(a);
      case "secureMonitorCall":
        return this.#monitorCall(a);
      case "breakpoint":
        return this.#breakpointInstruction(a);
      case "halt":
        if (state.el >= 2 && this.#parts.hooks?.hostGate?.(a & 0xffff)) return this.#next();
        return this.#undefined();
      case "exceptionReturn":
        return state.el === 0 ? this.#undefined() : this.#exceptionReturn();
      case "waitForInterrupt":
        return this.#waitForInterrupt();
      case "waitForEvent":
        return this.#waitForEvent();
      case "sendEvent":
        this.signalEvent();
        this.#parts.hooks?.broadcastEvent?.();
        return FLOW.NEXT;
      case "sendEventLocal":
        this.signalEvent();
        return FLOW.NEXT;
      case "yield":
        this.yielded = true;
        return this.#next(true);
      case "instructionBarrier":
        return FLOW.NEXT;
      case "writeProcessState":
        return this.#writeProcessState(a, b, c);
      case "readSystemRegister":
        return this.#settle(this.#registers.read(a), a, b, "read");
      case "writeSystemRegister":
        if (this.monitor.active) this.monitor.synchronize();
        return this.#settle(this.#registers.write(a, state.x(b)), a, b, "write");
      case "systemInstruction":
        return this.#settleSystem(this.#system.execute(a, state.x(b)), a, b);
      case "systemInstructionResult":
        return this.#systemResult(a, b);
      case "zeroCacheLine":
        if (this.#zeroesFreely && zeroBlockFast(state, a)) return FLOW.NEXT;
        return this.#settleSystem(this.#system.execute(DC_ZVA, state.x(a)), DC_ZVA, a);
      case "stackAlignmentCheck":
        return this.#stackAlignment();
    }
  }

  /**
   * In careful mode, before the instruction at PC: software step and breakpoints. True when an exception was
   * taken instead.
   */
  beforeInstruction(): boolean {
    this.#completeStep();
    if (this.#stepping) return false;
    const { state, debug } = this;
    const stepActive = debug.stepActive;
    if (stepActive && state.word("SS") === 0) {
      const valid = this.#stepCompleted ? 1 << 24 : 0;
      const exclusive = this.#stepCompleted && this.#steppedExclusive ? 1 << 6 : 0;
      this.#stepCompleted = false;
      this.#takeDebug(EXCEPTION_CLASS.STEP, valid | exclusive | DEBUG_STATUS);
      return true;
    }
    this.#stepCompleted = false;
    if (debug.hasBreakpoints && debug.breakpointMatches(state.pc)) {
      this.#takeDebug(EXCEPTION_CLASS.BREAKPOINT, DEBUG_STATUS);
      return true;
    }
    if (stepActive) {
      this.#stepping = true;
      this.#stepBegan = this.monitor.instructions();
      this.#steppedExclusive = isLoadExclusive(this.#instructionWord());
    }
    return false;
  }

  // Interrupts and attention.

  /** The interrupt controller's outputs to this element. */
  setInterruptSignals(signals: InterruptSignals): void {
    this.#signals = signals;
    this.#lookAtInterrupts();
  }

  /** Makes generated code return to the run loop at the next opportunity. */
  raiseAttention(): void {
    this.state.setWord("ATTENTION", ATTENTION);
  }

  /**
   * To be called by the run loop when attention was asked for, between instructions: takes the illegal state
   * exception or an interrupt, where one is due.
   */
  serviceAttention(): void {
    this.state.setWord("ATTENTION", 0);
    if (this.state.word("IL") === 1) {
      this.#completeStep();
      this.#takeSynchronous(EXCEPTION_CLASS.ILLEGAL_STATE, 0, {});
      return;
    }
    this.takeInterruptIfPending();
  }

  /** True when an interrupt or a virtual SError was taken. */
  takeInterruptIfPending(): boolean {
    const pending = this.pendingInterrupt();
    if (pending === undefined) return false;
    this.#completeStep();
    this.#takeInterrupt(pending);
    return true;
  }

  /** The interrupt that would be taken now: pending, routed here and not masked. */
  pendingInterrupt(): PendingInterrupt | undefined {
    return pendingInterrupt(this.state, this.privilege, this.#signals);
  }

  /** Sets the event register: SEV anywhere, and what else wakes WFE. */
  signalEvent(): void {
    this.#eventRegister = true;
  }

  /** Ends a WFI. */
  wake(): void {
    this.sleeping = false;
  }

  /** Takes a fault of an access by the instruction at PC, or of its fetch (access "execute"). */
  takeMemoryFault(fault: MemoryFault, isMaintenance = false): void {
    const { state, privilege } = this;
    if (fault.kind === "debug") {
      const watch = DEBUG_STATUS | abortIss(fault, isMaintenance);
      this.#takeDebug(EXCEPTION_CLASS.WATCHPOINT, watch, fault.virtualAddress);
      return;
    }
    const isFetch = fault.access === "execute";
    const isExternal = fault.kind === "externalAbort" || fault.kind === "externalAbortOnWalk";
    const toEl3 = isExternal && privilege.hasEl3 && state.bit(SLOT.SCR_EL3, SCR_EA) === 1;
    const target = toEl3 ? 3 : fault.stage === 2 ? 2 : privilege.defaultTarget();
    let iss = abortIss(fault, isMaintenance);
    const described = fault.stage === 2 && !isFetch && !isMaintenance && !fault.onStage1Walk && !isExternal;
    if (described) iss |= describeTransfer(this.#instructionWord());
    const exceptionClass = isFetch ? EXCEPTION_CLASS.INSTRUCTION_ABORT : EXCEPTION_CLASS.DATA_ABORT;
    this.#takeSynchronous(exceptionClass, iss, {
      target,
      faultAddress: fault.virtualAddress,
      ...(fault.stage === 2 && { intermediateAddress: (BigInt(fault.intermediateAddress) >> 12n) << 4n }),
    });
  }

  #takeAccessFault(access?: "write"): void {
    const { fault } = this.mmu.access;
    if (fault === undefined) throw new Bug("an access failed without saying why");
    this.takeMemoryFault(access === undefined ? fault : { ...fault, access });
  }

  // Operations.

  /** Completes the instruction at PC. `attend`: the run loop has something to look at. */
  #next(attend = false): Flow {
    this.state.pc += 4n;
    if (attend) this.raiseAttention();
    return FLOW.CHANGED;
  }

  #undefined(): Flow {
    return this.#takeSynchronous(EXCEPTION_CLASS.UNKNOWN, 0, {});
  }

  /** An exception that the current instruction causes on purpose: it returns behind the instruction. */
  #call(exceptionClass: number, immediate: number, target: 1 | 2 | 3): Flow {
    if (this.#stepping) this.state.setWord("SS", 0);
    const returnAddress = this.state.pc + 4n;
    return this.#takeSynchronous(exceptionClass, immediate & 0xffff, { target, returnAddress });
  }

  #hypervisorCall(immediate: number): Flow {
    if (this.state.el !== 0 && this.#parts.hooks?.conduit?.("hvc", immediate & 0xffff)) {
      return this.#next(true);
    }
    if (this.#traps.event("HVC", this.#context) !== "execute") return this.#undefined();
    if (!this.privilege.hasEl2) return this.#undefined();
    return this.#call(EXCEPTION_CLASS.HYPERVISOR_CALL, immediate, this.state.el === 3 ? 3 : 2);
  }

  #monitorCall(immediate: number): Flow {
    const verdict = this.#traps.event("SMC", this.#context);
    if (typeof verdict === "number") {
      return this.#takeSynchronous(EXCEPTION_CLASS.MONITOR_CALL, immediate & 0xffff, { target: verdict });
    }
    if (this.state.el !== 0 && this.#parts.hooks?.conduit?.("smc", immediate & 0xffff)) {
      return this.#next(true);
    }
    if (verdict === "undefined") return this.#undefined();
    return this.#call(EXCEPTION_CLASS.MONITOR_CALL, immediate, 3);
  }

  #breakpointInstruction(immediate: number): Flow {
    const { el } = this.state;
    const debugTarget = this.debug.currentTarget;
    const target = el > debugTarget ? this.privilege.defaultTarget() : debugTarget;
    return this.#takeSynchronous(EXCEPTION_CLASS.BRK, immediate & 0xffff, { target });
  }

  #floatingPointTrap(): Flow {
    const target = floatingPointTrapTarget(this.state, this.privilege);
    if (target === undefined) throw new Bug("a floating-point trap while the unit is on");
    return this.#trapFloatingPoint(target);
  }

  #trapFloatingPoint(target: 1 | 2 | 3): Flow {
    // A trap by CPACR_EL1 that HCR_EL2.TGE reroutes is reported without a syndrome.
    const rerouted = target === 2 && this.privilege.tge && !this.privilege.e2h;
    if (rerouted && this.state.el < 2 && !this.#hypervisorTrapsFloatingPoint()) {
      return this.#takeSynchronous(EXCEPTION_CLASS.UNKNOWN, 0, { target });
    }
    return this.#takeSynchronous(EXCEPTION_CLASS.FLOATING_POINT, FLOATING_POINT_ISS, { target });
  }

  #hypervisorTrapsFloatingPoint(): boolean {
    return ((this.state.low(SLOT.CPACR_EL1) >>> 20) & 3) === 3;
  }

  #exceptionReturn(): Flow {
    if (this.monitor.active) this.monitor.synchronize();
    returnFromException(this.state, this.privilege, (spsr) => this.debug.stepAfterReturn(spsr));
    this.#stepping = false;
    this.#eventRegister = true;
    this.#levelChanged();
    return FLOW.CHANGED;
  }

  #waitForInterrupt(): Flow {
    if (wakesUp(this.state, this.privilege, this.#signals)) return FLOW.NEXT;
    const verdict = this.#traps.event("WFI", this.#context);
    if (typeof verdict === "number") {
      return this.#takeSynchronous(EXCEPTION_CLASS.WAIT, waitIss("WFI"), { target: verdict });
    }
    this.sleeping = true;
    return this.#next(true);
  }

  /** WFE never sleeps for long: it only gives the rest of the time slice away. */
  #waitForEvent(): Flow {
    if (this.#eventRegister) {
      this.#eventRegister = false;
      return FLOW.NEXT;
    }
    const verdict = this.#traps.event("WFE", this.#context);
    if (typeof verdict === "number") {
      return this.#takeSynchronous(EXCEPTION_CLASS.WAIT, waitIss("WFE"), { target: verdict });
    }
    this.yielded = true;
    return this.#next(true);
  }

  /** MSR (immediate). */
  #writeProcessState(op1: number, op2: number, value: number): Flow {
    const { state } = this;
    switch ((op1 << 3) | op2) {
      case 0o03:
        if (state.el === 0) return this.#undefined();
        state.setWord("UAO", value & 1);
        return this.#stateWritten(["translation"]);
      case 0o04:
        if (state.el === 0) return this.#undefined();
        state.setWord("PAN", value & 1);
        return this.#stateWritten(["translation"]);
      case 0o05:
        if (state.el === 0) return this.#undefined();
        state.selectLevel(state.el, value & 1);
        return this.#stateWritten([]);
      case 0o36:
      case 0o37: {
        const verdict = this.#traps.access(DAIF_ENCODING, "write", this.#context);
        if (typeof verdict === "number") {
          // The syndrome shows the instruction's own fields: op0 0, CRm the immediate, Rt 31.
          const encoding = (op1 << 11) | (4 << 7) | (value << 3) | op2;
          const iss = systemRegisterIss(encoding, 31, "write");
          return this.#takeSynchronous(EXCEPTION_CLASS.SYSTEM_REGISTER, iss, { target: verdict });
        }
        const daif = state.word("DAIF");
        state.setWord("DAIF", op2 === 6 ? daif | value : daif & ~value & DAIF.ALL);
        if (op2 === 6 && (value & DAIF.D) === 0) return FLOW.NEXT;
        return this.#masksWritten();
      }
      default:
        return this.#undefined();
    }
  }

  /** After a change of PSTATE fields that translation or stack pointer selection depend on. */
  #stateWritten(affects: readonly Affects[]): Flow {
    this.state.setWord("FAST_REGISTERS", fastConditions(this.state, this.privilege));
    if (affects.includes("translation")) this.mmu.stateChanged();
    return this.#next();
  }

  /** After a change of PSTATE.DAIF. */
  #masksWritten(): Flow {
    this.#refreshDebug();
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
        return this.#undefined();
      case "floatingPointTrap":
        return this.#trapFloatingPoint(result.target);
      case "trap": {
        const iss = systemRegisterIss(encoding, rt, direction);
        return this.#takeSynchronous(EXCEPTION_CLASS.SYSTEM_REGISTER, iss, { target: result.target });
      }
    }
  }

  #registerWritten(encoding: number, affects: readonly Affects[]): Flow {
    if (encoding === DAIF_ENCODING) return this.#masksWritten();
    if (encoding === SPSEL_ENCODING) return this.#stateWritten([]);
    if (encoding === PAN_ENCODING || encoding === UAO_ENCODING) return this.#stateWritten(["translation"]);
    // Where an interrupt controller's or timer's register was written, the controller reports what follows.
    if (affects.length === 0) return FLOW.NEXT;
    this.#refresh(affects);
    return this.#next();
  }

  #settleSystem(result: SystemResult, encoding: number, rt: number): Flow {
    switch (result.type) {
      case "done":
        return FLOW.NEXT;
      case "changed":
        return this.#next();
      case "undefined":
        return this.#undefined();
      case "fault":
        this.takeMemoryFault(result.fault, encoding !== DC_ZVA);
        return FLOW.CHANGED;
      case "trap": {
        const iss = systemRegisterIss(encoding, rt, "write");
        return this.#takeSynchronous(EXCEPTION_CLASS.SYSTEM_REGISTER, iss, { target: result.target });
      }
    }
  }

  /** SYSL: no instruction of this architecture version gives a result. */
  #systemResult(encoding: number, rt: number): Flow {
    const crn = (encoding >> 7) & 15;
    if (crn === 11 || crn === 15) {
      const verdict = this.#traps.implementationDefined(this.#context);
      if (typeof verdict === "number") {
        const iss = systemRegisterIss(encoding, rt, "read");
        return this.#takeSynchronous(EXCEPTION_CLASS.SYSTEM_REGISTER, iss, { target: verdict });
      }
    }
    return this.#undefined();
  }

  #stackAlignment(): Flow {
    const { state, privilege } = this;
    const bit = state.el === 0 ? SCTLR_SA0 : SCTLR_SA;
    if (state.bit(privilege.sctlr(state.el), bit) === 0) return FLOW.NEXT;
    return this.#takeSynchronous(EXCEPTION_CLASS.SP_ALIGNMENT, 0, {});
  }

  // Taking exceptions.

  #takeSynchronous(
    exceptionClass: number,
    iss: number,
    options: {
      target?: 1 | 2 | 3;
      returnAddress?: bigint;
      faultAddress?: bigint;
      intermediateAddress?: bigint;
    },
  ): Flow {
    const { state, privilege } = this;
    const target = options.target ?? privilege.defaultTarget();
    const reported = classFrom(exceptionClass, state.el, target);
    if (this.monitor.active) this.monitor.synchronize();
    enterException(state, privilege, {
      target,
      vector: VECTOR.SYNCHRONOUS,
      returnAddress: options.returnAddress ?? state.pc,
      syndrome: (reported << 26) | INSTRUCTION_LENGTH_32 | iss,
      ...(options.faultAddress !== undefined && { faultAddress: options.faultAddress }),
      ...(options.intermediateAddress !== undefined && { intermediateAddress: options.intermediateAddress }),
    });
    this.#stepping = false;
    this.#levelChanged();
    return FLOW.CHANGED;
  }

  #takeDebug(exceptionClass: number, iss: number, faultAddress?: bigint): void {
    const target = this.debug.currentTarget;
    this.#takeSynchronous(exceptionClass, iss, {
      target,
      ...(faultAddress !== undefined && { faultAddress }),
    });
  }

  #takeInterrupt({ kind, target }: PendingInterrupt): void {
    const { state, privilege } = this;
    if (this.monitor.active) this.monitor.synchronize();
    const syndrome = (EXCEPTION_CLASS.SERROR << 26) | INSTRUCTION_LENGTH_32;
    if (kind === "virtualSError") state.write(SLOT.HCR_EL2, state.read(SLOT.HCR_EL2) & ~HCR_VSE);
    enterException(state, privilege, {
      target,
      vector: kind === "virtualSError" ? VECTOR.SERROR : kind === "fiq" ? VECTOR.FIQ : VECTOR.IRQ,
      returnAddress: state.pc,
      ...(kind === "virtualSError" && { syndrome }),
    });
    this.#stepping = false;
    this.sleeping = false;
    this.#levelChanged();
  }

  #completeStep(): void {
    if (!this.#stepping || this.monitor.instructions() === this.#stepBegan) return;
    this.#stepping = false;
    this.#stepCompleted = true;
    this.state.setWord("SS", 0);
  }

  #instructionWord(): number {
    const bytes = this.mmu.reader.read(this.state.pc, 4);
    if (bytes.length < 4) return 0;
    return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  }

  // What follows from changes of state.

  /** After an exception or a return: everything that depends on EL, PSTATE and the security state. */
  #levelChanged(): void {
    const { state, privilege } = this;
    this.#announceSecurity();
    state.setWord("NON_SECURE", privilege.secure ? 0 : 1);
    this.mmu.stateChanged();
    this.#refreshFloatingPoint();
    state.setWord("FAST_REGISTERS", fastConditions(state, privilege));
    this.#zeroesFreely = this.#zeroTrapIsOff();
    this.#refreshDebug();
    if (state.word("IL") === 1 || this.pendingInterrupt() !== undefined) this.raiseAttention();
  }

  /** After writes to system registers. */
  #refresh(affects: readonly Affects[]): void {
    const { state, privilege } = this;
    for (const what of affects) {
      switch (what) {
        case "translation":
        case "byteOrder":
          if (what === "byteOrder" && affects.includes("translation")) break;
          state.setWord("NON_SECURE", privilege.secure ? 0 : 1);
          state.setWord("FAST_REGISTERS", fastConditions(state, privilege));
          this.#zeroesFreely = this.#zeroTrapIsOff();
          this.mmu.contextChanged();
          break;
        case "interrupts":
          this.#announceSecurity();
          this.#lookAtInterrupts();
          break;
        case "floatingPoint":
          this.#refreshFloatingPoint();
          break;
        case "debug":
          this.#refreshDebug();
          break;
        case "counters":
          this.monitor.synchronize();
          this.monitor.update();
          break;
        case "timers":
          for (const name of TIMER_NAMES) this.timers[name].update();
          break;
      }
    }
  }

  #zeroTrapIsOff(): boolean {
    const { el } = this.state;
    if (el >= 2 || (el === 1 && !this.privilege.hasEl2)) return true;
    return this.#traps.access(DC_ZVA, "write", this.#context) === "execute";
  }

  /** Tells the interrupt controller on which side the element runs. */
  #announceSecurity(): void {
    const { state, privilege } = this;
    if (!privilege.hasEl3) return;
    const inEl3 = state.el === 3;
    const nonSecure = !privilege.secureBelowEl3;
    if (inEl3 === this.#sawEl3 && nonSecure === this.#sawNonSecure) return;
    this.#sawEl3 = inEl3;
    this.#sawNonSecure = nonSecure;
    this.#parts.interrupts.executionStateChanged(state.el, nonSecure);
  }

  #refreshFloatingPoint(): void {
    const enabled = floatingPointTrapTarget(this.state, this.privilege) === undefined;
    this.state.setWord("FP_ENABLED", enabled ? 1 : 0);
  }

  #refreshDebug(): void {
    const { debug, mmu } = this;
    const careful = debug.stepActive || debug.hasBreakpoints;
    if (careful !== this.needsCarefulMode) {
      this.needsCarefulMode = careful;
      this.raiseAttention();
    }
    const watched = debug.hasWatchpoints;
    if (watched !== mmu.context.slowOnly) mmu.context.setSlowOnly(watched);
  }

  #lookAtInterrupts(): void {
    if (this.sleeping && wakesUp(this.state, this.privilege, this.#signals)) {
      this.wake();
      this.raiseAttention();
    }
    if (this.pendingInterrupt() !== undefined) this.raiseAttention();
  }

  /** ISR_EL1: pending physical interrupts, or the virtual ones at EL1 where HCR_EL2 routes the physical away. */
  #pendingStatus(): number {
    const { irq, fiq, virq, vfiq } = this.#signals;
    const { hcr } = this.privilege;
    const isGuest = this.state.el < 2;
    const irqPending = isGuest && hcr & HCR_IMO ? virq || (hcr & HCR_VI) !== 0n : irq;
    const fiqPending = isGuest && hcr & HCR_FMO ? vfiq || (hcr & HCR_VF) !== 0n : fiq;
    const errorPending = isGuest && (hcr & HCR_AMO) !== 0n && (hcr & HCR_VSE) !== 0n;
    return (errorPending ? DAIF.A : 0) | (irqPending ? DAIF.I : 0) | (fiqPending ? DAIF.F : 0);
  }
}

const INSTRUCTION_LENGTH_32 = 1 << 25;
/** DFSC and IFSC of a debug exception. */
const DEBUG_STATUS = 0x22;
const DC_ZVA = systemInstruction("DC ZVA").encoding;
const DAIF_ENCODING = systemRegister("DAIF").encoding;
const SPSEL_ENCODING = systemRegister("SPSel").encoding;
const PAN_ENCODING = systemRegister("PAN").encoding;
const UAO_ENCODING = systemRegister("UAO").encoding;

/** LDXR, LDAXR, LDXP, LDAXP. */
function isLoadExclusive(word: number): boolean {
  return (word & 0x3f40_0000) === 0x0840_0000 && (word & 0x0080_0000) === 0;
}
