import { expect, test } from "vitest";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { withGuest } from "../support/guest.ts";
import { compileForGuest } from "../support/guest-c.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
/** Of 1,000 faults each. */
const ROUNDS = FULL ? 10_000 : 100;
const SECONDS = FULL ? 3000 : 400;
/** The part of the faults that are to be known without a walk of the guest's tables (row M5). */
const LEAST_AVOIDED = 0.9;

/** Every answer of the shadow tables is compared with a walk; a difference would end the machine as our defect. */
const checked: VirtualMachineFactory = (options) =>
  createMachine({ ...options, engine: "translator", mmu: "shadow", tlbi: "incremental", mmuCheck: true });

test(
  `of ${ROUNDS * 1000} faults that shadow tables know without a walk, each is what a walk finds`,
  { timeout: 2 * SECONDS * 1000 },
  () =>
    withGuest(
      {
        kernel: "kernel:6.1-cloud",
        factory: checked,
        initialFiles: [
          { kind: "file", path: "bin/true-faults", content: compileForGuest("true-faults.c"), mode: 0o755 },
        ],
      },
      async (guest) => {
        const before = guest.machine.stats();
        expect(await guest.output(`true-faults ${ROUNDS}`, SECONDS)).toBe("all as they should be\n");
        const after = guest.machine.stats();
        const during = (name: string): number => Number(after[name]) - Number(before[name]);
        console.log(
          `${during("shadowFaults")} faults by markers, ${during("checkedTranslations")} answers compared, ${during("shadowMisses")} walks, ${during("instructions")} instructions`,
        );
        expect(during("shadowFaults")).toBeGreaterThan(LEAST_AVOIDED * ROUNDS * 1000);
        expect(during("checkedTranslations")).toBeGreaterThan(during("shadowFaults"));
        expect(after["shadowLostUpdates"]).toBe(0);
      },
    ),
);
