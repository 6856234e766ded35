import { expect, test } from "vitest";
import { Random } from "../support/random.ts";
import { BareMachine } from "./bare-machine.ts";
import { gicProgram } from "./gic-program.ts";
import { runOnQemu } from "./qemu.ts";

const SEEDS = process.env["ELVISOR_FULL"] ? 12 : 2;
const STEPS = 2500;

test("random walks over the interrupt controller print the same as on QEMU", {
  timeout: 600_000,
}, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const program = gicProgram(new Random(seed), STEPS);
    const ours = new BareMachine(program.bytes).run(50_000_000).trim().split("\n");
    const theirs = (await runOnQemu(program.bytes)).trim().split(/\r?\n/);
    const first = theirs.findIndex((line, index) => line.trim() !== ours[index]?.trim());
    const history = program.steps.slice(Math.max(0, first - 15), first + 1).map((step, index) => {
      const line = Math.max(0, first - 15) + index;
      return `${line} ${step}: ${theirs[line]} | ${ours[line]}`;
    });
    expect(first === -1 ? "equal" : `seed ${seed}\n${history.join("\n")}`).toBe("equal");
    expect(ours).toHaveLength(program.steps.length);
  }
});
