import type { InterruptSignals } from "../../src/base/interrupt-controller.ts";
import type { ProcessorOptions } from "../../src/cpu/feature-set.ts";
import { PERFORMANCE_MONITOR_INTERRUPT } from "../../src/cpu/performance-monitor.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import { TIMER_INTERRUPTS } from "../../src/cpu/timers.ts";
import { GicV3 } from "../../src/devices/gic/gic-v3.ts";
import type { Interpreter } from "../../src/engine/interpreter/interpreter.ts";
import type { MmioDevice } from "../../src/memory/mmio-device.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { ElementMachine, type LineName, type ManualClock } from "../support/element-machine.ts";
import { END_OF_OUTPUT, PROGRAM_ADDRESS } from "./runtime.ts";

const RAM = 0x4000_0000;
const RAM_BYTES = 64 << 20;
const RECORD_PAGES = 256;
const FIRST_PPI = 16;
const INTERRUPTS: Readonly<Record<LineName, number>> = {
  ...TIMER_INTERRUPTS,
  performanceMonitor: PERFORMANCE_MONITOR_INTERRUPT,
};
/** Instructions a turn, and counter ticks they stand for. */
const TURN = 20_000;
const TICKS_A_TURN = 125;
/** The counter when a program begins, as if firmware had taken its time. */
const FIRST_TICK = 1 << 24;

/** One element, GIC and serial port, as on `virt`, without a board around them. */
export class BareMachine {
  readonly processor: Processor;
  readonly clock: ManualClock;
  readonly #interpreter: Interpreter;
  #output = "";

  constructor(program: Uint8Array, options: ProcessorOptions = { secure: true, virtualization: true }) {
    let signal: (signals: InterruptSignals) => void = () => {};
    const devices: (readonly [address: number, device: MmioDevice])[] = [[0x0900_0000, this.#serial()]];
    const machine = new ElementMachine({
      ram: RAM,
      ramBytes: RAM_BYTES,
      processor: options,
      controller: (ram) => {
        const gic = new GicV3({
          peCount: 1,
          affinities: [{ aff0: 0, aff1: 0, aff2: 0, aff3: 0 }],
          security: options.secure,
          virtualization: options.virtualization,
          lpiMemory: ram.inWorld(false),
          onSignal: (_, signals) => signal(signals),
        });
        devices.push([0x0800_0000, gic.distributor], [0x080a_0000, gic.redistributors]);
        if (gic.translationService !== undefined) devices.push([0x0808_0000, gic.translationService]);
        const line = (name: LineName) => gic.ppi(0, INTERRUPTS[name] - FIRST_PPI);
        return { interrupts: gic.cpuInterface(0), line };
      },
    });
    for (const [address, device] of devices) machine.bus.attach(address, device);
    this.clock = machine.clock;
    this.processor = machine.processor;
    this.#interpreter = machine.connectEngine({ recordPages: RECORD_PAGES });
    signal = (signals) => this.processor.setInterruptSignals(signals);
    machine.ram.write(Number(PROGRAM_ADDRESS), program);
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
      if (processor.state.word(PE_LAYOUT.ATTENTION) !== 0) processor.serviceAttention();
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
