import { expect, test } from "vitest";
import { HOT_WORDS } from "../../src/engine/interpreter/hot-words.ts";
import { compareSteps } from "../support/compare-steps.ts";
import { EvaluatorMachine } from "../support/evaluator-machine.ts";
import { InterpreterMachine } from "../support/interpreter-machine.ts";
import type { MachineUnderTest } from "../support/machine-under-test.ts";
import { QemuStepper, type StepCase } from "../support/qemu-stepper.ts";
import { Random } from "../support/random.ts";
import { NOT_STEPPED, randomStep, STEPPED_ROWS } from "../support/random-steps.ts";
import { randomSystemStep } from "../support/random-system-steps.ts";
import { QEMU_DIFFERENCES } from "./qemu-differences.ts";

const BATCH = 20_000;

/** The machines, and how many instructions each executes (`npm test`, `npm run test:full`). */
const MACHINES: readonly {
  readonly name: string;
  readonly make: () => MachineUnderTest;
  readonly count: number;
  readonly full: number;
}[] = [
  { name: "evaluator", make: () => new EvaluatorMachine(), count: 10_000, full: 100_000 },
  { name: "interpreter", make: () => new InterpreterMachine(HOT_WORDS), count: 100_000, full: 1_000_000 },
];

/** Random cases, the same number for each row, in turn. */
function* randomCases(random: Random): Generator<StepCase> {
  for (;;) {
    for (const row of STEPPED_ROWS) {
      const one = randomStep(row, random);
      if (one) yield one;
    }
  }
}

test.each(MACHINES)(
  "$name executes random instructions as QEMU does",
  { timeout: 1_800_000 },
  ({ make, ...counts }) => {
    const random = Random.ofThisRun();
    const machine = make();
    const count = process.env["ELVISOR_FULL"] ? counts.full : counts.count;
    console.log(`${machine.name}: ${count} instructions, seed ${random.seed}`);
    const source = randomCases(random);
    const qemu = new QemuStepper("neoverse-n1");
    const reports: string[] = [];
    for (let rest = count; rest > 0 && reports.length < 20; rest -= BATCH) {
      const cases = Array.from({ length: Math.min(rest, BATCH) }, () => source.next().value as StepCase);
      for (const difference of compareSteps(machine, cases, qemu.run(cases))) {
        if (!QEMU_DIFFERENCES.some((known) => known.explains(difference))) reports.push(difference.report);
      }
    }
    expect(reports.slice(0, 20).join("\n\n")).toBe("");
  },
);

test("the interpreter executes EL0's system instructions as QEMU does", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`seed ${random.seed}`);
  const cases = Array.from({ length: 3000 }, () => randomSystemStep(random));
  const answers = new QemuStepper("neoverse-n1").run(cases);
  const differences = compareSteps(new InterpreterMachine(), cases, answers);
  expect(
    differences
      .slice(0, 20)
      .map(({ report }) => report)
      .join("\n\n"),
  ).toBe("");
});

test("every implemented row but the excepted ones gets cases", () => {
  const random = new Random(1);
  const without = STEPPED_ROWS.filter((row) => {
    for (let attempt = 0; attempt < 400; attempt++) if (randomStep(row, random)) return false;
    return true;
  });
  expect(without.map(({ instruction }) => instruction.name)).toEqual([]);
  expect(NOT_STEPPED.every(({ reason }) => reason !== "")).toBe(true);
});
