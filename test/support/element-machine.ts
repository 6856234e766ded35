import type { Alarm, Clock } from "../../src/base/clock.ts";
import type { InterruptCpuInterface } from "../../src/base/interrupt-controller.ts";
import type { InterruptLine } from "../../src/base/interrupt-line.ts";
import { ScaledClock } from "../../src/base/time-scale.ts";
import { FAST_REGISTERS } from "../../src/cpu/fast-registers.ts";
import { featureSet, type ProcessorOptions } from "../../src/cpu/feature-set.ts";
import { PHYSICAL_ADDRESS_BITS } from "../../src/cpu/identification.ts";
import { Processor } from "../../src/cpu/processor.ts";
import { type ProcessorHooks, translationRegisters } from "../../src/cpu/processor-parts.ts";
import type { TimerName } from "../../src/cpu/timers.ts";
import { Interpreter, recordCacheBytes } from "../../src/engine/interpreter/interpreter.ts";
import { INLINE_COMPILER } from "../../src/engine/translator/region-compiler.ts";
import { regionMemoryBytes } from "../../src/engine/translator/region-memory.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { Bus } from "../../src/memory/bus.ts";
import { FrameTable } from "../../src/memory/frame-table.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { PhysicalMap } from "../../src/memory/physical-map.ts";
import { TracedMemory } from "../../src/memory/traced-memory.ts";
import { TracedStore } from "../../src/memory/traced-store.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { TlbGroup } from "../../src/mmu/tlb-maintenance.ts";

/** What goes over a line to the interrupt controller. */
export type LineName = TimerName | "performanceMonitor";

/** A clock that stands still until told otherwise. */
export class ManualClock implements Clock {
  #now = 0;
  #alarms: { at: number; callback: () => void }[] = [];

  ticks(): number {
    return this.#now;
  }

  nanoseconds(): number {
    return this.#now * 16;
  }

  wallSeconds(): number {
    return 0;
  }

  schedule(atTicks: number, callback: () => void): Alarm {
    const alarm = { at: atTicks, callback };
    this.#alarms.push(alarm);
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((each) => each !== alarm);
      },
    };
  }

  advance(ticks: number): void {
    this.#now += ticks;
    for (;;) {
      const due = this.#alarms.find(({ at }) => at <= this.#now);
      if (due === undefined) return;
      this.#alarms = this.#alarms.filter((each) => each !== due);
      due.callback();
    }
  }
}

/** Registers that are zero, and nothing ever pends. */
const NO_CONTROLLER: InterruptController = {
  interrupts: {
    hypervisorControl: 0,
    read: () => 0n,
    write: () => "done",
    executionStateChanged: () => {},
  },
  line: () => ({ set: () => {} }),
};

export interface ElementOptions {
  readonly ram: number;
  readonly ramBytes: number;
  /** EL1 and EL0 only where nothing is said. */
  readonly processor?: ProcessorOptions;
  readonly hooks?: ProcessorHooks;
  /** An interrupt controller, which may use the memory that the element will have. */
  readonly controller?: (ram: TracedMemory) => InterruptController;
}

/** An interrupt controller as an element sees it. */
export interface InterruptController {
  readonly interrupts: InterruptCpuInterface;
  line(name: LineName): InterruptLine;
}

export interface EngineOptions {
  readonly recordPages: number;
  /** Become arms of the interpreter's switch; other handlers are functions. */
  readonly hotWords?: readonly number[];
  /** Without one only the interpreter runs. */
  readonly threshold?: number | undefined;
  readonly tracksRegisters?: boolean | undefined;
}

/** Memory of the host besides guest RAM. */
const OVERHEAD = 96 << 20;

/** One processing element with RAM, without a board: what the test machines are made of. */
export class ElementMachine {
  readonly memory: MachineMemory;
  readonly store: TracedStore;
  readonly bus: Bus;
  readonly ram: TracedMemory;
  readonly clock = new ManualClock();
  /** The clock of its counters. */
  readonly guestClock = new ScaledClock(this.clock);
  readonly mmu: Mmu;
  readonly processor: Processor;

  constructor(options: ElementOptions) {
    const { ram, ramBytes, processor = { secure: false, virtualization: false }, hooks } = options;
    const memory = new MachineMemory(ramBytes + OVERHEAD);
    this.memory = memory;
    const frames = new FrameTable(memory);
    const map = new PhysicalMap(memory, frames);
    this.store = new TracedStore(memory, frames);
    map.mapRam(ram, ramBytes);
    this.ram = new TracedMemory(map, this.store, true);
    this.bus = new Bus(map);
    const base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    this.mmu = new Mmu({
      ...{ map, store: this.store, bus: this.bus, group: new TlbGroup(map, this.store), base },
      registers: translationRegisters(memory, base),
      features: {
        el2: processor.virtualization,
        el3: processor.secure,
        physicalAddressBits: PHYSICAL_ADDRESS_BITS,
      },
    });
    const { interrupts, line } = options.controller?.(this.ram) ?? NO_CONTROLLER;
    this.processor = new Processor({
      ...{ memory, base, index: 0, mmu: this.mmu, options: processor },
      ...{ clock: this.guestClock, inlineClock: this.guestClock },
      interrupts,
      lines: {
        physical: line("physical"),
        virtual: line("virtual"),
        hypervisor: line("hypervisor"),
        hypervisorVirtual: line("hypervisorVirtual"),
        secure: line("secure"),
        performanceMonitor: line("performanceMonitor"),
      },
      features: featureSet(IMPLEMENTED_FEATURES, processor),
      ...(hooks && { hooks }),
    });
  }

  /** An engine for the element; code that is written is forgotten. */
  connectEngine({
    recordPages,
    hotWords = [],
    threshold,
    tracksRegisters = true,
  }: EngineOptions): Interpreter {
    const { memory, store, mmu } = this;
    const interpreter = new Interpreter({
      memory: memory.memory,
      decoder: DECODER,
      features: IMPLEMENTED_FEATURES,
      fastRegisters: FAST_REGISTERS,
      hotWords,
      recordsBase: memory.allocate(recordCacheBytes(recordPages), 16),
      recordPages,
      trace: (frame, first, length) => store.trace.addCode(frame, first, length),
      untrace: (frame) => store.trace.remove(frame, "TR_CODE"),
      banks: () => mmu.context.bankAddresses(),
      ticks: () => this.clock.ticks(),
      translator:
        threshold === undefined
          ? undefined
          : {
              threshold,
              tracksRegisters,
              base: memory.allocate(regionMemoryBytes(recordPages), 16),
              isUniprocessor: false,
              compiler: INLINE_COMPILER,
            },
    });
    store.hooks.onCodeWrite = (frame, first, length) => interpreter.codeWritten(frame, first, length);
    return interpreter;
  }
}
