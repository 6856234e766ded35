import type { Processor } from "../../src/cpu/processor.ts";
import type { Interpreter } from "../../src/engine/interpreter/interpreter.ts";
import {
  registerIndex,
  type SystemRegisterName,
  systemRegister,
} from "../../src/isa/system-registers/table.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import type { TracedMemory } from "../../src/memory/traced-memory.ts";
import { ElementMachine } from "./element-machine.ts";
import type { MachineUnderTest, ProcessorState, StepOutcome } from "./machine-under-test.ts";

/** RAM from here, at equal virtual and physical addresses: one block of a gibibyte. */
const RAM = 0x2ff0_0000;
const RAM_BYTES = 4 << 20;
const TABLE = RAM + RAM_BYTES - 4096;
const RECORD_PAGES = 64;
/** Level 1 block: Normal memory, EL0 may do everything, inner shareable, accessed. */
const BLOCK = 0x741n;

/** System registers for EL0 code as Linux lets it run. */
const SYSTEM: readonly (readonly [SystemRegisterName, bigint])[] = [
  ["MAIR_EL1", 0xffn],
  // 39-bit addresses, 4 KiB granules, write-back walks, TTBR1 unused.
  ["TCR_EL1", (25n << 0n) | (1n << 8n) | (1n << 10n) | (3n << 12n) | (1n << 23n) | (2n << 32n)],
  ["TTBR0_EL1", BigInt(TABLE)],
  ["CPACR_EL1", 3n << 20n],
  // M, C, I, DZE, UCT, nTWI, nTWE, UCI.
  ["SCTLR_EL1", 0x30d0_0800n | 0x1005n | (1n << 14n) | (1n << 15n) | (1n << 16n) | (1n << 18n) | (1n << 26n)],
];

/** The generated interpreter with the real processor and MMU, one instruction at a time. */
export class InterpreterMachine implements MachineUnderTest {
  readonly name = "interpreter";
  readonly #processor: Processor;
  readonly #interpreter: Interpreter;
  readonly #ram: TracedMemory;
  readonly #view: DataView;

  /** `hotWords` become arms of the interpreter's switch; the other handlers are functions. */
  constructor(hotWords: readonly number[] = []) {
    const machine = new ElementMachine({ ram: RAM, ramBytes: RAM_BYTES });
    this.#view = machine.memory.view;
    this.#ram = machine.ram;
    this.#processor = machine.processor;
    this.#interpreter = machine.connectEngine({ recordPages: RECORD_PAGES, hotWords });
    this.#ram.write64(TABLE, BLOCK);
    this.#processor.reset(RAM);
    for (const [name, value] of SYSTEM) this.#setSystemRegister(name, value);
    this.#enterUserLevel();
  }

  #setSystemRegister(name: SystemRegisterName, value: bigint): void {
    this.#processor.state.setX(9, value);
    this.#processor.execute("writeSystemRegister", systemRegister(name).encoding, 9, 0);
  }

  #enterUserLevel(): void {
    this.#setSystemRegister("SPSR_EL1", 0x3c0n);
    this.#setSystemRegister("ELR_EL1", BigInt(RAM));
    this.#processor.execute("exceptionReturn", 0, 0, 0);
  }

  writeMemory(address: bigint, bytes: Uint8Array): void {
    if (!this.#ram.write(Number(address), bytes)) throw new Error(`no memory at 0x${address.toString(16)}`);
  }

  readMemory(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (!this.#ram.readInto(Number(address), bytes))
      throw new Error(`no memory at 0x${address.toString(16)}`);
    return bytes;
  }

  clearExclusive(): void {
    this.#processor.state.setWord(PE_LAYOUT.EXCLUSIVE_ADDRESS, 0);
  }

  step(word: number, before: ProcessorState): StepOutcome {
    const processor = this.#processor;
    this.#ram.write32(Number(before.pc), word);
    this.#load(before);
    const done = this.#interpreter.runExactly(processor, 1, false);
    const level = processor.state.el;
    if (level === 0 && done === 1) return { kind: "completed", state: this.#save() };
    const syndrome = this.#view.getUint32(this.#systemRegisterAddress(), true);
    this.#enterUserLevel();
    return {
      kind: "exception",
      description: `to EL${level} with ESR 0x${syndrome.toString(16)}, ${done} done`,
    };
  }

  #systemRegisterAddress(): number {
    return this.#processor.base + PE_LAYOUT.SYSTEM_REGISTERS + 8 * registerIndex("ESR_EL1");
  }

  #load(before: ProcessorState): void {
    const { state } = this.#processor;
    const { base } = state;
    before.x.forEach((value, index) => {
      state.setX(index, value);
    });
    before.v.forEach((value, index) => {
      const at = base + PE_LAYOUT.V + 16 * index;
      this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
      this.#view.setBigUint64(at + 8, value >> 64n, true);
    });
    state.setStackPointer(0, before.sp);
    state.pc = before.pc;
    state.nzcv = before.nzcv;
    state.setWord(PE_LAYOUT.FPCR, before.fpcr);
    state.setWord(PE_LAYOUT.FPSR, before.fpsr);
  }

  #save(): ProcessorState {
    const { state } = this.#processor;
    return {
      x: Array.from({ length: 31 }, (_, index) => state.x(index)),
      sp: state.stackPointer(0),
      pc: state.pc,
      nzcv: state.nzcv,
      v: Array.from({ length: 32 }, (_, index) => {
        const at = state.base + PE_LAYOUT.V + 16 * index;
        return this.#view.getBigUint64(at, true) | (this.#view.getBigUint64(at + 8, true) << 64n);
      }),
      fpcr: state.word(PE_LAYOUT.FPCR),
      fpsr: state.word(PE_LAYOUT.FPSR),
    };
  }
}
