import type { Processor } from "../../src/cpu/processor.ts";
import { HOT_WORDS } from "../../src/engine/interpreter/hot-words.ts";
import { type Interpreter, RUN_OVERSHOOT } from "../../src/engine/interpreter/interpreter.ts";
import { assembleInstruction } from "../../src/isa/assembler.ts";
import {
  registerIndex,
  type SystemRegisterName,
  systemRegister,
} from "../../src/isa/system-registers/table.ts";
import type { MachineMemory } from "../../src/memory/machine-memory.ts";
import type { AccessWidth, MmioDevice } from "../../src/memory/mmio-device.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import type { TracedMemory } from "../../src/memory/traced-memory.ts";
import type { TracedStore } from "../../src/memory/traced-store.ts";
import { ElementMachine } from "./element-machine.ts";

const PAGE = 4096;

/** Guest addresses, virtual ones equal to physical ones where nothing else is said. */
export const LAYOUT = {
  ram: 0x4000_0000,
  ramBytes: 4 << 20,
  /** Pages that EL0 executes from and may write. */
  code: 0x4000_0000,
  codePages: 16,
  /** The same frames for EL1, which may not execute what EL0 may write. */
  kernelCode: 0x4020_0000,
  vectors: 0x4002_0000,
  /** One page for each of {@link PAGE_KINDS}. */
  data: 0x4008_0000,
  tables: 0x403f_0000,
  device: 0x0900_0000,
} as const;

/** What the data pages are, in order of address. Every special one lies between two ordinary ones. */
export const PAGE_KINDS = [
  "normal",
  "normal",
  "normal",
  "unmapped",
  "normal",
  "read-only",
  "normal",
  "watched",
  "normal",
  "dirty-logged",
  "normal",
  "monitored",
  "normal",
  "table-traced",
  "normal",
  "code-traced",
  "normal",
  "device",
  "normal",
  "absent",
  "normal",
  "privileged",
  "normal",
  "no access flag",
  "normal",
  "clean",
  "normal",
  "device memory",
  "normal",
  "alias",
  "normal",
] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

export function pageAddress(index: number): number {
  return LAYOUT.data + index * PAGE;
}

/** Descriptor bits of a level 3 page. */
const DESCRIPTOR = {
  PAGE: 3n,
  DEVICE: 1n << 2n,
  USER: 1n << 6n,
  READ_ONLY: 1n << 7n,
  INNER_SHAREABLE: 3n << 8n,
  ACCESS_FLAG: 1n << 10n,
  NOT_GLOBAL: 1n << 11n,
  DIRTY_BIT_MODIFIER: 1n << 51n,
  USER_EXECUTE_NEVER: 1n << 54n,
} as const;
const ORDINARY = DESCRIPTOR.PAGE | DESCRIPTOR.INNER_SHAREABLE | DESCRIPTOR.ACCESS_FLAG;

function dataDescriptor(kind: PageKind, address: number): bigint {
  const plain = BigInt(address) | ORDINARY | DESCRIPTOR.USER;
  switch (kind) {
    case "unmapped":
      return 0n;
    case "read-only":
      return plain | DESCRIPTOR.READ_ONLY;
    case "clean":
      return plain | DESCRIPTOR.READ_ONLY | DESCRIPTOR.DIRTY_BIT_MODIFIER;
    case "privileged":
      return plain & ~DESCRIPTOR.USER;
    case "no access flag":
      return plain & ~DESCRIPTOR.ACCESS_FLAG;
    case "device memory":
      return plain | DESCRIPTOR.DEVICE;
    case "device":
      return BigInt(LAYOUT.device) | (plain & 0xfffn) | DESCRIPTOR.DEVICE;
    case "absent":
      return 0x0a00_0000n | (plain & 0xfffn);
    case "alias":
      return BigInt(LAYOUT.data) | (plain & 0xfffn);
    default:
      return plain;
  }
}

/** How a program starts, beside its registers. */
export interface MachineSettings {
  readonly level: 0 | 1;
  /** SCTLR_EL1.A. */
  readonly alignmentChecks: boolean;
  /** TCR_EL1.HA and HD. */
  readonly hardwareFlags: boolean;
  /** PSTATE.PAN. */
  readonly pan: boolean;
  /** CPACR_EL1.FPEN; enabled where nothing is said. */
  readonly floatingPoint?: boolean;
  /** SCTLR_EL1.E0E. */
  readonly bigEndian?: boolean;
  /** Watched double words of data, up to four; at EL1 nothing is watched, as PSTATE.D stays set. */
  readonly watchpoints?: readonly number[];
  /** Interrupts are unmasked, and the device asks for one now and then. */
  readonly interrupts?: boolean;
}

/** Registers as a program starts with them. */
export interface StartState {
  readonly pc: bigint;
  readonly sp: bigint;
  readonly x: readonly bigint[];
  readonly v: readonly bigint[];
  readonly nzcv: number;
  readonly fpcr: number;
  readonly fpsr: number;
}

const SYSTEM: readonly (readonly [SystemRegisterName, bigint])[] = [
  ["MAIR_EL1", 0x04ffn],
  ["TTBR0_EL1", BigInt(LAYOUT.tables)],
  ["VBAR_EL1", BigInt(LAYOUT.vectors)],
];
// 39-bit addresses, 4 KiB granules, write-back walks, TTBR1 unused.
const TCR = 25n | (1n << 8n) | (1n << 10n) | (3n << 12n) | (1n << 23n) | (2n << 32n);
const TCR_HARDWARE_FLAGS = 3n << 39n;
// M, C, SA, SA0, I, DZE, UCT, nTWI, nTWE, SPAN, UCI.
const SCTLR =
  0x3050_0800n | 0x101dn | (1n << 14n) | (1n << 15n) | (1n << 16n) | (1n << 18n) | (1n << 23n) | (1n << 26n);
const SCTLR_A = 2n;
const SCTLR_E0E = 1n << 24n;
/** EL0 and EL1, loads and stores, all eight bytes. */
const WATCHPOINT_CONTROL = 0x1ff7n;
const MONITOR_DEBUG_EVENTS = 1n << 15n;
const NO_SIGNALS = { irq: false, fiq: false, virq: false, vfiq: false };
/** HVC immediates by which the vectors tell the host what came. */
const SYNCHRONOUS = 0;
const INTERRUPT = 1;
const CLASS_SVC = 0x15;
const CLASS_INSTRUCTION_ABORTS: readonly number[] = [0x20, 0x21, 0x22];

/** A device whose every access is written down and whose values follow from their number. */
class LoggingDevice implements MmioDevice {
  readonly name = "logging device";
  readonly size = PAGE;
  readonly log: string[] = [];
  /** Called at each access. */
  onAccess = (): void => {};

  read(offset: number, width: AccessWidth): number {
    this.log.push(`read ${width} at ${offset}`);
    this.onAccess();
    return ((this.log.length * 0x9e37_79b1) >>> (8 * (4 - width))) >>> 0;
  }

  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`write ${width} at ${offset}: ${value}`);
    this.onAccess();
  }

  reset(): void {
    this.log.length = 0;
  }
}

/**
 * One processing element with MMU, devices and an engine. Exceptions are written down with all registers;
 * then the program goes on after the instruction, or at its end where it cannot.
 */
export class EngineMachine {
  readonly processor: Processor;
  readonly interpreter: Interpreter;
  readonly ram: TracedMemory;
  readonly store: TracedStore;
  /** Every exception taken: the element's block as it was then, and what told of it. */
  readonly exceptions: string[] = [];
  /** Traced writes and device accesses, in order. */
  readonly device = new LoggingDevice();
  /** Where a program goes that cannot go on. */
  end = 0n;
  readonly #memory: MachineMemory;

  /** Without a threshold only the interpreter runs. */
  constructor(options: { threshold?: number; recordPages?: number; tracksRegisters?: boolean } = {}) {
    const { threshold, recordPages = 64, tracksRegisters } = options;
    const machine = new ElementMachine({
      ram: LAYOUT.ram,
      ramBytes: LAYOUT.ramBytes,
      hooks: { conduit: (_, immediate) => this.#onException(immediate) },
    });
    this.#memory = machine.memory;
    this.store = machine.store;
    this.ram = machine.ram;
    this.processor = machine.processor;
    machine.bus.attach(LAYOUT.device, this.device);
    this.interpreter = machine.connectEngine({
      recordPages,
      hotWords: HOT_WORDS,
      threshold,
      tracksRegisters,
    });
    this.#connectHooks();
    this.#writeVectors();
  }

  #connectHooks(): void {
    const { hooks } = this.store;
    const { log } = this.device;
    hooks.beforeMonitoredWrite = ({ first, length }) => {
      log.push(`monitored ${first} ${length}`);
      return log.length % 3 !== 0 ? "allow" : "drop";
    };
    hooks.onTableWrite = ({ first, length }) => void log.push(`table ${first} ${length}`);
    hooks.onFirstWrite = () => void log.push("first write");
    this.device.onAccess = () => {
      if (log.length % 4 === 0) this.processor.setInterruptSignals({ ...NO_SIGNALS, irq: true });
    };
    hooks.onWatchedWrite = ({ first, length }) => void log.push(`watched ${first} ${length}`);
  }

  #writeVectors(): void {
    for (const group of [0, 0x200, 0x400]) {
      for (const [offset, immediate] of [
        [0, SYNCHRONOUS],
        [0x80, INTERRUPT],
      ] as const) {
        const entry = LAYOUT.vectors + group + offset;
        this.ram.write32(entry, assembleInstruction(`hvc #${immediate}`));
        this.ram.write32(entry + 4, assembleInstruction("eret"));
      }
    }
  }

  #writeTables(): void {
    const { ram } = this;
    const [level2, level3] = [LAYOUT.tables + PAGE, LAYOUT.tables + 2 * PAGE];
    ram.write64(LAYOUT.tables + 8, BigInt(level2) | 3n);
    for (let half = 0; half < 2; half++) ram.write64(level2 + 8 * half, BigInt(level3 + half * PAGE) | 3n);
    const entry = (address: number) => level3 + ((address - LAYOUT.ram) / PAGE) * 8;
    for (let page = 0; page < LAYOUT.codePages; page++) {
      const frame = BigInt(LAYOUT.code + page * PAGE);
      ram.write64(entry(LAYOUT.code + page * PAGE), frame | ORDINARY | DESCRIPTOR.USER);
      ram.write64(
        entry(LAYOUT.kernelCode + page * PAGE),
        frame | ORDINARY | DESCRIPTOR.NOT_GLOBAL | DESCRIPTOR.USER_EXECUTE_NEVER,
      );
    }
    ram.write64(entry(LAYOUT.vectors), BigInt(LAYOUT.vectors) | ORDINARY);
    PAGE_KINDS.forEach((kind, index) => {
      ram.write64(entry(pageAddress(index)), dataDescriptor(kind, pageAddress(index)));
    });
  }

  /** Host frame number of a physical address in RAM. */
  frame(address: number): number {
    return this.ram.map.hostAddress(address, 0, true) >>> 12;
  }

  #traceData(): void {
    const { trace } = this.store;
    PAGE_KINDS.forEach((kind, index) => {
      const frame = this.frame(pageAddress(index));
      if (kind === "watched") trace.add(frame, "TR_WATCH");
      if (kind === "dirty-logged") trace.add(frame, "TR_DIRTY");
      if (kind === "monitored") trace.add(frame, "TR_MON");
      if (kind === "table-traced") trace.add(frame, "TR_PT");
      if (kind === "code-traced") trace.addCode(frame, 1024, 2048);
    });
  }

  /** Writes a program's words at code addresses (EL0's). */
  writeCode(address: number, words: readonly number[]): void {
    const bytes = new Uint8Array(words.length * 4);
    const view = new DataView(bytes.buffer);
    words.forEach((word, index) => {
      view.setUint32(index * 4, word, true);
    });
    if (!this.ram.write(address, bytes)) throw new Error("code lies outside of memory");
  }

  /** Everything but code as at the start: tables, data, system registers, logs; then the program's registers. */
  restart(settings: MachineSettings, start: StartState, data: Uint8Array): void {
    const { processor } = this;
    this.exceptions.length = 0;
    this.device.reset();
    processor.setInterruptSignals(NO_SIGNALS);
    processor.reset();
    this.#writeTables();
    this.ram.write(LAYOUT.data, data);
    this.#traceData();
    this.device.reset();
    for (const [name, value] of SYSTEM) this.setSystemRegister(name, value);
    this.setSystemRegister("TCR_EL1", TCR | (settings.hardwareFlags ? TCR_HARDWARE_FLAGS : 0n));
    this.setSystemRegister(
      "SCTLR_EL1",
      SCTLR | (settings.alignmentChecks ? SCTLR_A : 0n) | (settings.bigEndian === true ? SCTLR_E0E : 0n),
    );
    this.setSystemRegister("CPACR_EL1", settings.floatingPoint === false ? 0n : 3n << 20n);
    this.#watch(settings.watchpoints ?? []);
    const pan = settings.pan ? 1n << 22n : 0n;
    const masks = settings.interrupts === true ? 0x340n : 0x3c0n;
    this.setSystemRegister("SPSR_EL1", masks | pan | (settings.level === 1 ? 5n : 0n));
    this.setSystemRegister("ELR_EL1", start.pc);
    processor.execute("exceptionReturn", 0, 0, 0);
    processor.mmu.context.flushAll();
    this.#setRegisters(settings, start);
  }

  /** The program once more, with what the soft TLB has learnt. */
  startAgain(settings: MachineSettings, start: StartState, data: Uint8Array): void {
    this.ram.write(LAYOUT.data, data);
    this.processor.state.pc = start.pc;
    this.#setRegisters(settings, start);
  }

  #setRegisters(settings: MachineSettings, start: StartState): void {
    const { state } = this.processor;
    start.x.forEach((value, index) => {
      state.setX(index, value);
    });
    start.v.forEach((value, index) => {
      const at = state.base + PE_LAYOUT.V + 16 * index;
      this.#memory.view.setBigUint64(at, BigInt.asUintN(64, value), true);
      this.#memory.view.setBigUint64(at + 8, value >> 64n, true);
    });
    state.setStackPointer(settings.level, start.sp);
    state.nzcv = start.nzcv;
    state.setWord(PE_LAYOUT.FPCR, start.fpcr);
    state.setWord(PE_LAYOUT.FPSR, start.fpsr);
    state.setWord(PE_LAYOUT.EXCLUSIVE_ADDRESS, 0);
  }

  setSystemRegister(name: SystemRegisterName, value: bigint): void {
    this.processor.state.setX(9, value);
    this.processor.execute("writeSystemRegister", systemRegister(name).encoding, 9, 0);
  }

  #watch(addresses: readonly number[]): void {
    for (const number of [0, 1, 2, 3] as const) {
      const address = addresses[number];
      this.setSystemRegister(`DBGWVR${number}_EL1`, BigInt(address ?? 0));
      this.setSystemRegister(`DBGWCR${number}_EL1`, address === undefined ? 0n : WATCHPOINT_CONTROL);
    }
    this.setSystemRegister("MDSCR_EL1", addresses.length > 0 ? MONITOR_DEBUG_EVENTS : 0n);
  }

  #onException(immediate: number): boolean {
    const { state } = this.processor;
    if (immediate === INTERRUPT) {
      this.exceptions.push(`interrupt\n${this.describe()}`);
      this.processor.setInterruptSignals(NO_SIGNALS);
      return true;
    }
    const syndrome = state.read(registerIndex("ESR_EL1"));
    const exceptionClass = Number(syndrome >> 26n);
    const returnAddress = state.read(registerIndex("ELR_EL1"));
    if (this.exceptions.length < 10_000) this.exceptions.push(this.describe());
    if (CLASS_INSTRUCTION_ABORTS.includes(exceptionClass)) state.write(registerIndex("ELR_EL1"), this.end);
    else if (exceptionClass !== CLASS_SVC) state.write(registerIndex("ELR_EL1"), returnAddress + 4n);
    return true;
  }

  /** About `fuel` instructions at the engine's own pace. Returns how many. */
  run(fuel: number): number {
    this.#service();
    return this.interpreter.run(this.processor, fuel);
  }

  /** Exactly so many, most of them at the engine's own pace. */
  runExactly(count: number): void {
    for (let left = count; left > 0; ) {
      this.#service();
      left -=
        left > RUN_OVERSHOOT
          ? this.interpreter.run(this.processor, left - RUN_OVERSHOOT)
          : this.interpreter.runExactly(this.processor, left, false);
    }
  }

  #service(): void {
    if (this.processor.state.word(PE_LAYOUT.ATTENTION) !== 0) this.processor.serviceAttention();
  }

  /** Instructions executed since the start; exact inside of hooks too. */
  get instructions(): bigint {
    const { view } = this.#memory;
    const { base } = this.processor;
    return (
      view.getBigUint64(base + PE_LAYOUT.INSTRUCTIONS, true) -
      BigInt(view.getInt32(base + PE_LAYOUT.FUEL, true))
    );
  }

  /** Every register a program can see, one in a line. */
  describe(): string {
    const { state } = this.processor;
    const { view } = this.#memory;
    const system = (["ELR_EL1", "ESR_EL1", "FAR_EL1", "SPSR_EL1"] as const).map(
      (name) => `${name} ${state.read(registerIndex(name)).toString(16)}`,
    );
    const general = Array.from({ length: 31 }, (_, index) => `x${index} ${state.x(index).toString(16)}`);
    const vectors = Array.from({ length: 32 }, (_, index) => {
      const at = state.base + PE_LAYOUT.V + 16 * index;
      const [low, high] = [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)];
      return `v${index} ${((high << 64n) | low).toString(16)}`;
    });
    return [
      `instructions ${this.instructions}`,
      `pc ${state.pc.toString(16)}`,
      ...system,
      ...general,
      ...[0, 1].map((level) => `sp_el${level} ${state.stackPointer(level).toString(16)}`),
      `nzcv ${state.nzcv}`,
      `el ${state.el}`,
      `fpcr ${state.word(PE_LAYOUT.FPCR).toString(16)}`,
      `fpsr ${state.word(PE_LAYOUT.FPSR).toString(16)}`,
      `monitor ${state.word(PE_LAYOUT.EXCLUSIVE_ADDRESS) === 0 ? "open" : "armed"}`,
      ...vectors,
    ].join("\n");
  }

  /** The bytes of all data pages and of the tables. */
  data(): Uint8Array {
    const bytes = new Uint8Array((PAGE_KINDS.length + 4) * PAGE);
    this.ram.readInto(LAYOUT.data, bytes.subarray(0, PAGE_KINDS.length * PAGE));
    this.ram.readInto(LAYOUT.tables, bytes.subarray(PAGE_KINDS.length * PAGE));
    return bytes;
  }
}
