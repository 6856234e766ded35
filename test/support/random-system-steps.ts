import { assembleInstruction } from "../../src/isa/assembler.ts";
import { REGION, REGION_SIZE, SLOT, type StepCase, WINDOW } from "./qemu-stepper.ts";
import type { Random } from "./random.ts";
import { randomControl } from "./random-floats.ts";
import { randomElement, randomVector } from "./random-vectors.ts";

/** System instructions that EL0 may execute and that a single step can compare; RT is a register. */
const TEMPLATES = [
  "mrs RT, nzcv",
  "msr nzcv, RT",
  "mrs RT, fpcr",
  "mrs RT, fpsr",
  "msr tpidr_el0, RT",
  "mrs RT, tpidrro_el0",
] as const;

/** Registers of which only these bits are written: others are not implemented by both sides. */
const MASKED = [
  ["msr fpcr, RT", 0x07c0_0000n],
  ["msr fpsr, RT", 0x0800_009fn],
] as const;

/** Cache operations, on an address. (DC CVAP is missing from QEMU 7.2 in user mode.) */
const CACHE = ["dc zva, RT", "dc cvac, RT", "dc cvau, RT", "dc civac, RT", "ic ivau, RT"] as const;

/** A step of an instruction that concerns the processor rather than registers and memory. */
export function randomSystemStep(random: Random): StepCase {
  const x = Array.from({ length: 31 }, () => randomElement(random, 64));
  const target = random.below(32);
  const address = REGION + BigInt(8 * random.below(REGION_SIZE / 8 - 64) + 128 + random.below(8));
  const kind = random.below(3);
  let line: string;
  if (kind === 0) line = random.pick(TEMPLATES);
  else if (kind === 1) {
    const [template, mask] = random.pick(MASKED);
    line = template;
    if (target < 31) x[target] = x[target]! & mask;
  } else {
    line = random.pick(CACHE);
    if (target < 31) x[target] = address;
  }
  // Address 0 is nowhere.
  const register = target === 31 ? (kind === 2 ? "x30" : "xzr") : `x${target}`;
  if (kind === 2 && target === 31) x[30] = address;
  return {
    word: assembleInstruction(line.replace("RT", register)),
    before: undefined,
    state: {
      x,
      sp: randomElement(random, 64),
      pc: SLOT,
      nzcv: random.below(16),
      v: Array.from({ length: 32 }, () => randomVector(random)),
      fpcr: randomControl(random),
      fpsr: random.pick([0, 16, 0x9f, 0x0800_0000]),
    },
    windowAddress: (address & ~15n) - 32n,
    window: Uint8Array.from({ length: WINDOW }, () => random.below(256)),
  };
}
