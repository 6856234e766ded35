import type { Bus } from "../memory/bus.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import { AddressTranslation } from "./address-translation.ts";
import { DataAccess } from "./data-access.ts";
import { VirtualReader } from "./reader.ts";
import type { TlbGroup, TlbiOperation } from "./tlb-maintenance.ts";
import { TranslationContext } from "./translation-context.ts";
import type {
  TranslationFeatures,
  TranslationRegisterName,
  TranslationRegisters,
} from "./translation-registers.ts";

export interface MmuOptions {
  readonly map: PhysicalMap;
  readonly store: TracedStore;
  readonly bus: Bus;
  /** Shared by all elements of the machine. */
  readonly group: TlbGroup;
  /** Byte address of the processing element's block. */
  readonly base: number;
  readonly registers: TranslationRegisters;
  readonly features: TranslationFeatures;
}

export interface MmuStatistics {
  readonly walks: number;
  readonly faults: number;
  readonly flushes: number;
}

/** One processing element's memory management unit. */
export class Mmu {
  readonly context: TranslationContext;
  readonly access: DataAccess;
  readonly addressTranslation: AddressTranslation;
  readonly reader: VirtualReader;
  readonly group: TlbGroup;

  constructor(options: MmuOptions) {
    const { map, store, bus, group, base, registers, features } = options;
    const { memory, frames } = map;
    this.group = group;
    this.context = new TranslationContext({ memory, frames, base, registers, features });
    group.add(this.context);
    this.access = new DataAccess({ memory, map, store, bus, context: this.context, base });
    this.addressTranslation = new AddressTranslation(this.context, this.access.walker);
    this.reader = new VirtualReader(map, this.context, this.access.walker);
  }

  /**
   * Call after a write to a register that translation reads, with its name if only that one changed, and after
   * reset.
   */
  contextChanged(name?: TranslationRegisterName): void {
    this.context.contextChanged(name);
  }

  /** Call after a change of EL, PAN, UAO or security state only: exception entry and return. */
  stateChanged(): void {
    this.context.stateChanged();
  }

  /** TLBI. `operand` is Xt; `innerShareable` is the IS suffix. */
  invalidate(operation: TlbiOperation, operand: bigint, innerShareable: boolean): void {
    this.group.invalidate(this.context, operation, operand, innerShareable);
  }

  statistics(): MmuStatistics {
    const { walks, faults } = this.access;
    return { walks, faults, flushes: this.context.flushes };
  }
}
