import { expect, test } from "vitest";
import { Random } from "../support/random.ts";
import { BareMachine } from "./bare-machine.ts";
import { itsProgram } from "./its-program.ts";
import { runOnQemu } from "./qemu.ts";

const SEEDS = process.env["ELVISOR_FULL"] ? 12 : 1;
const STEPS = 2500;

test.each([
  { indirect: false, secure: true },
  { indirect: true, secure: false },
])(
  "random walks over LPIs print the same as on QEMU: two-level tables $indirect, EL3 $secure",
  {
    timeout: 600_000,
  },
  async (options) => {
    const { secure } = options;
    const onOff = secure ? "on" : "off";
    for (let seed = 1; seed <= SEEDS; seed++) {
      const program = itsProgram(new Random(seed), STEPS, options);
      const machine = new BareMachine(program.bytes, { secure, virtualization: secure });
      const ours = machine.run(50_000_000).trim().split("\n");
      const qemu = await runOnQemu(program.bytes, { machine: `secure=${onOff},virtualization=${onOff}` });
      const theirs = qemu.trim().split(/\r?\n/);
      const first = theirs.findIndex((line, index) => line.trim() !== ours[index]?.trim());
      const history = program.steps.slice(Math.max(0, first - 25), first + 1).map((step, index) => {
        const line = Math.max(0, first - 25) + index;
        return `${line} ${step}: ${theirs[line]} | ${ours[line]}`;
      });
      expect(first === -1 ? "equal" : `seed ${seed}\n${history.join("\n")}`).toBe("equal");
      expect(ours).toHaveLength(program.steps.length);
      // A walk that saw no LPI would show nothing.
      expect(ours.filter((line) => / 0000000000002[0-9a-f]{3} /.test(line)).length).toBeGreaterThan(100);
    }
  },
);
