import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { guestView, Introspection } from "../../src/machine/introspection.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { hashState } from "../../src/machine/state-hash.ts";
import type { FaultPolicy } from "../../src/mmu/guest-reader.ts";
import { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { countedRun } from "../support/counted-run.ts";
import { Random } from "../support/random.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const READS = FULL ? 1_000_000 : 20_000;
/** To the shell, or only until the kernel has its own tables. */
const INSTRUCTIONS = FULL ? 1.5e9 : 1.5e8;
const LIMIT = 600_000;

const IMAGES = FULL ? ["kernel:6.1-cloud", "kernel:6.12-cloud"] : ["kernel:6.1-cloud"];

describe.each(IMAGES)("a guest seen from outside: %s", (image) => {
  let machine: VirtualMachine;
  beforeAll(async () => {
    machine = await VirtualMachine.create({ image });
    await machine.ready();
  }, LIMIT);
  afterAll(async () => {
    await machine.close();
  });

  const output = async (command: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await machine.exec(command);
    expect([exitCode, stderr]).toEqual([0, ""]);
    return stdout;
  };

  test(
    "has the processes that its kernel says",
    async () => {
      await output("for i in $(seq 20); do sleep 100000 & done");
      const script = "cd /proc; for p in [0-9]*; do [ -e $p/status ] && cat $p/status; done";
      const said = (await output(script)).split(/^Name:\t/m).slice(1);
      const { processes, kernel } = machine.inspect();
      const field = (text: string, name: string) =>
        Number(new RegExp(`^${name}:\\t(\\d+)$`, "m").exec(text)?.[1]);
      const expected = said.map((text) => ({
        name: text.split("\n")[0]!,
        pid: field(text, "Pid"),
        parent: field(text, "PPid"),
        threads: field(text, "Threads"),
      }));
      // The command itself has ended, and the kernel may begin or end a worker at any time.
      const found = new Map(processes.map((process) => [process.pid, process]));
      const lasting = expected.filter(
        ({ name, pid }) => found.has(pid) || !/^(kworker|sh|cat|agent)/.test(name),
      );
      for (const { name, ...process } of lasting) {
        const same = found.get(process.pid);
        expect(same).toMatchObject(process);
        // The kernel shows more of its threads' names than the task has.
        expect(name.slice(0, same?.name.length)).toBe(same?.name);
      }
      expect(lasting.length).toBeGreaterThanOrEqual(60);
      expect(processes.filter(({ name }) => name === "sleep").length).toBeGreaterThanOrEqual(20);
      const news = processes.filter(({ pid, name }) => pid !== 0 && !/^kworker/.test(name));
      for (const { pid } of news) expect(expected.some((process) => process.pid === pid)).toBe(true);
      expect(kernel.banner).toBe((await output("cat /proc/version")).trim());
    },
    LIMIT,
  );

  test(
    "has the modules and symbols that its kernel says",
    async () => {
      const lines = (await output("cat /proc/modules")).trim().split("\n");
      const { modules } = machine.inspect();
      expect(modules.map(({ name, base }) => `${name} ${base}`)).toEqual(
        lines.map((line) => {
          const [name, , , , , base] = line.split(" ");
          return `${name} ${base}`;
        }),
      );
      await output("echo 0 > /proc/sys/kernel/kptr_restrict");
      const said = (await output("grep -v '\\[' /proc/kallsyms")).trim().split("\n");
      const found = machine
        .kernelSymbols()
        .map(({ address, type, name }) => `${address.toString(16).padStart(16, "0")} ${type} ${name}`);
      // Symbols of one address have no order.
      expect(found.sort()).toEqual(said.sort());
      expect(found.length).toBeGreaterThan(40_000);
    },
    LIMIT,
  );
});

function stateHash(machine: Machine): string {
  const hash = createHash("sha256");
  hashState(machine, hash);
  return hash.digest("hex");
}

/** An address of every kind: of the kernel, of a program, of nobody, with a tag, wide, at a page's end. */
function someAddress(random: Random, known: readonly bigint[]): bigint {
  const any = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(random.below(2 ** 32));
  switch (random.below(6)) {
    case 0:
      return any;
    case 1:
      return any & 0x0000_ffff_ffff_ffffn;
    case 2:
      return any | 0xffff_0000_0000_0000n;
    case 3:
      return BigInt(random.below(2 ** 31));
    case 4:
      return (known[random.below(known.length)]! & ~0xfffn) + BigInt(0xff0 + random.below(32));
    default:
      return known[random.below(known.length)]! + BigInt(random.below(1 << 24));
  }
}

test(
  "random reads change nothing in the guest, and none throws",
  async () => {
    const random = Random.ofThisRun();
    const { machine } = await countedRun({
      ...{ kernel: "kernel:6.1-cloud", cpus: 1, virtualization: false },
      ...{ instructions: INSTRUCTIONS, roundsInBurst: () => 1000 },
    });
    const before = stateHash(machine);
    const view = guestView(machine);
    const [element] = view.elements;
    if (element === undefined) throw new Error("no element is on");
    const known = [element.pc, element.vectors, element.vectors + 0x80_0000n];
    const policies: readonly FaultPolicy[] = [
      { kind: "error" },
      { kind: "handler", onFault: () => "skip page" },
      { kind: "handler", onFault: () => "retry" },
      { kind: "forward" },
    ];
    const causes = new Map<string, number>();
    for (let count = 0; count < READS; count++) {
      const space = element.space(random.below(2) === 0 ? undefined : BigInt(random.below(2 ** 31)));
      const length = random.below(16) === 0 ? random.below(1 << 14) : random.below(64);
      const policy = policies[random.below(policies.length)]!;
      const { fault } = view.reader.read(space, someAddress(random, known), length, policy);
      const cause = fault?.cause ?? "none";
      causes.set(cause, (causes.get(cause) ?? 0) + 1);
    }
    for (const cause of ["none", "translation"])
      expect(causes.get(cause), cause).toBeGreaterThan(READS / 100);
    if (FULL) new Introspection(machine).inspect();
    expect(stateHash(machine), `seed ${random.seed}`).toBe(before);
  },
  LIMIT,
);
