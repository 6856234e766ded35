import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import type { MachineUnderTest, ProcessorState, StepOutcome } from "./machine-under-test.ts";
import { EvaluatorState, SemanticsEvaluator } from "./semantics-evaluator.ts";

const PAGE = 4096;

/** The plain evaluator of meanings as a machine: slow, and the oracle of all engines. */
export class EvaluatorMachine implements MachineUnderTest {
  readonly name = "evaluator";
  readonly #pages = new Map<number, Uint8Array>();
  #exclusive: EvaluatorState["exclusive"];

  writeMemory(address: bigint, bytes: Uint8Array): void {
    bytes.forEach((byte, index) => {
      const at = Number(address) + index;
      const number = Math.floor(at / PAGE);
      const page = this.#pages.get(number) ?? new Uint8Array(PAGE);
      this.#pages.set(number, page);
      page[at % PAGE] = byte;
    });
  }

  readMemory(address: bigint, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, index) => {
      const at = Number(address) + index;
      const page = this.#pages.get(Math.floor(at / PAGE));
      if (!page) throw new Error(`address 0x${at.toString(16)} is not mapped`);
      return page[at % PAGE]!;
    });
  }

  clearExclusive(): void {
    this.#exclusive = undefined;
  }

  step(word: number, before: ProcessorState): StepOutcome {
    const decoded = DECODER.decode(word, IMPLEMENTED_FEATURES);
    if (!decoded?.instruction.execute) return { kind: "exception", description: "UNDEFINED" };
    const state = new EvaluatorState();
    state.x.set([...before.x, before.sp]);
    before.v.forEach((value, index) => {
      const view = new DataView(state.v[index]!.buffer);
      view.setBigUint64(0, BigInt.asUintN(64, value), true);
      view.setBigUint64(8, value >> 64n, true);
    });
    state.nzcv = before.nzcv;
    state.fpcr = before.fpcr;
    state.fpsr = before.fpsr;
    state.pc = before.pc;
    state.exclusive = this.#exclusive;
    const evaluator = new SemanticsEvaluator(state, {
      readMemory: (address, bytes) => this.readMemory(address, bytes),
      writeMemory: (address, data) => {
        // Only what is mapped may be written.
        this.readMemory(address, data.length);
        this.writeMemory(address, data);
      },
      processor: () => {},
    });
    try {
      evaluator.run(decoded.instruction.execute, decoded.operands);
    } catch (error) {
      return { kind: "exception", description: String(error) };
    }
    this.#exclusive = state.exclusive;
    return {
      kind: "completed",
      state: {
        x: [...state.x.subarray(0, 31)],
        sp: state.x[31]!,
        pc: state.pc,
        nzcv: state.nzcv,
        v: state.v.map((bytes) => {
          const view = new DataView(bytes.buffer, bytes.byteOffset);
          return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
        }),
        fpcr: state.fpcr,
        fpsr: state.fpsr,
      },
    };
  }
}
