import type { Bus } from "../memory/bus.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import { TracedMemory } from "../memory/traced-memory.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import { AddressTranslation } from "./address-translation.ts";
import { CallerMemory } from "./caller-memory.ts";
import { DataAccess } from "./data-access.ts";
import { GuestReader, HYPERVISOR_RIGHTS, type ReadingSpace } from "./guest-reader.ts";
import { GuestRing } from "./guest-ring.ts";
import { Stage1Configuration } from "./regime.ts";
import type { ShadowTables } from "./shadow/shadow-tables.ts";
import { ShadowWalk } from "./shadow/shadow-walk.ts";
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
  /** Where the machine has shadow tables: `--mmu=shadow`. */
  readonly shadow?: ShadowTables | undefined;
  /** Compare every translation from shadow tables with a walk. */
  readonly check?: boolean | undefined;
  /** Shadow ASIDs: soft-TLB banks for unprivileged accesses. */
  readonly userBanks?: number | undefined;
}

export interface MmuStatistics {
  readonly walks: number;
  readonly faults: number;
  readonly flushes: number;
  readonly reassignments: number;
}

/** One processing element's memory management unit. */
export class Mmu {
  readonly context: TranslationContext;
  readonly access: DataAccess;
  readonly addressTranslation: AddressTranslation;
  /** The hypervisor's reads, of this element's spaces and of others. */
  readonly reader: GuestReader;
  /** For calls to the hypervisor. */
  readonly callerMemory: CallerMemory;
  readonly group: TlbGroup;
  /** Where software at EL2 wants the records of writes to tables. */
  readonly ring: GuestRing;
  /** Undefined without shadow tables. */
  readonly shadowWalk: ShadowWalk | undefined;

  constructor(options: MmuOptions) {
    const { map, store, bus, group, base, registers, features } = options;
    const { memory, frames } = map;
    this.group = group;
    const { shadow, userBanks } = options;
    const servedDirectly = options.check !== true;
    this.context = new TranslationContext({
      ...{ memory, frames, base, registers, features, shadow, userBanks, servedDirectly },
    });
    group.add(this.context);
    const element = shadow?.buffers.add(base);
    this.ring = new GuestRing(memory, new TracedMemory(map, store), (wanted) => {
      if (element === undefined) return;
      shadow?.buffers.report(element, wanted ? (record) => this.ring.append(record) : undefined);
    });
    const walk = shadow === undefined ? undefined : new ShadowWalk(map, store, shadow);
    if (walk !== undefined) walk.check = options.check ?? false;
    this.shadowWalk = walk;
    this.access = new DataAccess({ memory, map, store, bus, context: this.context, base, walk });
    this.addressTranslation = new AddressTranslation(this.context, this.access.walker);
    this.reader = new GuestReader(map, store);
    this.callerMemory = new CallerMemory(map, store, this.context, this.access.walker, this.reader);
  }

  /** What the element's instructions see at present. */
  get space(): ReadingSpace {
    const { stage1, stage2 } = this.context.ordinary;
    return { stage1, stage2, request: HYPERVISOR_RIGHTS };
  }

  /**
   * The translation of an operating system and its programs, whatever the element does at present: EL1&0, or EL2&0 of
   * a host with HCR_EL2.E2H. With other tables for the lower half where they are given.
   */
  systemSpace(lowerTables?: bigint): ReadingSpace {
    const { registers, features } = this.context;
    const host = this.context.isE2h;
    const level = host ? "EL2" : "EL1";
    const stage1 = new Stage1Configuration({
      regime: host ? "EL2&0" : "EL1&0",
      sctlr: registers.read(`SCTLR_${level}`),
      tcr: registers.read(`TCR_${level}`),
      ttbr0: lowerTables ?? registers.read(`TTBR0_${level}`),
      ttbr1: registers.read(`TTBR1_${level}`),
      mair: registers.read(`MAIR_${level}`),
      hcr: features.el2 ? registers.read("HCR_EL2") : 0n,
      secureFetchOnly: false,
      physicalAddressBits: features.physicalAddressBits,
    });
    const stage2 = host ? undefined : this.context.stage2("EL1&0");
    return { stage1, stage2, request: HYPERVISOR_RIGHTS };
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

  /** For SPTBASE_EL2: the shadow of the lower half's root table, 0 while there is none. */
  get shadowRoot(): number {
    return this.context.stage1("EL1&0").lower.shadowRoot;
  }

  /** For SASID_EL2: number of the address space in use below EL2, all ones while it has none. */
  get shadowAsid(): number {
    const { shadowAsid } = this.context;
    return shadowAsid < 0 ? 0xffff_ffff : shadowAsid;
  }

  statistics(): MmuStatistics {
    const { walks, faults } = this.access;
    const { flushes, reassignments } = this.context;
    return { walks, faults, flushes, reassignments };
  }
}
