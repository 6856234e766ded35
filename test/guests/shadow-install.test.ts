import { expect, test } from "vitest";
import type { VirtualMachineFactory } from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { FULL, LIMIT, outputOf, startDebian } from "../support/debian-guest.ts";

/** The part of the shadow tables' leaves that a TLBI of an ASID or of everything may cost (row M4). */
const MOST_LOST = 0.05;
/** TLBI operations that must have been seen. */
const LEAST = 100;

const incremental: VirtualMachineFactory = (options) =>
  createMachine({ ...options, engine: "translator", mmu: "shadow", tlbi: "incremental" });

test.runIf(FULL)(
  "shadow tables keep what they know while packages are installed",
  {
    timeout: LIMIT,
  },
  async () => {
    const machine = await startDebian({ image: "debian:12", net: {}, createMachine: incremental });
    try {
      await outputOf(machine, "apt-get update");
      const before = machine.stats();
      await outputOf(machine, "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends jq");
      const after = machine.stats();
      expect(await outputOf(machine, "jq -n '6*7'")).toBe("42\n");
      const during = (name: string): number => Number(after[name]) - Number(before[name]);
      const invalidations = during("shadowWideInvalidations");
      const leaves = during("shadowLeavesBeforeWideInvalidations");
      const lost = during("shadowLeavesLostByWideInvalidations");
      console.log(
        `${invalidations} invalidations, ${(leaves / invalidations).toFixed(0)} leaves before each, ${((100 * lost) / leaves).toFixed(3)} % lost`,
      );
      expect(invalidations).toBeGreaterThan(LEAST);
      expect(leaves).toBeGreaterThan(0);
      expect(lost / leaves).toBeLessThan(MOST_LOST);
      expect(after["shadowLostUpdates"]).toBe(0);
    } finally {
      await machine.close();
    }
  },
);
