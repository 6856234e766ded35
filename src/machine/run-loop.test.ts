import { describe, expect, it } from "vitest";
import { smallMachine } from "../../test/support/small-machine.ts";
import { assemble } from "../isa/assembler.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { Machine } from "./machine.ts";

const FLAG = VIRT_MAP.ram.base + 0x1000;
const WORK = 1_000_000;

/** Element 0 runs `first`, the others `others`; X20 is the address of a word that is zero, X19 is MPIDR.Aff0. */
function machineWith(cpus: number, first: string, others: string): Machine {
  const { bytes } = assemble(
    `
  ldr x20, =0x${FLAG.toString(16)}
  mrs x19, mpidr_el1
  and x19, x19, #0xff
  cbnz x19, 9f
${first}
  b done
9:
${others}
done: wfi
  b done
  .ltorg
`,
    { origin: BigInt(VIRT_MAP.ram.base) },
  );
  return smallMachine({ memory: bytes, cpus, translationThreshold: undefined });
}

/** Runs until every element waits for an interrupt that never comes, or for too long. */
function finish(machine: Machine): void {
  for (let round = 0; round < 1000; round++) {
    if (machine.loop.burst(() => true).kind === "idle") return;
  }
  throw new Error("the elements do not come to rest");
}

const work = (label: string): string => `
  ldr x0, =${WORK / 2}
${label}: subs x0, x0, #1
  b.ne ${label}b`;

describe("elements that wait for each other", () => {
  it("a spin lock's WFE leaves the turn to the owner", () => {
    const machine = machineWith(
      4,
      `${work("1")}\n  mov w1, #1\n  stlr w1, [x20]`,
      `  sevl
2: wfe
  ldaxr w1, [x20]
  cbz w1, 2b`,
    );
    finish(machine);
    const [owner, ...spinners] = machine.elements.map(({ instructions }) => instructions);
    expect(owner).toBeGreaterThan(WORK);
    // A few instructions for each of the owner's turns.
    for (const instructions of spinners) expect(instructions).toBeLessThan(WORK / 1000);
    for (const { processor } of machine.elements.slice(1)) expect(processor.state.x(1)).toBe(1n);
  });

  it("SEV wakes everybody, at once", () => {
    const machine = machineWith(
      3,
      `${work("1")}\n  sev\n${work("3")}`,
      `  sevl
  wfe
  mov x2, #1
  wfe
  mov x2, #2`,
    );
    for (let round = 0; round < 5; round++) machine.loop.burst(() => true);
    expect(machine.elements.slice(1).map(({ processor }) => processor.state.x(2))).toEqual([1n, 1n]);
    finish(machine);
    expect(machine.elements.slice(1).map(({ processor }) => processor.state.x(2))).toEqual([2n, 2n]);
    for (const { instructions } of machine.elements.slice(1)) expect(instructions).toBeLessThan(30);
  });

  it("an event stream wakes an element while nobody else runs", () => {
    const machine = machineWith(
      1,
      `  mov x0, #0x74
  msr cntkctl_el1, x0
  isb
  wfe
  mrs x1, cntvct_el0
  wfe
  mrs x2, cntvct_el0
  wfe
  mrs x3, cntvct_el0
  msr cntkctl_el1, xzr`,
      "",
    );
    finish(machine);
    const { state } = machine.elements[0]!.processor;
    const [first, second, third] = [state.x(1), state.x(2), state.x(3)];
    expect([first % 256n, second % 256n, third % 256n]).toEqual([128n, 128n, 128n]);
    expect([second - first, third - second]).toEqual([256n, 256n]);
  });
});
