import type { Clock } from "../base/clock.ts";
import { FIRST_PPI } from "../base/interrupt-ids.ts";
import type { InterruptLine } from "../base/interrupt-line.ts";
import { choiceField, type StateField } from "../base/state-fields.ts";
import type { ScaledClock } from "../base/time-scale.ts";
import type { ProcessorOptions } from "../cpu/feature-set.ts";
import { PHYSICAL_ADDRESS_BITS } from "../cpu/identification.ts";
import { Processor } from "../cpu/processor.ts";
import { type ProcessorHooks, translationRegisters } from "../cpu/processor-parts.ts";
import { TIMER_INTERRUPTS, TIMER_NAMES, type TimerName } from "../cpu/timers.ts";
import type { GicV3 } from "../devices/gic/gic-v3.ts";
import type { InterpretedElement } from "../engine/interpreter/interpreter.ts";
import type { GuestCaller } from "../hypervisor/services/guest-caller.ts";
import type { Feature } from "../isa/instruction.ts";
import { PE_LAYOUT } from "../memory/pe-layout.ts";
import { Mmu, type MmuOptions } from "../mmu/mmu.ts";
import { VIRT_PPI } from "../platform/virt-map.ts";

export interface ProcessingElementParts
  extends Pick<MmuOptions, "map" | "store" | "bus" | "group" | "shadow" | "check" | "userBanks"> {
  readonly index: number;
  readonly clock: Clock;
  readonly inlineClock: ScaledClock | undefined;
  readonly gic: GicV3;
  readonly features: ReadonlySet<Feature>;
  readonly options: ProcessorOptions;
  readonly hooks: ProcessorHooks;
}

/** A processing element of a machine: processor, MMU and how the engine reaches them. */
export class ProcessingElement implements InterpretedElement {
  readonly index: number;
  readonly base: number;
  readonly processor: Processor;
  readonly mmu: Mmu;
  /** The element as the hypervisor's services see it when one of its instructions calls them. */
  readonly caller: GuestCaller;
  /** PSCI's view: an element that is off executes nothing. */
  power: "on" | "off" = "off";
  readonly #words: Int32Array;
  readonly #counts: BigUint64Array;

  constructor(parts: ProcessingElementParts) {
    const { map, store, bus, group, index, clock, gic, features, options, hooks } = parts;
    const { shadow, check, userBanks, inlineClock } = parts;
    const { memory } = map;
    this.index = index;
    this.base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    this.#words = memory.words;
    this.#counts = memory.doubleWords;
    this.mmu = new Mmu({
      map,
      store,
      bus,
      group,
      ...{ shadow, check, userBanks },
      base: this.base,
      registers: translationRegisters(memory, this.base),
      features: {
        el2: options.virtualization,
        el3: options.secure,
        physicalAddressBits: PHYSICAL_ADDRESS_BITS,
      },
    });
    this.processor = new Processor({
      memory,
      base: this.base,
      index,
      mmu: this.mmu,
      clock,
      inlineClock,
      interrupts: gic.cpuInterface(index),
      lines: interruptLines(gic, index),
      features,
      options,
      hooks,
    });
    this.caller = callerOf(index, this.processor, this.mmu);
  }

  /** True when it has instructions to execute. */
  get isRunnable(): boolean {
    return this.power === "on" && !this.processor.sleeping;
  }

  get wantsAttention(): boolean {
    return this.#words[(this.base + PE_LAYOUT.ATTENTION) >>> 2] !== 0;
  }

  /** Instructions executed since reset, up to this moment. */
  get instructions(): number {
    const counted = Number(this.#counts[(this.base + PE_LAYOUT.INSTRUCTIONS) >>> 3]);
    return counted - (this.#words[(this.base + PE_LAYOUT.FUEL) >>> 2] ?? 0);
  }

  /**
   * Another element had a turn and may have stored where this one's monitor looks: it opens, which is an event.
   */
  openMonitor(): void {
    const at = (this.base + PE_LAYOUT.EXCLUSIVE_ADDRESS) >>> 2;
    if (this.#words[at] === 0) return;
    this.#words[at] = 0;
    this.processor.signalEvent();
  }

  stateFields(): readonly StateField[] {
    const powers = ["off", "on"] as const;
    return [
      choiceField(
        "power",
        powers,
        () => this.power,
        (power) => {
          this.power = power;
        },
      ),
      ...this.processor.saved.stateFields(),
    ];
  }

  stateRestored(): void {
    this.processor.saved.stateRestored?.();
  }

  load(low: number, high: number, size: number, flags: number): number {
    return this.processor.load(low, high, size, flags);
  }

  store(low: number, high: number, size: number, flags: number): number {
    return this.processor.store(low, high, size, flags);
  }

  prepareWrite(low: number, high: number, size: number, flags: number): number {
    return this.processor.prepareWrite(low, high, size, flags);
  }

  fetch(): number {
    return this.processor.fetch();
  }

  execute(...operation: Parameters<Processor["execute"]>): number {
    return this.processor.execute(...operation);
  }

  beforeInstruction(): boolean {
    return this.processor.beforeInstruction();
  }
}

function interruptLines(gic: GicV3, index: number): Record<TimerName | "performanceMonitor", InterruptLine> {
  const timers = TIMER_NAMES.map(
    (name) => [name, gic.ppi(index, TIMER_INTERRUPTS[name] - FIRST_PPI)] as const,
  );
  return {
    // Every timer's name is in TIMER_NAMES.
    ...(Object.fromEntries(timers) as Record<TimerName, InterruptLine>),
    performanceMonitor: gic.ppi(index, VIRT_PPI.performanceMonitor),
  };
}

function callerOf(index: number, { state }: Processor, { callerMemory }: Mmu): GuestCaller {
  return {
    index,
    get level() {
      return state.el;
    },
    x: (register) => state.x(register),
    setX: (register, value) => state.setX(register, value),
    read: (address, length) => callerMemory.read(address, length),
    write: (address, bytes) => callerMemory.write(address, bytes),
  };
}
