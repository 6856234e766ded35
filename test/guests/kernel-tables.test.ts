import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RangeDocument } from "../../src/introspection/scan/scan-document.ts";
import type { VirtualMachine } from "../../src/node/virtual-machine.ts";
import { loadModule, outputOf, startKernel } from "../support/debian-guest.ts";

/** A scan of the kernel's half against what the kernel itself finds in its tables, range by range. */

const FULL = process.env["ELVISOR_FULL"] === "1";
const LIMIT = 600_000;

/** Bytes that an entry of each level maps, with 4 KiB pages. */
const LEAF: Readonly<Record<string, number>> = { PUD: 2 ** 30, PMD: 2 ** 21, PTE: 4096 };
/** MAIR_EL1's memory types as this kernel names them; without MTE, tagged memory is as any other. */
const MEMORY: Readonly<Record<string, string>> = {
  "MEM/NORMAL": "0xff",
  "MEM/NORMAL-TAGGED": "0xff",
  "MEM/NORMAL-NC": "0x44",
  "DEVICE/nGnRE": "0x04",
  "DEVICE/nGnRnE": "0x00",
};

/** A range and all that is said about it: bytes of a leaf, rights of the kernel, age, memory type. */
interface Range {
  readonly start: bigint;
  readonly end: bigint;
  readonly what: string;
}

/** Joins neighbours of which the same is said: where they lie physically, the kernel does not say. */
function joined(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const range of ranges) {
    const last = all.at(-1);
    if (last?.end === range.start && last.what === range.what)
      all[all.length - 1] = { ...last, end: range.end };
    else all.push(range);
  }
  return all;
}

/** Lines such as "0xffff000000200000-0xffff000000400000   2M PMD   RW NX SHD AF   BLK UXN   MEM/NORMAL". */
function saidByKernel(text: string): Range[] {
  const ranges = text.split("\n").flatMap((line): Range[] => {
    const [, start, end, level = "", flags] = /^(0x\w+)-(0x\w+) +\w+ (\w+) +(\S.*)$/.exec(line) ?? [];
    if (start === undefined || end === undefined || flags === undefined) return [];
    const words = flags.trim().split(/ +/);
    const rights = `r${words.includes("RW") ? "w" : "-"}${words.includes("x") ? "x" : "-"}`;
    const user = words.includes("USR") ? "user" : "";
    const what = [
      LEAF[level],
      rights,
      user,
      words.includes("AF") ? "" : "old",
      MEMORY[words.at(-1) ?? ""],
    ].join();
    return [{ start: BigInt(start), end: BigInt(end), what }];
  });
  return joined(ranges);
}

function foundByScan(ranges: readonly RangeDocument[]): Range[] {
  return joined(
    ranges.map(({ start, end, leaf, kernel, user, note, attributes }) => ({
      ...{ start: BigInt(start), end: BigInt(end) },
      what: [leaf, kernel, user.startsWith("r") ? "user" : "", note ?? "", attributes].join(),
    })),
  );
}

describe.runIf(FULL)("the kernel's description of its tables", () => {
  let machine: VirtualMachine;
  beforeAll(async () => {
    machine = await startKernel("kernel:6.1-cloud", 2 ** 30);
  }, LIMIT);
  afterAll(() => machine.close());

  test(
    "is what a scan finds",
    async () => {
      const walk = machine.kernelSymbols().find(({ name }) => name === "ptdump_walk")!.address;
      await loadModule(machine, "kernel-tables.c", `walk=0x${walk.toString(16)}`);
      const kernelSays = async () => saidByKernel(await outputOf(machine, "cat /proc/kernel_page_tables"));
      // The kernel may map a stack or give one back in between; what is wrong is wrong each time.
      for (let tries = 1; ; tries++) {
        const before = await kernelSays();
        const [scan] = machine.scan({ space: "current", half: "kernel" }).scans;
        const after = await kernelSays();
        const text = (ranges: readonly Range[]) =>
          ranges.map(({ start, end, what }) => `${start} ${end} ${what}`).join();
        const found = foundByScan(scan!.ranges);
        if (tries < 5 && text(before) !== text(after)) continue;
        expect(found).toEqual(before);
        expect(found.length).toBeGreaterThan(100);
        console.log(`${found.length} ranges, ${scan!.counts.leaves} leaves`);
        return;
      }
    },
    LIMIT,
  );
});
