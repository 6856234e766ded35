import { Bug } from "../base/errors.ts";
import { flagField, numberField, type StateField } from "../base/state-fields.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import type { MemoryFault } from "../mmu/memory-fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import { HCR_VSE, SCR_EA, SCTLR_SA, SCTLR_SA0 } from "./control-bits.ts";
import type { DebugUnit } from "./debug-unit.ts";
import type { DerivedState } from "./derived-state.ts";
import { type ElementState, SLOT } from "./element-state.ts";
import { enterException, returnFromException, VECTOR } from "./exceptions.ts";
import { FLOW, type Flow } from "./flow.ts";
import type { PendingInterrupt } from "./interrupts.ts";
import type { PerformanceMonitor } from "./performance-monitor.ts";
import type { Privilege } from "./privilege.ts";
import {
  abortIss,
  classFrom,
  describeTransfer,
  EXCEPTION_CLASS,
  FLOATING_POINT_ISS,
  systemRegisterIss,
} from "./syndrome.ts";
import type { WaitState } from "./wait-state.ts";

export interface ExceptionParts {
  readonly state: ElementState;
  readonly privilege: Privilege;
  readonly mmu: Mmu;
  readonly debug: DebugUnit;
  readonly monitor: PerformanceMonitor;
  readonly derived: DerivedState;
  readonly wait: WaitState;
}

/** Takes exceptions and returns from them: target, syndrome, and what follows. Keeps software step's place. */
export class ExceptionTaker {
  readonly #state: ElementState;
  readonly #privilege: Privilege;
  readonly #mmu: Mmu;
  readonly #debug: DebugUnit;
  readonly #monitor: PerformanceMonitor;
  readonly #derived: DerivedState;
  readonly #wait: WaitState;
  /** Software step: an instruction was let through and has not completed yet. */
  #stepping = false;
  #stepCompleted = false;
  #steppedExclusive = false;
  /** Instructions completed when the step began: the engine may ask twice before the same instruction. */
  #stepBegan = 0;

  constructor(parts: ExceptionParts) {
    this.#state = parts.state;
    this.#privilege = parts.privilege;
    this.#mmu = parts.mmu;
    this.#debug = parts.debug;
    this.#monitor = parts.monitor;
    this.#derived = parts.derived;
    this.#wait = parts.wait;
  }

  reset(): void {
    this.#stepping = false;
    this.#stepCompleted = false;
  }

  stateFields(): readonly StateField[] {
    return [
      flagField(
        "stepping",
        () => this.#stepping,
        (value) => {
          this.#stepping = value;
        },
      ),
      flagField(
        "completed",
        () => this.#stepCompleted,
        (value) => {
          this.#stepCompleted = value;
        },
      ),
      flagField(
        "exclusive",
        () => this.#steppedExclusive,
        (value) => {
          this.#steppedExclusive = value;
        },
      ),
      numberField(
        "began",
        Number.MAX_SAFE_INTEGER,
        () => this.#stepBegan,
        (value) => {
          this.#stepBegan = value;
        },
      ),
    ];
  }

  /** See Processor.beforeInstruction. */
  beforeInstruction(): boolean {
    this.completeStep();
    if (this.#stepping) return false;
    const state = this.#state;
    const debug = this.#debug;
    const stepActive = debug.stepActive;
    if (stepActive && state.word(PE_LAYOUT.SS) === 0) {
      const valid = this.#stepCompleted ? 1 << 24 : 0;
      const exclusive = this.#stepCompleted && this.#steppedExclusive ? 1 << 6 : 0;
      this.#stepCompleted = false;
      this.takeDebug(EXCEPTION_CLASS.STEP, valid | exclusive | DEBUG_STATUS);
      return true;
    }
    this.#stepCompleted = false;
    if (debug.hasBreakpoints && debug.breakpointMatches(state.pc)) {
      this.takeDebug(EXCEPTION_CLASS.BREAKPOINT, DEBUG_STATUS);
      return true;
    }
    if (stepActive) {
      this.#stepping = true;
      this.#stepBegan = this.#monitor.instructions();
      this.#steppedExclusive = isLoadExclusive(this.#instructionWord());
    }
    return false;
  }

  /** See Processor.takeMemoryFault. */
  takeMemoryFault(fault: MemoryFault, isMaintenance = false): void {
    const state = this.#state;
    const privilege = this.#privilege;
    if (fault.kind === "debug") {
      const watch = DEBUG_STATUS | abortIss(fault, isMaintenance);
      this.takeDebug(EXCEPTION_CLASS.WATCHPOINT, watch, fault.virtualAddress);
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
    this.takeSynchronous(exceptionClass, iss, {
      target,
      faultAddress: fault.virtualAddress,
      ...(fault.stage === 2 && { intermediateAddress: (BigInt(fault.intermediateAddress) >> 12n) << 4n }),
    });
  }

  takeAccessFault(access?: "write"): void {
    const { fault } = this.#mmu.access;
    if (fault === undefined) throw new Bug("an access failed without saying why");
    this.takeMemoryFault(access === undefined ? fault : { ...fault, access });
  }

  takeUndefined(): Flow {
    return this.takeSynchronous(EXCEPTION_CLASS.UNKNOWN, 0, {});
  }

  /** An exception that the current instruction causes on purpose: it returns behind the instruction. */
  takeCall(exceptionClass: number, immediate: number, target: 1 | 2 | 3): Flow {
    if (this.#stepping) this.#state.setWord(PE_LAYOUT.SS, 0);
    const returnAddress = this.#state.pc + 4n;
    return this.takeSynchronous(exceptionClass, immediate & 0xffff, { target, returnAddress });
  }

  takeFloatingPointTrap(target: 1 | 2 | 3 | undefined): Flow {
    if (target === undefined) throw new Bug("a floating-point trap while the unit is on");
    // A trap by CPACR_EL1 that HCR_EL2.TGE reroutes is reported without a syndrome.
    const rerouted = target === 2 && this.#privilege.tge && !this.#privilege.e2h;
    if (rerouted && this.#state.el < 2 && !this.#hypervisorTrapsFloatingPoint()) {
      return this.takeSynchronous(EXCEPTION_CLASS.UNKNOWN, 0, { target });
    }
    return this.takeSynchronous(EXCEPTION_CLASS.FLOATING_POINT, FLOATING_POINT_ISS, { target });
  }

  #hypervisorTrapsFloatingPoint(): boolean {
    return ((this.#state.low(SLOT.CPACR_EL1) >>> 20) & 3) === 3;
  }

  /** A trapped MRS, MSR or SYS. */
  takeSystemRegisterTrap(
    target: 1 | 2 | 3,
    access: { encoding: number; rt: number; direction: "read" | "write" },
  ): Flow {
    const iss = systemRegisterIss(access.encoding, access.rt, access.direction);
    return this.takeSynchronous(EXCEPTION_CLASS.SYSTEM_REGISTER, iss, { target });
  }

  /** SP is misaligned: an exception where SCTLR_ELx.SA or SA0 wants that. */
  checkStackAlignment(): Flow {
    const { el } = this.#state;
    const bit = el === 0 ? SCTLR_SA0 : SCTLR_SA;
    if (this.#state.bit(this.#privilege.sctlr(el), bit) === 0) return FLOW.NEXT;
    return this.takeSynchronous(EXCEPTION_CLASS.SP_ALIGNMENT, 0, {});
  }

  /** ERET above EL0. */
  returnFromException(): Flow {
    if (this.#monitor.active) this.#monitor.synchronize();
    returnFromException(this.#state, this.#privilege, (spsr) => this.#debug.stepAfterReturn(spsr));
    this.#stepping = false;
    this.#derived.levelChanged();
    return FLOW.CHANGED;
  }

  takeSynchronous(
    exceptionClass: number,
    iss: number,
    options: {
      target?: 1 | 2 | 3;
      returnAddress?: bigint;
      faultAddress?: bigint;
      intermediateAddress?: bigint;
    },
  ): Flow {
    const state = this.#state;
    const privilege = this.#privilege;
    const target = options.target ?? privilege.defaultTarget();
    const reported = classFrom(exceptionClass, state.el, target);
    if (this.#monitor.active) this.#monitor.synchronize();
    enterException(state, privilege, {
      target,
      vector: VECTOR.SYNCHRONOUS,
      returnAddress: options.returnAddress ?? state.pc,
      syndrome: (reported << 26) | INSTRUCTION_LENGTH_32 | iss,
      ...(options.faultAddress !== undefined && { faultAddress: options.faultAddress }),
      ...(options.intermediateAddress !== undefined && { intermediateAddress: options.intermediateAddress }),
    });
    this.#stepping = false;
    this.#derived.levelChanged();
    return FLOW.CHANGED;
  }

  takeDebug(exceptionClass: number, iss: number, faultAddress?: bigint): void {
    const target = this.#debug.currentTarget;
    this.takeSynchronous(exceptionClass, iss, {
      target,
      ...(faultAddress !== undefined && { faultAddress }),
    });
  }

  takeInterrupt({ kind, target }: PendingInterrupt): void {
    const state = this.#state;
    const privilege = this.#privilege;
    if (this.#monitor.active) this.#monitor.synchronize();
    const syndrome = (EXCEPTION_CLASS.SERROR << 26) | INSTRUCTION_LENGTH_32;
    if (kind === "virtualSError") state.write(SLOT.HCR_EL2, state.read(SLOT.HCR_EL2) & ~HCR_VSE);
    enterException(state, privilege, {
      target,
      vector: kind === "virtualSError" ? VECTOR.SERROR : kind === "fiq" ? VECTOR.FIQ : VECTOR.IRQ,
      returnAddress: state.pc,
      ...(kind === "virtualSError" && { syndrome }),
    });
    this.#stepping = false;
    this.#wait.end();
    this.#derived.levelChanged();
  }

  completeStep(): void {
    if (!this.#stepping || this.#monitor.instructions() === this.#stepBegan) return;
    this.#stepping = false;
    this.#stepCompleted = true;
    this.#state.setWord(PE_LAYOUT.SS, 0);
  }

  #instructionWord(): number {
    return this.#mmu.reader.u32(this.#mmu.space, this.#state.pc) ?? 0;
  }
}

const INSTRUCTION_LENGTH_32 = 1 << 25;
/** DFSC and IFSC of a debug exception. */
const DEBUG_STATUS = 0x22;

/** LDXR, LDAXR, LDXP, LDAXP. */
function isLoadExclusive(word: number): boolean {
  return (word & 0x3f40_0000) === 0x0840_0000 && (word & 0x0080_0000) === 0;
}
