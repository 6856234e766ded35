import type { InterruptSignals } from "../../src/base/interrupt-controller.ts";
import { FAST_REGISTERS } from "../../src/cpu/fast-registers.ts";
import { featureSet, type ProcessorOptions } from "../../src/cpu/feature-set.ts";
import { PHYSICAL_ADDRESS_BITS } from "../../src/cpu/identification.ts";
import { PERFORMANCE_MONITOR_INTERRUPT } from "../../src/cpu/performance-monitor.ts";
import { Processor } from "../../src/cpu/processor.ts";
import { translationRegisters } from "../../src/cpu/processor-parts.ts";
import { TIMER_INTERRUPTS } from "../../src/cpu/timers.ts";
import { GicV3 } from "../../src/devices/gic/gic-v3.ts";
import { Interpreter, recordCacheBytes } from "../../src/engine/interpreter/interpreter.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { Bus } from "../../src/memory/bus.ts";
import { FrameTable } from "../../src/memory/frame-table.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import type { MmioDevice } from "../../src/memory/mmio-device.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { PhysicalMap } from "../../src/memory/physical-map.ts";
import { TracedMemory } from "../../src/memory/traced-memory.ts";
import { TracedStore } from "../../src/memory/traced-store.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { TlbGroup } from "../../src/mmu/tlb-maintenance.ts";
import { ManualClock } from "../support/processor-machine.ts";
import { END_OF_OUTPUT, PROGRAM_ADDRESS } from "./runtime.ts";

const RAM = 0x4000_0000;
const RAM_BYTES = 64 << 20;
const RECORD_PAGES = 256;
const FIRST_PPI = 16;
/** Instructions a turn, and counter ticks they stand for. */
const TURN = 20_000;
const TICKS_A_TURN = 125;
/** The counter when a program begins, as if firmware had taken its time. */
const FIRST_TICK = 1 << 24;

/** One element, GIC and serial port, as on `virt`, without a board around them. */
export class BareMachine {
  readonly processor: Processor;
  readonly clock = new ManualClock();
  readonly #interpreter: Interpreter;
  #output = "";

  constructor(program: Uint8Array, options: ProcessorOptions = { secure: true, virtualization: true }) {
    const memory = new MachineMemory(RAM_BYTES + (64 << 20));
    const frames = new FrameTable(memory);
    const map = new PhysicalMap(memory, frames);
    const store = new TracedStore(memory, frames);
    const bus = new Bus(map);
    const group = new TlbGroup(map, store);
    map.mapRam(RAM, RAM_BYTES);
    const base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    const mmu = new Mmu({
      ...{ map, store, bus, group, base },
      registers: translationRegisters(memory, base),
      features: {
        el2: options.virtualization,
        el3: options.secure,
        physicalAddressBits: PHYSICAL_ADDRESS_BITS,
      },
    });
    let signal: (signals: InterruptSignals) => void = () => {};
    const gic = new GicV3({
      peCount: 1,
      affinities: [{ aff0: 0, aff1: 0, aff2: 0, aff3: 0 }],
      security: options.secure,
      virtualization: options.virtualization,
      lpiMemory: new TracedMemory(map, store, false),
      onSignal: (_, signals) => signal(signals),
    });
    if (gic.translationService !== undefined) bus.attach(0x0808_0000, gic.translationService);
    bus.attach(0x0800_0000, gic.distributor);
    bus.attach(0x080a_0000, gic.redistributors);
    bus.attach(0x0900_0000, this.#serial());
    const line = (interrupt: number) => gic.ppi(0, interrupt - FIRST_PPI);
    const features = featureSet(IMPLEMENTED_FEATURES, options);
    this.processor = new Processor({
      ...{ memory, base, index: 0, mmu, clock: this.clock, features, options },
      interrupts: gic.cpuInterface(0),
      lines: {
        physical: line(TIMER_INTERRUPTS.physical),
        virtual: line(TIMER_INTERRUPTS.virtual),
        hypervisor: line(TIMER_INTERRUPTS.hypervisor),
        hypervisorVirtual: line(TIMER_INTERRUPTS.hypervisorVirtual),
        secure: line(TIMER_INTERRUPTS.secure),
        performanceMonitor: line(PERFORMANCE_MONITOR_INTERRUPT),
      },
    });
    signal = (signals) => this.processor.setInterruptSignals(signals);
    this.#interpreter = new Interpreter({
      memory: memory.memory,
      decoder: DECODER,
      features: IMPLEMENTED_FEATURES,
      fastRegisters: FAST_REGISTERS,
      hotWords: [],
      recordsBase: memory.allocate(recordCacheBytes(RECORD_PAGES), 16),
      recordPages: RECORD_PAGES,
      trace: (frame, first, length) => store.trace.addCode(frame, first, length),
      untrace: (frame) => store.trace.remove(frame, "TR_CODE"),
      banks: () => mmu.context.bankAddresses(),
      translator: undefined,
    });
    store.hooks.onCodeWrite = (frame, first, length) =>
      this.#interpreter.records.invalidate(frame, first, length);
    new TracedMemory(map, store, true).write(Number(PROGRAM_ADDRESS), program);
    this.clock.advance(FIRST_TICK);
    this.processor.reset(Number(PROGRAM_ADDRESS));
  }

  #serial(): MmioDevice {
    return {
      name: "serial port",
      size: 0x1000,
      read: () => 0,
      write: (offset, _, value) => {
        if (offset === 0) this.#output += String.fromCharCode(value & 0xff);
      },
      reset: () => {},
    };
  }

  /** Runs until the end mark, for at most so many instructions; what was printed before it. */
  run(instructions: number): string {
    const { processor, clock } = this;
    for (let done = 0; done < instructions; ) {
      if (processor.state.word("ATTENTION") !== 0) processor.serviceAttention();
      if (processor.sleeping) {
        clock.advance(TICKS_A_TURN);
        done += TURN;
      } else {
        done += processor.needsCarefulMode
          ? this.#interpreter.runExactly(processor, TURN, true)
          : this.#interpreter.run(processor, TURN);
        clock.advance(TICKS_A_TURN);
      }
      if (this.#output.includes(END_OF_OUTPUT)) return this.#output.split(END_OF_OUTPUT)[0] ?? "";
    }
    throw new Error(`the program did not end; the end of its output: ${this.#output.slice(-500)}`);
  }
}
