import type { Clock } from "../../base/clock.ts";
import type { InterruptCpuInterface } from "../../base/interrupt-controller.ts";
import { featureSet } from "../../cpu/feature-set.ts";
import { PHYSICAL_ADDRESS_BITS } from "../../cpu/identification.ts";
import { Processor } from "../../cpu/processor.ts";
import { translationRegisters } from "../../cpu/processor-parts.ts";
import { INSTRUCTION_SET } from "../../engine/instruction-set.ts";
import {
  type InterpretedElement,
  Interpreter,
  recordCacheBytes,
} from "../../engine/interpreter/interpreter.ts";
import type { StoredRegisterName } from "../../isa/system-registers/table.ts";
import { Bus } from "../../memory/bus.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import { PhysicalMap } from "../../memory/physical-map.ts";
import type { TracedStore } from "../../memory/traced-store.ts";
import { Mmu } from "../../mmu/mmu.ts";
import { TlbGroup } from "../../mmu/tlb-maintenance.ts";

const OPTIONS = { secure: false, virtualization: true } as const;
const RECORD_PAGES = 16;
/** One for each regime and privilege, and what an address space of programs needs. */
const BANKS = 16;
const FUEL = 100_000;

/** Bytes of linear memory that an element of the hypervisor's own takes, its private memory not counted. */
export const PRIVATE_ELEMENT_BYTES: number =
  recordCacheBytes(RECORD_PAGES) + PE_LAYOUT.SIZE + BANKS * SOFT_TLB.BANK_SIZE + (4 << 20);

const NO_INTERRUPTS: InterruptCpuInterface = {
  hypervisorControl: 0,
  read: () => 0n,
  write: () => "done",
  executionStateChanged: () => {},
};
const NO_LINE = { set: () => {} } as const;

export interface PrivateElementParts {
  /** The machine's memory as the guest has it. */
  readonly map: PhysicalMap;
  readonly store: TracedStore;
  readonly clock: Clock;
  /** Where its private memory is, which the guest cannot reach: in a gibibyte that the guest's map leaves free. */
  readonly address: number;
  readonly bytes: number;
  /** HLT was executed. */
  readonly gate: (immediate: number) => void;
}

/**
 * A processing element of the hypervisor's own, with EL2, that sees the guest's memory and some more. It executes what
 * is to be executed by a processor without a guest's element being used for it: whether that has an EL2 does not
 * matter, and none of its registers, PAR_EL1 among them, is touched.
 */
export class PrivateElement {
  readonly processor: Processor;
  /** Host address of the private memory. */
  readonly memory: number;
  readonly #parts: PrivateElementParts;
  readonly #map: PhysicalMap;
  readonly #interpreter: Interpreter;
  readonly #element: InterpretedElement;
  #stopped = false;

  constructor(parts: PrivateElementParts) {
    this.#parts = parts;
    const { store, clock, gate } = parts;
    const { memory, frames } = parts.map;
    this.#map = new PhysicalMap(memory, frames);
    this.memory = this.#map.mapRam(parts.address, parts.bytes);
    const base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    const mmu = new Mmu({
      ...{ map: this.#map, store, base, bus: new Bus(this.#map), userBanks: 1 },
      group: new TlbGroup(this.#map, store),
      registers: translationRegisters(memory, base),
      features: { el2: true, el3: false, physicalAddressBits: PHYSICAL_ADDRESS_BITS },
    });
    this.processor = new Processor({
      ...{ memory, base, index: 0, mmu, clock, options: OPTIONS, interrupts: NO_INTERRUPTS },
      lines: {
        physical: NO_LINE,
        virtual: NO_LINE,
        hypervisor: NO_LINE,
        hypervisorVirtual: NO_LINE,
        secure: NO_LINE,
        performanceMonitor: NO_LINE,
      },
      features: featureSet(INSTRUCTION_SET.features, OPTIONS),
      hooks: {
        hostGate: (immediate) => {
          gate(immediate);
          return true;
        },
      },
    });
    const { processor } = this;
    this.#element = {
      base,
      load: (...access) => processor.load(...access),
      store: (...access) => processor.store(...access),
      prepareWrite: (...access) => processor.prepareWrite(...access),
      fetch: () => processor.fetch(),
      execute: (...operation) => processor.execute(...operation),
      beforeInstruction: () => processor.beforeInstruction(),
    };
    this.#interpreter = new Interpreter({
      memory: memory.memory,
      ...INSTRUCTION_SET,
      hotWords: [],
      recordsBase: memory.allocate(recordCacheBytes(RECORD_PAGES), 16),
      recordPages: RECORD_PAGES,
      trace: (frame, first, length) => store.trace.addCode(frame, first, length),
      untrace: (frame) => store.trace.remove(frame, "TR_CODE"),
      banks: () => mmu.context.bankAddresses(),
      ticks: () => clock.ticks(),
      translator: undefined,
    });
  }

  /**
   * Runs from the start of the private memory at EL2 with these registers, until {@link stop} or for `limit`
   * instructions; false then.
   */
  run(
    registers: ReadonlyMap<number, bigint>,
    system: ReadonlyMap<StoredRegisterName, bigint>,
    limit: number,
  ): boolean {
    this.#map.include(this.#parts.map);
    const { processor } = this;
    processor.reset();
    const systemRegisters = [...system].map(([name, bits]) => ({ name, bits }));
    processor.start({ pc: this.#parts.address, arguments: [], level: 2, systemRegisters });
    for (const [index, value] of registers) processor.state.setX(index, value);
    this.#stopped = false;
    for (let executed = 0; !this.#stopped && executed < limit; ) {
      processor.serviceAttention();
      executed += Math.max(1, this.#interpreter.run(this.#element, FUEL));
    }
    return this.#stopped;
  }

  /** Ends {@link run} soon; for the gate. */
  stop(): void {
    this.#stopped = true;
    this.processor.raiseAttention();
  }
}
