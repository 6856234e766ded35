import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hashState } from "../../src/machine/state-hash.ts";
import { type CountedRunOptions, countedRun } from "../support/counted-run.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 300_000;
/** Instructions after the snapshot. */
const ON = 3e7;

interface Variant extends Pick<CountedRunOptions, "kernel" | "cpus" | "virtualization" | "virtioBus"> {
  /** At what count, from 0 to so much later. */
  readonly from: number;
  readonly until: number;
}

const variants: readonly Variant[] = [
  { kernel: "kernel:6.1-cloud", cpus: 1, from: 1e7, until: 1e8 },
  { kernel: "kernel:6.1-cloud", cpus: 2, virtualization: true, virtioBus: "pci", from: 4e8, until: 5e8 },
  ...(FULL
    ? ([
        { kernel: "kernel:6.12-cloud", cpus: 4, virtioBus: "pci", from: 1e8, until: 1.5e9 },
        { kernel: "kernel:6.1-cloud", cpus: 3, from: 1e8, until: 1.5e9 },
      ] as const)
    : []),
];

describe("a deterministic machine that is restored", () => {
  test.each(variants)(
    "goes on exactly as the one that was kept: $kernel --cpus $cpus, bus $virtioBus",
    async ({ from, until, ...variant }) => {
      const random = Random.ofThisRun();
      const seed = `seed ${random.seed}`;
      const first = await countedRun({
        ...variant,
        instructions: from + random.below(until - from),
        roundsInBurst: () => 1 + random.below(50),
      });
      const stream = first.snapshot();
      const there = first.instructions;
      const restored = await countedRun({
        ...variant,
        restore: stream,
        instructions: 0,
        roundsInBurst: () => 1,
      });
      expect(restored.instructions, seed).toBe(there);
      expect(restored.hash, seed).toBe(first.hash);
      // A look, and the keeping itself, change nothing.
      const hash = createHash("sha256");
      hashState(first.machine, hash);
      expect(hash.digest("hex"), seed).toBe(first.hash);

      const goneOn = await first.goOn(there + ON);
      const restoredOn = await restored.goOn(there + ON);
      expect(restoredOn.instructions, seed).toBe(goneOn.instructions);
      expect(restoredOn.output, seed).toBe(goneOn.output);
      expect(restoredOn.hash, seed).toBe(goneOn.hash);
      expect(goneOn.hash, seed).not.toBe(first.hash);
    },
    LIMIT,
  );
});
