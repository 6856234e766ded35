import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Machine } from "../../src/machine/machine.ts";
import { hashState } from "../../src/machine/state-hash.ts";
import type { Drive } from "../../src/machine/virtual-machine-interface.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { type CountedRunOptions, countedRun, MEMORY_BYTES } from "../support/counted-run.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const INSTRUCTIONS = 1e8;
const TO_THE_SHELL = 1.5e9;
const LIMIT = 300_000;

const variants: readonly Pick<CountedRunOptions, "kernel" | "cpus" | "virtualization">[] = [
  { kernel: "kernel:6.1-cloud", cpus: 1 },
  { kernel: "kernel:6.1-cloud", cpus: 4, virtualization: true },
];

/** A disk with one partition that is in no hurry. */
function slowDrive(milliseconds: () => number): Drive {
  const disk = new Uint8Array(4 * 2 ** 20);
  // The one entry: type Linux, from sector 64 on, 1024 sectors; then the signature.
  disk.set([0, 0, 0, 0, 0x83, 0, 0, 0, 64, 0, 0, 0, 0, 4, 0, 0], 446);
  disk.set([0x55, 0xaa], 510);
  return {
    size: disk.length,
    readOnly: false,
    async read(offset, target) {
      await delay(milliseconds());
      target.set(disk.subarray(offset, offset + target.length));
    },
    async write(offset, bytes) {
      await delay(milliseconds());
      disk.set(bytes, offset);
    },
    async flush() {
      await delay(milliseconds());
    },
  };
}

function stateHash(machine: Machine): string {
  const hash = createHash("sha256");
  hashState(machine, hash);
  return hash.digest("hex");
}

describe("a deterministic machine", () => {
  test.each(variants)(
    `has the equal state twice after ${INSTRUCTIONS} instructions: $kernel --cpus $cpus`,
    async (variant) => {
      const random = Random.ofThisRun();
      const options = { ...variant, instructions: INSTRUCTIONS };
      const first = await countedRun({ ...options, roundsInBurst: () => 1_000_000 });
      const second = await countedRun({ ...options, roundsInBurst: () => 1 + random.below(50) });
      expect(first.instructions).toBeGreaterThanOrEqual(INSTRUCTIONS);
      expect(first.output).toContain("Booting Linux");
      expect(second.output).toBe(first.output);
      expect(second.instructions).toBe(first.instructions);
      expect(second.hash, `seed ${random.seed}`).toBe(first.hash);
    },
    LIMIT,
  );

  test.runIf(FULL)(
    "has the equal state twice at the shell, however long its drive takes",
    async () => {
      const random = Random.ofThisRun();
      const options = { kernel: "kernel:6.1-cloud", cpus: 2, instructions: TO_THE_SHELL } as const;
      const run = (longest: number) => {
        const drive = slowDrive(() => random.below(longest));
        return countedRun({ ...options, drives: [drive], roundsInBurst: () => 1 + random.below(50) });
      };
      const first = await run(1);
      const second = await run(30);
      expect(first.output).toMatch(/vda: vda1[\s\S]*~ # /);
      expect(second.output).toBe(first.output);
      expect(second.hash, `seed ${random.seed}`).toBe(first.hash);
    },
    LIMIT,
  );

  test(
    "has a hash that looking does not change and that every part of the state does",
    async () => {
      const { machine, hash } = await countedRun({
        kernel: "kernel:6.1-cloud",
        cpus: 2,
        instructions: 1e6,
        roundsInBurst: () => 100,
      });
      expect(stateHash(machine)).toBe(hash);
      const { state } = machine.elements[1]!.processor;
      const changes: Record<string, () => void> = {
        register: () => state.setX(30, state.x(30) ^ 1n),
        flags: () => {
          state.nzcv ^= 1;
        },
        "last byte of RAM": () => {
          const address = VIRT_MAP.ram.base + MEMORY_BYTES - 1;
          machine.guest.write(address, Uint8Array.of(machine.guest.read8(address)! ^ 1));
        },
        flash: () => machine.board.flash[1]!.write(VIRT_MAP.flash1.size - 1, Uint8Array.of(0)),
        "interrupt controller": () => machine.board.gic.spis.setPending(100),
        "serial port": () => machine.board.serial.write(0x24, 4, 77),
        power: () => {
          machine.elements[1]!.power = "on";
        },
      };
      const seen = new Set([hash]);
      for (const [name, change] of Object.entries(changes)) {
        change();
        const changed = stateHash(machine);
        expect(seen, name).not.toContain(changed);
        seen.add(changed);
      }
    },
    LIMIT,
  );
});
