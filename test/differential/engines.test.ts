import { describe, expect, test } from "vitest";
import { BackgroundCompiler } from "../../src/engine/translator/background-compiler.ts";
import { compilingThread } from "../../src/node/compiling-thread.ts";
import { elementsHash, memoryHash, type SteppedMachine, steppedMachine } from "../support/engine-pair.ts";
import { MemoryCodeStore } from "../support/memory-code-store.ts";

/** Instructions of a boot that both engines execute; 10^9 in the long form reaches the shell. */
const INSTRUCTIONS = process.env["ELVISOR_FULL"] === "1" ? 1e9 : 6e7;
const TIME_LIMIT = 1_800_000;

/** Turns between two looks at the event loop, which brings what another thread has compiled. */
const TURNS = 20;
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Steps both machines side by side; fails at the first turn after which they differ. */
async function runBeside(one: SteppedMachine, other: SteppedMachine): Promise<void> {
  for (let turn = 0; one.machine.instructions < INSTRUCTIONS; turn++) {
    one.step();
    other.step();
    if (turn % TURNS === 0) await breathe();
    const where = `after turn ${turn}, ${one.machine.instructions} instructions`;
    expect(other.machine.instructions, `instructions ${where}`).toBe(one.machine.instructions);
    expect(other.ticks(), `time ${where}`).toBe(one.ticks());
    expect(elementsHash(other), `registers ${where}`).toBe(elementsHash(one));
  }
  expect(other.output()).toBe(one.output());
  expect(memoryHash(other)).toBe(memoryHash(one));
}

describe("the translator does exactly what the interpreter does", () => {
  test.each([
    [1, 300],
    [4, 300],
    [1, 1],
  ])(
    "while Debian boots on %i elements, translating after %i jumps",
    async (cpus, threshold) => {
      const plain = await steppedMachine("kernel:6.1-cloud", cpus, undefined);
      const translated = await steppedMachine("kernel:6.1-cloud", cpus, threshold);
      await runBeside(plain, translated);
      const { instructions } = translated.machine.interpreter.translator!.statistics();
      expect(instructions).toBeGreaterThan(INSTRUCTIONS / 2);
    },
    TIME_LIMIT,
  );

  test(
    "while another thread compiles",
    async () => {
      const plain = await steppedMachine("kernel:6.1-cloud", 1, undefined);
      const regionCompiler = new BackgroundCompiler(compilingThread());
      const translated = await steppedMachine("kernel:6.1-cloud", 1, 300, { regionCompiler });
      await runBeside(plain, translated);
      const { translator } = translated.machine.interpreter;
      expect(translator!.statistics().instructions).toBeGreaterThan(INSTRUCTIONS / 10);
      expect(translator!.failures).toBe(0);
    },
    TIME_LIMIT,
  );

  test.each([1, 4])(
    "with the code that an earlier machine kept, on %i elements",
    async (cpus) => {
      const codeStore = new MemoryCodeStore();
      const earlier = await steppedMachine("kernel:6.1-cloud", cpus, 300, { codeStore });
      while (earlier.machine.instructions < INSTRUCTIONS) earlier.step();
      const kept = earlier.machine.interpreter.translator!;
      expect(kept.cache!.hits).toBe(0);
      kept.cache!.save();
      const plain = await steppedMachine("kernel:6.1-cloud", cpus, undefined);
      const warm = await steppedMachine("kernel:6.1-cloud", cpus, 300, { codeStore });
      await runBeside(plain, warm);
      const { translator } = warm.machine.interpreter;
      expect(translator!.cache!.hits).toBeGreaterThan(kept.regions / 2);
      expect(translator!.statistics().instructions).toBeGreaterThan(kept.statistics().instructions);
    },
    TIME_LIMIT,
  );

  test(
    "and a deterministic machine does the same twice",
    async () => {
      const first = await steppedMachine("kernel:6.1-cloud", 1, undefined);
      const second = await steppedMachine("kernel:6.1-cloud", 1, undefined);
      await runBeside(first, second);
    },
    TIME_LIMIT,
  );
});
