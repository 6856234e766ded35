import { RUN_OVERSHOOT } from "../../src/engine/interpreter/interpreter.ts";
import { disassemble } from "../../src/isa/disassembler.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { EngineMachine, LAYOUT, PAGE_KINDS } from "./engine-machine.ts";
import type { Random } from "./random.ts";
import type { RandomProgram } from "./random-program.ts";

/** Runs programs in the interpreter and, beside it, with everything translated at its first jump. */
export class EngineContest {
  readonly plain = new EngineMachine();
  readonly translated: EngineMachine;
  /** Instructions executed by each. */
  instructions = 0;
  #program: RandomProgram | undefined;
  #comparedExceptions = 0;

  constructor({ threshold = 1, tracksRegisters = true } = {}) {
    this.translated = new EngineMachine({ threshold, tracksRegisters });
  }

  load(program: RandomProgram): void {
    this.#program = program;
    for (const machine of [this.plain, this.translated]) {
      machine.end = program.end;
      for (const { address, words } of program.pieces) machine.writeCode(address, words);
    }
  }

  /**
   * Runs the program loaded from its start, on these data, for about `count` instructions, and compares at
   * stops up to `stride` apart, memory at the end. Returns what is different, with the place, or undefined.
   */
  run(random: Random, data: Uint8Array, count: number, stride: number): string | undefined {
    const program = this.#program;
    if (program === undefined) throw new Error("no program is loaded");
    const { plain, translated } = this;
    for (const machine of [plain, translated]) machine.restart(program.settings, program.start, data);
    this.#comparedExceptions = 0;
    for (let done = 0; done < count; ) {
      const budget = 1 + random.below(stride);
      // Stops of the translator's own and stops at any instruction, by turns.
      if (random.below(3) === 0) {
        plain.runExactly(budget);
        translated.runExactly(budget);
        done += budget;
      } else {
        const taken = translated.run(budget);
        if (taken < budget && translated.processor.state.word(PE_LAYOUT.ATTENTION) === 0)
          return `left after ${taken} of ${budget}`;
        if (taken > budget + RUN_OVERSHOOT) return `went ${taken - budget} instructions too far`;
        plain.runExactly(taken);
        done += taken;
      }
      const difference = this.#difference(done >= count);
      if (difference !== undefined) {
        return [difference, `after ${done} instructions`, ...listing(program)].join("\n");
      }
    }
    this.instructions += count;
    return undefined;
  }

  #difference(withMemory: boolean): string | undefined {
    const { plain, translated } = this;
    const length = Math.max(plain.exceptions.length, translated.exceptions.length);
    for (let index = this.#comparedExceptions; index < length; index++) {
      const lines = compare(plain.exceptions[index] ?? "none", translated.exceptions[index] ?? "none");
      if (lines.length > 0) return [`exception ${index} is different`, ...lines].join("\n");
    }
    this.#comparedExceptions = length;
    const registers = compare(plain.describe(), translated.describe());
    if (registers.length > 0) return registers.join("\n");
    const [log, otherLog] = [plain.device.log, translated.device.log];
    if (log.length !== otherLog.length || (withMemory && log.join() !== otherLog.join()))
      return `accesses: ${log.slice(-5)} | ${otherLog.slice(-5)}`;
    return withMemory ? compareBytes(plain.data(), translated.data()) : undefined;
  }
}

/** The lines of two descriptions that differ. */
function compare(one: string, other: string): string[] {
  if (one === other) return [];
  const others = other.split("\n");
  return one
    .split("\n")
    .flatMap((line, index) =>
      line === others[index] ? [] : [`  interpreter ${line}, translator ${others[index]}`],
    );
}

function compareBytes(one: Uint8Array, other: Uint8Array): string | undefined {
  if (Buffer.compare(one, other) === 0) return undefined;
  const at = one.findIndex((byte, index) => byte !== other[index]);
  const page = PAGE_KINDS[at >> 12] ?? "tables";
  const text = (bytes: Uint8Array) => Buffer.from(bytes.subarray(at, at + 16)).toString("hex");
  return `memory at data + 0x${at.toString(16)} (${page}): ${text(one)}, translator ${text(other)}`;
}

function listing(program: RandomProgram): string[] {
  return [
    JSON.stringify(program.settings),
    ...program.pieces.flatMap(({ address, words }) => [
      "",
      ...words.map((word, index) => {
        const at = address + 4 * index;
        const where = at - LAYOUT.code;
        return `  ${where.toString(16).padStart(5, "0")} ${word.toString(16).padStart(8, "0")} ${disassemble(word, BigInt(at))}`;
      }),
    ]),
  ];
}
