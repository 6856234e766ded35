import { Bus } from "../../src/memory/bus.ts";
import { FrameTable } from "../../src/memory/frame-table.ts";
import { GuestWriteBuffers } from "../../src/memory/guest-write-buffer.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../src/memory/pe-layout.ts";
import { PhysicalMap } from "../../src/memory/physical-map.ts";
import { TracedMemory } from "../../src/memory/traced-memory.ts";
import { TracedStore } from "../../src/memory/traced-store.ts";
import { Mmu } from "../../src/mmu/mmu.ts";
import { ShadowTables } from "../../src/mmu/shadow/shadow-tables.ts";
import { TlbGroup } from "../../src/mmu/tlb-maintenance.ts";
import type { TranslationRegisterName } from "../../src/mmu/translation-registers.ts";

export const RAM_BASE = 0x4000_0000;
export const SECURE_RAM_BASE = 0x0e00_0000;

/** One element's registers as a test sets them; unset ones read 0. */
export type RegisterValues = Partial<Record<TranslationRegisterName, bigint>>;

export interface ProcessState {
  readonly el: 0 | 1 | 2 | 3;
  readonly nonSecure?: boolean;
  readonly pan?: boolean;
  readonly uao?: boolean;
}

/** RAM, Secure RAM and processing elements without a processor: what memory and mmu need to be tested. */
export class TranslationMachine {
  readonly memory: MachineMemory;
  readonly frames: FrameTable;
  readonly map: PhysicalMap;
  readonly store: TracedStore;
  readonly bus: Bus;
  readonly group: TlbGroup;
  readonly ram: TracedMemory;
  readonly elements: { mmu: Mmu; base: number; registers: RegisterValues }[] = [];
  readonly ramBytes: number;
  /** Given `shadow`. */
  readonly shadow: ShadowTables | undefined;

  constructor(
    options: {
      ramBytes?: number;
      elements?: number;
      physicalAddressBits?: number;
      shadow?: {
        tables?: number;
        addressSpaces?: number;
        records?: number;
        tlbi?: "full" | "incremental";
        check?: boolean;
      };
    } = {},
  ) {
    this.ramBytes = options.ramBytes ?? 8 << 20;
    this.memory = new MachineMemory(this.ramBytes + (128 << 20));
    this.frames = new FrameTable(this.memory);
    this.map = new PhysicalMap(this.memory, this.frames);
    this.store = new TracedStore(this.memory, this.frames);
    this.bus = new Bus(this.map);
    const { shadow } = options;
    if (shadow !== undefined) {
      const buffers = new GuestWriteBuffers(this.memory, this.frames, shadow.records);
      const { map, store } = this;
      this.shadow = new ShadowTables({
        map,
        store,
        buffers,
        tables: shadow.tables ?? 256,
        leaves: shadow.tlbi !== "full",
      });
    }
    this.group = new TlbGroup(this.map, this.store, this.shadow);
    this.map.mapRam(RAM_BASE, this.ramBytes);
    this.map.mapRam(SECURE_RAM_BASE, 1 << 20, { secure: true });
    this.ram = new TracedMemory(this.map, this.store, true);
    for (let index = 0; index < (options.elements ?? 1); index++) {
      const base = this.memory.allocate(PE_LAYOUT.SIZE, 4096);
      const registers: RegisterValues = {};
      const mmu = new Mmu({
        map: this.map,
        store: this.store,
        bus: this.bus,
        group: this.group,
        ...{ shadow: this.shadow, check: shadow?.check, userBanks: shadow?.addressSpaces },
        base,
        registers: { read: (name) => registers[name] ?? 0n },
        features: { el2: true, el3: true, physicalAddressBits: options.physicalAddressBits ?? 48 },
      });
      this.elements.push({ mmu, base, registers });
      this.enter({ el: 1 }, index);
    }
  }

  get mmu(): Mmu {
    return this.elements[0]!.mmu;
  }

  get base(): number {
    return this.elements[0]!.base;
  }

  get registers(): RegisterValues {
    return this.elements[0]!.registers;
  }

  get scratch(): number {
    return this.base + PE_LAYOUT.SCRATCH;
  }

  /** Replaces all registers. SCR_EL3.NS follows the state last entered. */
  setRegisters(values: RegisterValues, index = 0): void {
    const { registers, mmu } = this.elements[index]!;
    for (const name of Object.keys(registers)) delete registers[name as TranslationRegisterName];
    Object.assign(registers, { SCR_EL3: this.#word(index, PE_LAYOUT.NON_SECURE) === 0 ? 0n : 1n }, values);
    mmu.contextChanged();
  }

  /** Changes some registers. */
  change(values: RegisterValues, index = 0): void {
    const { registers, mmu } = this.elements[index]!;
    Object.assign(registers, values);
    mmu.contextChanged();
  }

  enter(state: ProcessState, index = 0): void {
    const nonSecure = state.nonSecure ?? state.el !== 3;
    this.#setWord(index, PE_LAYOUT.EL, state.el);
    this.#setWord(index, PE_LAYOUT.NON_SECURE, nonSecure ? 1 : 0);
    this.#setWord(index, PE_LAYOUT.PAN, state.pan === true ? 1 : 0);
    this.#setWord(index, PE_LAYOUT.UAO, state.uao === true ? 1 : 0);
    const { registers, mmu } = this.elements[index]!;
    if (state.el !== 3) registers.SCR_EL3 = (registers.SCR_EL3 ?? 0n) & ~1n;
    if (state.el !== 3 && nonSecure) registers.SCR_EL3 = (registers.SCR_EL3 ?? 0n) | 1n;
    mmu.contextChanged();
  }

  write64(address: number, value: bigint): void {
    if (!this.ram.write64(address, BigInt.asUintN(64, value))) throw new Error(`no RAM at ${address}`);
  }

  read64(address: number): bigint {
    const value = this.ram.read64(address);
    if (value === undefined) throw new Error(`no RAM at ${address}`);
    return value;
  }

  /** Host address of guest RAM. */
  host(address: number): number {
    return this.map.hostAddress(address | 0, Math.floor(address / 2 ** 32), true);
  }

  #word(index: number, offset: number): number {
    return this.memory.words[(this.elements[index]!.base + offset) >>> 2]!;
  }

  #setWord(index: number, offset: number, value: number): void {
    this.memory.words[(this.elements[index]!.base + offset) >>> 2] = value;
  }
}

export function halves(address: bigint): [number, number] {
  return [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
}

/** Whether the soft TLB would answer an access of `size` bytes, exactly as generated code probes it. */
export function probe(
  machine: TranslationMachine,
  options: { address: bigint; size?: number; tag: number; unprivileged?: boolean; element?: number },
): number | undefined {
  const { memory } = machine;
  const element = machine.elements[options.element ?? 0]!;
  const bankWord = options.unprivileged === true ? PE_LAYOUT.TLB_BANK_UNPRIVILEGED : PE_LAYOUT.TLB_BANK;
  const bank = memory.words[(element.base + bankWord) >>> 2]!;
  const entry = bank + (Number((options.address >> 12n) & BigInt(SOFT_TLB.ENTRIES - 1)) << 5);
  const last = BigInt.asUintN(64, options.address + BigInt((options.size ?? 1) - 1));
  if (memory.view.getBigUint64(entry + options.tag, true) !== (last & ~0xfffn)) return undefined;
  const addend = memory.view.getInt32(entry + SOFT_TLB.ADDEND, true);
  return (Number(BigInt.asIntN(32, options.address)) + addend) >>> 0;
}

/** What an engine does after `fetch`: writes the records' address and the execute tag. */
export function installExecute(
  machine: TranslationMachine,
  address: bigint,
  records: number,
  element = 0,
): void {
  const { memory } = machine;
  const bank = memory.words[(machine.elements[element]!.base + PE_LAYOUT.TLB_BANK) >>> 2]!;
  const entry = bank + (Number((address >> 12n) & BigInt(SOFT_TLB.ENTRIES - 1)) << 5);
  memory.view.setInt32(entry + SOFT_TLB.RECORDS, records, true);
  memory.view.setBigUint64(entry + SOFT_TLB.EXECUTE_TAG, address & ~0xfffn, true);
}
