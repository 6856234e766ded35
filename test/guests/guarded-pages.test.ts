import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { loadModule, outputOf, startKernel } from "../support/debian-guest.ts";

/** A kernel that registers a tree of pages with its hypervisor, and then attacks the tree and what it protects. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 600_000;
const ATTACKS = 1_000;
const ROUNDS = 10;

describe.runIf(FULL)("pages that a guest has registered", () => {
  let machine: VirtualMachine;
  beforeAll(async () => {
    machine = await startKernel("kernel:6.1-cloud", 2 ** 28);
  }, LIMIT);
  afterAll(() => machine.close());

  test(
    `keep what they hold through ${ATTACKS * ROUNDS} writes to the tree itself, each of which is told of`,
    async () => {
      await loadModule(machine, "guarded-pages.c", `count=${ATTACKS}`);
      const line = await outputOf(machine, "dmesg | grep guarded:");
      const [, tree, page] = /status 0, 1 pages, tree at (0x\w+), page at (0x\w+)$/m.exec(line) ?? [];
      const ofPage = (address: string) => `0x${(BigInt(address) & ~0xfffn).toString(16)}`;
      let since = 0;
      const attack = async (target: number, kind: "structure" | "page") => {
        await outputOf(machine, `echo ${target} > /sys/module/guest/parameters/target`);
        const said = await outputOf(machine, "cat /proc/attacks");
        const { writes } = machine.protect({ kind: "state", since });
        since = Math.max(since, ...writes.map(({ sequence }) => sequence + 1));
        // Above a rate, writes are told of in sums.
        expect(writes.filter((write) => write.kind !== kind && write.kind !== "summary")).toEqual([]);
        const told = writes.reduce((sum, { count }) => sum + count, 0);
        return { said, told, at: [...new Set(writes.map(({ address }) => ofPage(address)))], writes };
      };
      for (let round = 0; round < ROUNDS; round++) {
        const { said, told, at } = await attack(0, "structure");
        expect({ said, told, at }).toEqual({ said: "changed 0\n", told: ATTACKS, at: [tree] });
      }
      const { said, told, at, writes } = await attack(1, "page");
      expect({ said, told, at }).toEqual({ said: "changed 0\n", told: ATTACKS, at: [page] });
      expect(new Set(writes.map(({ cookie, action }) => `${cookie} ${action}`))).toEqual(
        new Set(["77 deny"]),
      );
      machine.protect({ kind: "remove" });
      expect((await attack(1, "page")).said).toMatch(/^changed [1-9]/);
      expect(await outputOf(machine, "echo alive")).toBe("alive\n");
    },
    LIMIT,
  );
});
