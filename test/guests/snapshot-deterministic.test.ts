import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/base/errors.ts";
import { hashState } from "../../src/machine/state-hash.ts";
import { type CountedRunOptions, countedRun } from "../support/counted-run.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 600_000;
/** Machines with damaged parts. */
const TRIALS = FULL ? 400 : 12;
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

  test(
    "runs, or is refused with a sentence, whatever bits of its parts are wrong",
    async () => {
      const random = Random.ofThisRun();
      const options = {
        kernel: "kernel:6.1-cloud",
        cpus: 2,
        virtioBus: "pci",
        roundsInBurst: () => 1,
      } as const;
      const first = await countedRun({ ...options, instructions: 3e7 + random.below(1e7) });
      const records = [...recordsOf(first.snapshot())];
      const parts = records.filter(({ kind }) => kind === PART);
      expect(parts.length).toBeGreaterThan(10);
      let refused = 0;
      for (let trial = 0; trial < TRIALS; trial++) {
        const damaged = records.map((record) => ({ ...record, bytes: record.bytes.slice() }));
        for (let flips = 1 + random.below(8); flips > 0; flips--) {
          const { bytes } = damaged.filter(({ kind }) => kind === PART)[random.below(parts.length)]!;
          const at = HEADER + random.below(bytes.length - HEADER);
          // Not in letters, which are names: those are refused at once.
          if (bytes[at]! < 0x41 || bytes[at]! > 0x7a) bytes[at] = bytes[at]! ^ (1 << random.below(8));
        }
        try {
          const restore = Buffer.concat(damaged.map(({ bytes }) => bytes));
          const { machine } = await countedRun({ ...options, restore, instructions: 0 });
          // What it does is its own; it must only do it.
          for (let bursts = 0; bursts < 20; bursts++) machine.loop.burst(() => true);
        } catch (error) {
          if (!(error instanceof UserError))
            throw new Error(`seed ${random.seed}, trial ${trial}`, { cause: error });
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(0);
    },
    LIMIT,
  );
});

/** Of a state stream's records. */
const PART = 3;
const HEADER = 8;

function* recordsOf(stream: Uint8Array): Generator<{ kind: number; bytes: Uint8Array }> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let at = 0; at < stream.length; ) {
    const end = at + HEADER + view.getUint32(at + 4, true);
    yield { kind: view.getUint32(at, true), bytes: stream.slice(at, end) };
    at = end;
  }
}
