import { describe, expect, it } from "vitest";
import { BareMachine } from "./bare-machine.ts";
import { runOnQemu } from "./qemu.ts";
import { timerPrograms } from "./timer-program.ts";

const INSTRUCTIONS = 5e7;

/** Steps whose outcome is not that of QEMU 7.2, and why. Sections are of DDI 0487. */
const DIFFERENCES: readonly { readonly names: RegExp; readonly reason: string }[] = [
  {
    names: /^CNTHCTL_EL2 [12], CNTKCTL_EL1 303(, TGE)?: MRS cntpct_el0 at EL0$/,
    reason: "EL1PCTEN decides for EL0 too (D19.12.2); QEMU asks EL1PCEN.",
  },
  {
    names: /^hypervisor virtual, CNTVOFF_EL2 [1-9]\d*: [CT]VAL = /,
    reason: "CNTHV_TVAL_EL2 has no offset (D19.12.11); QEMU subtracts CNTVOFF_EL2 when EL3 asks.",
  },
];

const lines = (output: string): string[] =>
  output
    .trim()
    .split(/\r?\n/)
    .map((line) => line.trim());

describe("the generic timers", () => {
  const used = new Set<RegExp>();

  it.each(timerPrograms().map((program, index) => [index + 1, program] as const))(
    "do what they do on QEMU, program %i",
    async (_, { bytes, steps }) => {
      const theirs = lines(await runOnQemu(bytes));
      const ours = lines(new BareMachine(bytes).run(INSTRUCTIONS));
      expect(theirs).toHaveLength(steps.length);
      const unexplained: string[] = [];
      steps.forEach((name, index) => {
        if (ours[index] === theirs[index]) return;
        const listed = DIFFERENCES.find(({ names }) => names.test(name));
        if (listed) used.add(listed.names);
        else unexplained.push(`${name}: ours ${ours[index]}, QEMU's ${theirs[index]}`);
      });
      expect(unexplained).toEqual([]);
    },
  );

  it("differ in every way that the list says", () => {
    expect(DIFFERENCES.filter(({ names }) => !used.has(names))).toEqual([]);
  });
});
