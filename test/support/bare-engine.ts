import {
  type InterpretedElement,
  Interpreter,
  recordCacheBytes,
} from "../../src/engine/interpreter/interpreter.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { MachineMemory } from "../../src/memory/machine-memory.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../src/memory/pe-layout.ts";
import type { ChosenWord, Comparable, Execute } from "./compare-rows.ts";

const PAGES = 64;

/** The interpreter without a machine around it: executes single instructions that use only registers. */
export class BareEngine {
  readonly #memory = new MachineMemory(32 << 20);
  readonly #code: number;
  readonly #base: number;
  readonly #interpreter: Interpreter;
  readonly #element: InterpretedElement;

  /** `hotWords` become arms of the interpreter's switch; other handlers are functions. */
  constructor(words: readonly number[], hotWords: readonly number[] = []) {
    const memory = this.#memory;
    this.#base = memory.allocate(PE_LAYOUT.SIZE, 4096);
    const bank = memory.allocate(SOFT_TLB.BANK_SIZE, 4096);
    this.#code = memory.allocate(PAGES * 4096, 4096);
    if (words.length > PAGES * 1024) throw new Error("too many words");
    words.forEach((word, index) => {
      memory.view.setUint32(this.#code + 4 * index, word, true);
    });
    for (let entry = bank; entry < bank + SOFT_TLB.BANK_SIZE; entry += SOFT_TLB.ENTRY_SIZE) {
      for (const tag of [SOFT_TLB.READ_TAG, SOFT_TLB.WRITE_TAG, SOFT_TLB.EXECUTE_TAG])
        memory.view.setBigInt64(entry + tag, -1n, true);
    }
    memory.view.setUint32(this.#base + PE_LAYOUT.TLB_BANK, bank, true);
    memory.view.setUint32(this.#base + PE_LAYOUT.FP_ENABLED, 1, true);
    const recordPages = PAGES + 1;
    this.#interpreter = new Interpreter({
      memory: memory.memory,
      decoder: DECODER,
      features: IMPLEMENTED_FEATURES,
      fastRegisters: [],
      hotWords,
      recordsBase: memory.allocate(recordCacheBytes(recordPages), 16),
      recordPages,
      trace: () => {},
      untrace: () => {},
      banks: () => [bank],
      ticks: () => 0,
      translator: undefined,
    });
    const unexpected = (what: string) => (): number => {
      throw new Error(`an instruction on registers asked for ${what}`);
    };
    this.#element = {
      base: this.#base,
      load: unexpected("a load"),
      store: unexpected("a store"),
      prepareWrite: unexpected("a place to write"),
      fetch: () => memory.view.getUint32(this.#base + PE_LAYOUT.PC, true) & ~0xfff,
      execute: (operation) => unexpected(operation)(),
      beforeInstruction: () => false,
    };
  }

  /** Executes the word number `index` on these registers. */
  execute(index: number, before: Comparable): Comparable {
    const { view } = this.#memory;
    const base = this.#base;
    before.x.forEach((value, register) => {
      view.setBigUint64(base + PE_LAYOUT.X + 8 * register, value, true);
    });
    before.v.forEach((value, register) => {
      const at = base + PE_LAYOUT.V + 16 * register;
      view.setBigUint64(at, BigInt.asUintN(64, value), true);
      view.setBigUint64(at + 8, value >> 64n, true);
    });
    const flag = (bit: number) => BigInt((before.nzcv >> bit) & 1);
    view.setBigUint64(base + PE_LAYOUT.FLAG_N, flag(3) << 63n, true);
    view.setBigUint64(base + PE_LAYOUT.FLAG_Z, flag(2) ^ 1n, true);
    view.setBigUint64(base + PE_LAYOUT.FLAG_C, flag(1), true);
    view.setBigUint64(base + PE_LAYOUT.FLAG_V, flag(0) << 63n, true);
    view.setUint32(base + PE_LAYOUT.FPCR, before.fpcr, true);
    view.setUint32(base + PE_LAYOUT.FPSR, before.fpsr, true);
    view.setBigUint64(base + PE_LAYOUT.PC, BigInt(this.#code + 4 * index), true);
    const done = this.#interpreter.runExactly(this.#element, 1, false);
    if (done !== 1) throw new Error(`${done} instructions were executed instead of 1`);
    return this.#state(before);
  }

  #state(before: Comparable): Comparable {
    const { view } = this.#memory;
    const base = this.#base;
    const sign = (at: number) => (view.getBigInt64(base + at, true) < 0n ? 1 : 0);
    const zero = view.getBigUint64(base + PE_LAYOUT.FLAG_Z, true) === 0n ? 1 : 0;
    const carry = Number(view.getBigUint64(base + PE_LAYOUT.FLAG_C, true));
    return {
      fpcr: view.getUint32(base + PE_LAYOUT.FPCR, true),
      fpsr: view.getUint32(base + PE_LAYOUT.FPSR, true),
      nzcv: (sign(PE_LAYOUT.FLAG_N) << 3) | (zero << 2) | (carry << 1) | sign(PE_LAYOUT.FLAG_V),
      x: before.x.map((_, register) => view.getBigUint64(base + PE_LAYOUT.X + 8 * register, true)),
      v: before.v.map((_, register) => {
        const at = base + PE_LAYOUT.V + 16 * register;
        return view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n);
      }),
    };
  }
}

/** For compareRowsWithQemu: the words run in the generated interpreter, every second one as a hot arm. */
export function engineOf(words: readonly ChosenWord[]): Execute {
  const numbers = words.map(({ word }) => word);
  const engine = new BareEngine(
    numbers,
    numbers.filter((_, index) => index % 2 === 0),
  );
  return (index, before) => engine.execute(index, before);
}
