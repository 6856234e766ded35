import { describe, expect, test } from "vitest";
import { SLOT } from "../../src/cpu/element-state.ts";
import { DECODER } from "../../src/isa/table.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { Random } from "../support/random.ts";
import { smallMachine } from "../support/small-machine.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
/** A round takes one to two seconds of processor time. */
const ROUNDS = FULL ? 100 : 10;
const TURNS = 60;
/** Instructions of one turn: noise soon ends in a loop of faults, from where little is learnt. */
const TURN_LENGTH = 1500;
const SEED = Number(process.env["ELVISOR_SEED"] ?? Date.now() % 2 ** 32);
const CODE_BYTES = 2 ** 20;
const VECTOR_BASES = [SLOT.VBAR_EL1, SLOT.VBAR_EL2, SLOT.VBAR_EL3];

/** A word of one of the table's rows, so that most of the noise means something. */
function likelyWord(random: Random): number {
  const { rows } = DECODER;
  const { pattern } = rows[random.below(rows.length)]!;
  return ((random.u32() & ~pattern.mask) | pattern.value) >>> 0;
}

/** MSR of a random register from a random register: control registers get all kinds of values. */
function systemWord(random: Random): number {
  return (0xd510_0000 | (random.below(2) << 19) | (random.u32() & 0x0007_ffff)) >>> 0;
}

function noise(random: Random): Uint8Array {
  const bytes = new Uint8Array(CODE_BYTES);
  const words = new Uint32Array(bytes.buffer);
  for (let index = 0; index < words.length; index++) {
    const kind = random.below(8);
    words[index] = kind === 0 ? random.u32() : kind === 1 ? systemWord(random) : likelyWord(random);
  }
  return bytes;
}

/** Random registers, and now and then a fresh start somewhere in the noise at a random level. */
function disturb(machine: ReturnType<typeof smallMachine>, random: Random): void {
  for (const { processor } of machine.elements) {
    if (random.below(3) === 0) {
      processor.reset();
      const level = (1 + random.below(3)) as 1 | 2 | 3;
      processor.start({
        pc: VIRT_MAP.ram.base + random.below(CODE_BYTES / 4) * 4,
        arguments: [],
        level,
        systemRegisters: [{ name: "SCR_EL3", bits: BigInt(random.u32() & 0x7ff) }],
      });
    }
    for (let register = 0; register < 31; register++) {
      const inside = BigInt(VIRT_MAP.ram.base + random.below(CODE_BYTES));
      const anything = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
      processor.state.setX(register, random.below(2) === 0 ? inside : anything);
    }
    for (const slot of VECTOR_BASES) {
      processor.state.write(slot, BigInt(VIRT_MAP.ram.base + random.below(CODE_BYTES / 2048) * 2048));
    }
    processor.state.pc = BigInt(VIRT_MAP.ram.base + random.below(CODE_BYTES / 4) * 4);
    processor.wake();
  }
}

describe("no guest crashes or hangs its host", () => {
  test.each([
    ["interpreter", undefined],
    ["translator", 2],
  ] as const)(
    `random words, registers, page tables and system registers, %s (seed ${SEED})`,
    (_, translationThreshold) => {
      const random = new Random(SEED);
      let instructions = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const machine = smallMachine({ memory: noise(random), cpus: 2, translationThreshold });
        for (let turn = 0; turn < TURNS; turn++) {
          disturb(machine, random);
          for (const element of machine.elements) {
            if (element.wantsAttention) element.processor.serviceAttention();
            machine.interpreter.run(element, TURN_LENGTH);
          }
          if (machine.powerRequest !== undefined) machine.start();
        }
        instructions += machine.instructions;
      }
      expect(instructions).toBeGreaterThan(ROUNDS * TURNS);
    },
    1_800_000,
  );
});
