import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { smallMachine, smallMachinesTogether } from "../../test/support/small-machine.ts";
import { assemble } from "../isa/assembler.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import type { Machine } from "./machine.ts";
import { hashState } from "./state-hash.ts";

const TURNS = 20;
const TURN_LENGTH = 5000;

/** Writes all over its RAM, rewrites a function of its own and calls it; `factor` makes each guest another. */
function guest(factor: number, translationThreshold: number | undefined) {
  const { bytes } = assemble(
    `  adr x9, table
  mov x0, #1
  mov x8, #0
again:
  mov x2, #${factor}
  madd x0, x0, x2, x8
  and x1, x0, #0xffff8
  str x0, [x9, x1]
  ldr x4, [x9, x1]
  add x8, x8, x4
  and x1, x8, #0xfff
  mov w2, #0x91000000
  orr w2, w2, #3
  orr w2, w2, #0x60
  orr w2, w2, w1, lsl #10
  adr x5, function
  str w2, [x5]
  isb
  bl function
  add x7, x7, #1
  b again
  .balign 64
function:
  add x3, x3, #0
  ret
  .balign 4096
table:
  nop
`,
    { origin: BigInt(VIRT_MAP.ram.base) },
  );
  return { memory: bytes, cpus: 2, translationThreshold };
}

function turn(machine: Machine): void {
  for (const element of machine.elements) machine.interpreter.run(element, TURN_LENGTH);
}

function stateOf(machine: Machine): string {
  const hash = createHash("sha256");
  hashState(machine, hash);
  return hash.digest("hex");
}

test("machines in one linear memory do what each does in its own", () => {
  const guests = [guest(13, undefined), guest(29, 2), guest(31, 2)];
  const alone = guests.map((each) => {
    const machine = smallMachine(each);
    for (let count = 0; count < TURNS; count++) turn(machine);
    expect(machine.elements[0]!.processor.state.x(7)).toBeGreaterThan(100n);
    return stateOf(machine);
  });
  const together = smallMachinesTogether(guests);
  expect(new Set(together.map(({ memory }) => memory)).size).toBe(1);
  for (let count = 0; count < TURNS; count++) for (const machine of together) turn(machine);
  expect(together.map(stateOf)).toEqual(alone);
  expect(new Set(alone).size).toBe(guests.length);
});
