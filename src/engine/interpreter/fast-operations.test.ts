import { expect, test } from "vitest";
import { ElementMachine } from "../../../test/support/element-machine.ts";
import { Random } from "../../../test/support/random.ts";
import { assembleInstruction } from "../../isa/assembler.ts";
import { type SystemRegisterName, systemRegister } from "../../isa/system-registers/table.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { InterpretedElement } from "./interpreter.ts";

/** RAM at equal virtual and physical addresses where the MMU is on, which it is for EL1 and EL0 only. */
const RAM = 0x4000_0000;
const RAM_BYTES = 4 << 20;
const TABLE = RAM + RAM_BYTES - 4096;
const CODE = RAM;
const DATA = RAM + 0x10_0000;
const STEPS = 2000;

const INSTRUCTIONS = [
  ...["msr daifset, #2", "msr daifset, #15", "msr daifclr, #2", "msr daifclr, #15", "msr daif, x1"],
  ...["mrs x2, daif", "mrs x2, fpcr", "mrs x2, fpsr", "mrs x2, dczid_el0", "dc zva, x3"],
];

/** One element in some state of the architecture; with `fast` false every case is the processor's. */
class Element {
  readonly machine = new ElementMachine({
    ...{ ram: RAM, ramBytes: RAM_BYTES },
    processor: { secure: true, virtualization: true },
  });
  readonly interpreter = this.machine.connectEngine({ recordPages: 16 });
  calls = 0;
  readonly #fast: boolean;

  constructor(fast: boolean) {
    this.#fast = fast;
  }

  set(name: SystemRegisterName, value: bigint): void {
    const { processor } = this.machine;
    processor.state.setX(9, value);
    processor.execute("writeSystemRegister", systemRegister(name).encoding, 9, 0);
  }

  run(word: number, seed: number): void {
    const random = new Random(seed);
    const { processor, ram } = this.machine;
    const { state } = processor;
    processor.reset(CODE);
    ram.write64(TABLE + 8, BigInt(RAM) | 0x741n);
    ram.write32(CODE, word);
    ram.write(DATA - 64, new Uint8Array(256).fill(0xaa));
    const some = (...values: readonly bigint[]): bigint =>
      values.reduce((all, value) => all | random.pick([0n, value]), 0n);
    this.set("MAIR_EL1", 0xffn);
    this.set("TCR_EL1", 25n | (3n << 12n) | (1n << 23n) | (2n << 32n));
    this.set("TTBR0_EL1", BigInt(TABLE));
    // M; UMA, DZE.
    this.set("SCTLR_EL1", 0x30d0_0800n | 1n | some(1n << 9n, 1n << 14n));
    this.set("CPACR_EL1", random.pick([0n, 1n << 20n, 3n << 20n]));
    this.set("MDSCR_EL1", random.below(4) === 0 ? some(1n, 1n << 13n, 1n << 15n) : 0n);
    // VF, VI, VSE, TDZ, TGE, and RW.
    this.set(
      "HCR_EL2",
      (1n << 31n) | (random.below(2) === 0 ? some(1n << 6n, 1n << 7n, 1n << 8n, 1n << 28n, 1n << 27n) : 0n),
    );
    this.set("SCR_EL3", 0x531n | some(2n, 4n));
    const level = random.below(4);
    const stack = level === 0 ? 0 : random.below(2);
    this.set("SPSR_EL3", BigInt((random.below(16) << 6) | (level << 2) | stack));
    this.set("ELR_EL3", BigInt(CODE));
    processor.execute("exceptionReturn", 0, 0, 0);
    const signal = (): boolean => random.below(5) === 0;
    processor.setInterruptSignals({ irq: signal(), fiq: signal(), virq: signal(), vfiq: signal() });
    state.setX(1, BigInt(random.below(1024)));
    state.setX(2, 0xdeadn);
    state.setX(3, BigInt(DATA + random.below(64)));
    state.setWord(PE_LAYOUT.FPSR, random.below(32));
    state.setWord(PE_LAYOUT.ATTENTION, 0);
    if (random.below(2) === 0) processor.mmu.access.prepareWrite(DATA, 0, 4, 0);
    if (!this.#fast) state.setWord(PE_LAYOUT.FAST_REGISTERS, 0);
    this.interpreter.runExactly(this.#element(), 1, false);
  }

  #element(): InterpretedElement {
    const { processor } = this.machine;
    return {
      base: processor.base,
      load: (...access) => processor.load(...access),
      store: (...access) => processor.store(...access),
      prepareWrite: (...access) => processor.prepareWrite(...access),
      fetch: () => processor.fetch(),
      execute: (...operation) => {
        this.calls++;
        return processor.execute(...operation);
      },
      beforeInstruction: () => processor.beforeInstruction(),
    };
  }

  /** All that software can see, and the request for attention: the element's block, then memory. */
  seen(): Buffer {
    const { memory, processor, ram } = this.machine;
    const { base } = processor;
    const block = memory.bytes.slice(base, base + PE_LAYOUT.GWB_RING);
    for (const own of [PE_LAYOUT.FAST_REGISTERS, PE_LAYOUT.TLB_BANK, PE_LAYOUT.TLB_BANK_UNPRIVILEGED]) {
      block.fill(0, own, own + 4);
    }
    block.fill(0, PE_LAYOUT.SCRATCH, PE_LAYOUT.SCRATCH + 64);
    const data = new Uint8Array(256);
    ram.readInto(DATA - 64, data);
    return Buffer.concat([block, data]);
  }
}

test("the direct way does what the processor does, in any state", () => {
  const random = Random.ofThisRun();
  console.log(`fast operations seed ${random.seed}`);
  const [fast, slow] = [new Element(true), new Element(false)];
  const direct = new Map<string, number>();
  for (let step = 0; step < STEPS; step++) {
    const text = random.pick(INSTRUCTIONS);
    const word = assembleInstruction(text);
    const seed = random.below(2 ** 31);
    fast.calls = 0;
    fast.run(word, seed);
    slow.run(word, seed);
    const [one, other] = [fast.seen(), slow.seen()];
    if (!one.equals(other)) {
      const at = one.findIndex((byte, index) => byte !== other[index]);
      expect.fail(`${text}, state ${seed}: byte ${at} is ${one[at]}, the processor makes it ${other[at]}`);
    }
    if (fast.calls === 0) direct.set(text, (direct.get(text) ?? 0) + 1);
  }
  for (const text of INSTRUCTIONS) expect(direct.get(text) ?? 0, text).toBeGreaterThan(10);
});
