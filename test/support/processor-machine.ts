import type { Alarm, Clock } from "../../src/base/clock.ts";
import type {
  InterruptContext,
  InterruptCpuInterface,
  InterruptRegister,
} from "../../src/base/interrupt-controller.ts";
import { featureSet, type ProcessorOptions } from "../../src/cpu/feature-set.ts";
import { PHYSICAL_ADDRESS_BITS } from "../../src/cpu/identification.ts";
import { Processor } from "../../src/cpu/processor.ts";
import { type ProcessorHooks, translationRegisters } from "../../src/cpu/processor-parts.ts";
import type { TimerName } from "../../src/cpu/timers.ts";
import { type SystemRegisterName, systemRegister } from "../../src/isa/system-registers/table.ts";
import { IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { Bus } from "../../src/memory/bus.ts";
import { FrameTable } from "../../src/memory/frame-table.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { PhysicalMap } from "../../src/memory/physical-map.ts";
import { TracedMemory } from "../../src/memory/traced-memory.ts";
import { TracedStore } from "../../src/memory/traced-store.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { TlbGroup } from "../../src/mmu/tlb-maintenance.ts";

export const RAM_BASE = 0x4000_0000;
const RAM_BYTES = 4 << 20;

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

/** An interrupt controller whose every register is a plain word. */
class PlainInterruptInterface implements InterruptCpuInterface {
  hypervisorControl = 0;
  readonly values = new Map<InterruptRegister, bigint>();
  readonly contexts: InterruptContext[] = [];

  read(register: InterruptRegister, context: InterruptContext): bigint {
    this.contexts.push(context);
    return this.values.get(register) ?? 0n;
  }

  write(register: InterruptRegister, value: bigint, context: InterruptContext): "done" {
    this.contexts.push(context);
    this.values.set(register, value);
    return "done";
  }

  executionStateChanged(): void {}
}

/** One processing element with RAM, without an engine: operations are called by hand. */
export class ProcessorMachine {
  readonly clock = new ManualClock();
  readonly interrupts = new PlainInterruptInterface();
  readonly lines: Record<TimerName | "performanceMonitor", boolean> = {
    physical: false,
    virtual: false,
    hypervisor: false,
    hypervisorVirtual: false,
    secure: false,
    performanceMonitor: false,
  };
  readonly processor: Processor;
  readonly ram: TracedMemory;

  constructor(
    options: ProcessorOptions = { secure: true, virtualization: true },
    hooks: ProcessorHooks = {},
  ) {
    const memory = new MachineMemory(RAM_BYTES + (40 << 20));
    const frames = new FrameTable(memory);
    const map = new PhysicalMap(memory, frames);
    const store = new TracedStore(memory, frames);
    map.mapRam(RAM_BASE, RAM_BYTES);
    this.ram = new TracedMemory(map, store, true);
    const base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    const mmu = new Mmu({
      map,
      store,
      bus: new Bus(map),
      group: new TlbGroup(map, store),
      base,
      registers: translationRegisters(memory, base),
      features: {
        el2: options.virtualization,
        el3: options.secure,
        physicalAddressBits: PHYSICAL_ADDRESS_BITS,
      },
    });
    const line = (name: TimerName | "performanceMonitor") => ({
      set: (level: boolean) => {
        this.lines[name] = level;
      },
    });
    this.processor = new Processor({
      memory,
      base,
      index: 0,
      mmu,
      clock: this.clock,
      interrupts: this.interrupts,
      lines: {
        physical: line("physical"),
        virtual: line("virtual"),
        hypervisor: line("hypervisor"),
        hypervisorVirtual: line("hypervisorVirtual"),
        secure: line("secure"),
        performanceMonitor: line("performanceMonitor"),
      },
      features: featureSet(IMPLEMENTED_FEATURES, options),
      options,
      hooks,
    });
    this.processor.reset();
  }

  /** Enters a level as ERET from above would, Non-secure below EL3. PC and SPs stay. */
  enter(el: 0 | 1 | 2 | 3, options: { nonSecure?: boolean; pc?: bigint } = {}): void {
    const { processor } = this;
    const { state } = processor;
    processor.start({ pc: Number(options.pc ?? state.pc), arguments: [], level: 3, systemRegisters: [] });
    const scr = (options.nonSecure ?? true) ? 0x531n : 0x530n;
    this.set("SCR_EL3", (this.get("SCR_EL3") & ~1n) | scr);
    if (el === 3) return;
    this.set("SPSR_EL3", BigInt(0x3c0 | (el << 2) | (el === 0 ? 0 : 1)));
    this.set("ELR_EL3", options.pc ?? state.pc);
    processor.execute("exceptionReturn", 0, 0, 0);
  }

  /** As if the engine had executed the instruction at PC, and it did nothing else. */
  completeInstruction(): void {
    const { state, base } = this.processor;
    const at = (base + PE_LAYOUT.INSTRUCTIONS) >>> 3;
    state.doubleWords[at] = (state.doubleWords[at] ?? 0n) + 1n;
    state.pc += 4n;
  }

  /** MRS by name; undefined where it raised an exception. */
  get(name: SystemRegisterName): bigint {
    const { processor } = this;
    const { state } = processor;
    const el = state.el;
    state.setX(9, 0xdeadn);
    processor.execute("readSystemRegister", systemRegister(name).encoding, 9, 0);
    if (state.el !== el) throw new Error(`reading ${name} raised an exception`);
    return state.x(9);
  }

  set(name: SystemRegisterName, value: bigint): void {
    const { processor } = this;
    const { pc } = processor.state;
    processor.state.setX(9, value);
    processor.execute("writeSystemRegister", systemRegister(name).encoding, 9, 0);
    if (![pc, pc + 4n].includes(processor.state.pc)) throw new Error(`writing ${name} raised an exception`);
    processor.state.pc = pc;
  }
}
