import { describe, expect, test } from "vitest";
import type { MemoryManagement } from "../../src/machine/machine.ts";
import { elementsHash, memoryHash, steppedMachine } from "../support/engine-pair.ts";

/** Instructions of a Debian boot for each pair; 10^9 in the long form reaches the shell. */
const INSTRUCTIONS = process.env["ELVISOR_FULL"] === "1" ? 1e9 : 2e7;
const CHECKED = process.env["ELVISOR_FULL"] === "1" ? 2e8 : 4e6;
const TIME_LIMIT = 1_800_000;
const THRESHOLD = 2000;
const WALK: MemoryManagement = { mode: "walk", tlbi: "full", check: false };

describe("however addresses are translated", () => {
  test.each([
    ["full", 1],
    ["incremental", 1],
    ["incremental", 4],
  ] as const)(
    "shadow tables with --tlbi %s on %i elements end in the same state as walks",
    async (tlbi, cpus) => {
      const walking = await steppedMachine("kernel:6.1-cloud", cpus, THRESHOLD, { memoryManagement: WALK });
      const shadowing = await steppedMachine("kernel:6.1-cloud", cpus, THRESHOLD, {
        memoryManagement: { mode: "shadow", tlbi, check: false, addressSpaces: 4 },
      });
      for (let turn = 0; walking.machine.instructions < INSTRUCTIONS; turn++) {
        walking.step();
        shadowing.step();
        if (turn % 20 !== 0) continue;
        expect(shadowing.machine.instructions, `after turn ${turn}`).toBe(walking.machine.instructions);
        expect(elementsHash(shadowing), `after turn ${turn}`).toBe(elementsHash(walking));
      }
      expect(elementsHash(shadowing)).toBe(elementsHash(walking));
      expect(shadowing.output()).toBe(walking.output());
      expect(memoryHash(shadowing)).toBe(memoryHash(walking));
      const shadow = shadowing.machine.shadow!;
      shadow.drain();
      expect(shadow.difference()).toBeUndefined();
      expect(shadow.statistics.lostUpdates).toBe(0);
      expect(shadow.buffers.overflows).toBe(0);
      expect(shadow.buffers.records).toBeGreaterThan(tlbi === "full" ? 0 : 100);
    },
    TIME_LIMIT,
  );

  test.each(["full", "incremental"] as const)(
    "every translation of a boot with --tlbi %s is what a walk finds",
    async (tlbi) => {
      const { machine, step } = await steppedMachine("kernel:6.1-cloud", 2, THRESHOLD, {
        memoryManagement: { mode: "shadow", tlbi, check: true },
      });
      while (machine.instructions < CHECKED) step();
      const checked = machine.elements.reduce((sum, { mmu }) => sum + mmu.shadowWalk!.checked, 0);
      expect(checked).toBeGreaterThan(CHECKED / 20_000);
      expect(machine.shadow!.statistics.lostUpdates).toBe(0);
    },
    TIME_LIMIT,
  );
});
