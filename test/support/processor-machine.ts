import type {
  InterruptContext,
  InterruptCpuInterface,
  InterruptRegister,
} from "../../src/base/interrupt-controller.ts";
import type { ScaledClock } from "../../src/base/time-scale.ts";
import type { ProcessorOptions } from "../../src/cpu/feature-set.ts";
import type { Processor } from "../../src/cpu/processor.ts";
import type { ProcessorHooks } from "../../src/cpu/processor-parts.ts";
import { type SystemRegisterName, systemRegister } from "../../src/isa/system-registers/table.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import type { TracedMemory } from "../../src/memory/traced-memory.ts";
import { ElementMachine, type LineName, type ManualClock } from "./element-machine.ts";

export const RAM_BASE = 0x4000_0000;
const RAM_BYTES = 4 << 20;

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
  readonly clock: ManualClock;
  /** The clock of its counters, behind the other. */
  readonly guestClock: ScaledClock;
  readonly interrupts = new PlainInterruptInterface();
  readonly lines: Record<LineName, boolean> = {
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
    const machine = new ElementMachine({
      ram: RAM_BASE,
      ramBytes: RAM_BYTES,
      processor: options,
      hooks,
      controller: () => ({
        interrupts: this.interrupts,
        line: (name) => ({
          set: (level) => {
            this.lines[name] = level;
          },
        }),
      }),
    });
    this.clock = machine.clock;
    this.guestClock = machine.guestClock;
    this.ram = machine.ram;
    this.processor = machine.processor;
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
