import type { Clock } from "../base/clock.ts";
import type { InterruptCpuInterface } from "../base/interrupt-controller.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import type { Feature } from "../isa/instruction.ts";
import type { StoredRegisterName } from "../isa/system-registers/table.ts";
import type { MemoryFault } from "../mmu/memory-fault.ts";
import type { Mmu } from "../mmu/mmu.ts";
import type { TranslationRegisters } from "../mmu/translation-registers.ts";
import { type ElementMemory, ElementState, SLOT } from "./element-state.ts";
import type { ProcessorOptions } from "./feature-set.ts";
import type { TimerTrap } from "./timer-trap.ts";
import type { TimerName } from "./timers.ts";

/** What became of a possible call to the hypervisor: a fault on the caller's memory is the instruction's own. */
export type ServiceCallOutcome = "served" | "not ours" | MemoryFault;

/** What the machine around the element does for it. */
export interface ProcessorHooks {
  /**
   * An HVC or SMC that built-in firmware may answer. True: it did, and the instruction is complete. Asked
   * before the architecture's own rules, HCR_EL2.TSC excepted.
   */
  readonly conduit?: (kind: "hvc" | "smc", immediate: number) => boolean;
  /**
   * An instruction below EL2 that may be a call to the hypervisor: MRS XZR, MDCCSR_EL0, or BRK with this immediate
   * while no debugger of the guest's is at work. "not ours": the architecture's rules decide.
   */
  readonly serviceCall?: (door: "debug channel" | "breakpoint", immediate: number) => ServiceCallOutcome;
  /** Performs the accesses from below EL2 to counters and timers, where the hypervisor traps them. */
  readonly timerTrap?: TimerTrap | undefined;
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
  /** Of the system counter, as EL2 and EL3 see it. */
  readonly clock: Clock;
  /** The same clock where generated code may read counters by itself; undefined: it asks for each count. */
  readonly inlineClock?: ScaledClock | undefined;
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

/** The registers that address translation reads, for the Mmu of the element whose block is at `base`. */
export function translationRegisters(memory: ElementMemory, base: number): TranslationRegisters {
  const state = new ElementState(memory, base);
  return { read: (name) => state.read(SLOT[name]) };
}
