import { describe, expect, test } from "vitest";
import { ManualClock } from "../../../test/support/element-machine.ts";
import { Random } from "../../../test/support/random.ts";
import { BLOCK, PAGE, TableBuilder } from "../../../test/support/table-builder.ts";
import {
  RAM_BASE,
  type RegisterValues,
  TranslationMachine,
} from "../../../test/support/translation-machine.ts";
import { difference, rangeDocument } from "./scan-document.ts";
import { isWritableAndExecutable, rightsText, type ScanRange } from "./scan-range.ts";
import { Scanner, type ScanResult } from "./scanner.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const DATA = RAM_BASE + 0x10_0000;
const USER = 1n << 6n;
const READ_ONLY = 1n << 7n;
const PXN = 1n << 53n;
const UXN = 1n << 54n;
const GRANULES = [
  { shift: 12, tg0: 0n, tg1: 2n, startLevel: 0 },
  { shift: 14, tg0: 2n, tg1: 1n, startLevel: 0 },
  { shift: 16, tg0: 1n, tg1: 3n, startLevel: 1 },
] as const;
type Granule = (typeof GRANULES)[number];

class ScanMachine {
  readonly machine = new TranslationMachine();
  readonly scanner: Scanner;
  readonly tables: TableBuilder;

  constructor(granule: Granule = GRANULES[0]) {
    const { map, store, mmu } = this.machine;
    this.scanner = new Scanner({ map, store, clock: new ManualClock() }, mmu.reader);
    this.tables = new TableBuilder(this.machine, {
      granuleShift: granule.shift,
      startLevel: granule.startLevel,
    });
    const root = BigInt(this.tables.root);
    this.setRegisters({
      SCTLR_EL1: 0x1005n,
      TCR_EL1: 16n | (granule.tg0 << 14n) | (16n << 16n) | (granule.tg1 << 30n) | (5n << 32n),
      TTBR0_EL1: root,
      TTBR1_EL1: root,
      MAIR_EL1: 0x44ffn,
    });
  }

  setRegisters(values: RegisterValues): void {
    this.machine.setRegisters(values);
  }

  /** Both ways, which must agree. */
  scan(half: "user" | "kernel" = "user"): ScanResult {
    const { registers, mmu } = this.machine;
    const names = [
      "SCTLR_EL1",
      "TCR_EL1",
      "TTBR0_EL1",
      "TTBR1_EL1",
      "MAIR_EL1",
      "VTCR_EL2",
      "VTTBR_EL2",
    ] as const;
    const values = new Map(names.map((name) => [name, registers[name] ?? 0n] as const));
    const target = {
      ...{ space: mmu.systemSpace(), half },
      registers: new Map([...values, ["HCR_EL2", (1n << 31n) | ((registers.HCR_EL2 ?? 0n) & 1n)] as const]),
    };
    const quick = this.scanner.scan(target);
    const plain = this.scanner.scan(target, false);
    expect(quick.ranges).toEqual(plain.ranges);
    expect(quick.complete).toBe(plain.complete);
    return quick;
  }
}

function pagesOf(ranges: readonly ScanRange[]): Map<bigint, number | undefined> {
  const pages = new Map<bigint, number | undefined>();
  for (const { start, end, leaf, physical } of ranges) {
    for (let at = start; at < end; at += BigInt(leaf)) {
      pages.set(at, physical === undefined ? undefined : physical + Number(at - start));
    }
  }
  return pages;
}

describe("a scan", () => {
  test("joins neighbours and tells rights, types and notes", () => {
    const { tables, scan } = bound(new ScanMachine());
    tables.map(0x1000n, DATA, PAGE | PXN | UXN);
    tables.map(0x2000n, DATA + 0x1000, PAGE | PXN | UXN);
    tables.map(0x3000n, DATA + 0x1000, PAGE | PXN | UXN);
    tables.map(0x4000n, DATA, PAGE | READ_ONLY | UXN | (1n << 2n));
    tables.map(0x5000n, DATA, (PAGE | USER | READ_ONLY | PXN) & ~0x400n);
    tables.map(0x4000_0000n, RAM_BASE, BLOCK | USER, 1);
    tables.map(0xffff_ffff_f000n, DATA, PAGE);
    const { ranges } = scan();
    expect(
      ranges.map(({ start, end, physical, kernel, user, attributes, note }) => [
        ...[start, end, physical, rightsText(kernel), rightsText(user), attributes, note],
      ]),
    ).toEqual([
      [0x1000n, 0x3000n, DATA, "rw-", "---", 0xff, undefined],
      [0x3000n, 0x4000n, DATA + 0x1000, "rw-", "---", 0xff, undefined],
      [0x4000n, 0x5000n, DATA, "r-x", "---", 0x44, undefined],
      [0x5000n, 0x6000n, DATA, "r--", "r-x", 0xff, "old"],
      [0x4000_0000n, 0x8000_0000n, RAM_BASE, "rw-", "rwx", 0xff, undefined],
      [0xffff_ffff_f000n, 0x1_0000_0000_0000n, DATA, "rwx", "--x", 0xff, undefined],
    ]);
    expect(ranges.filter(isWritableAndExecutable).map(({ start }) => start)).toEqual([
      0x4000_0000n,
      0xffff_ffff_f000n,
    ]);
    expect(scan("kernel").ranges.at(-1)).toMatchObject({ end: 1n << 64n });
  });

  test.each(GRANULES)("finds all of what is mapped, and nothing else: pages of 2^$shift bytes", (granule) => {
    const random = Random.ofThisRun();
    for (let round = 0; round < (FULL ? 200 : 8); round++) {
      const { tables, scan } = bound(new ScanMachine(granule));
      const page = 2 ** granule.shift;
      const expected = new Map<bigint, number>();
      for (let count = 0; count < 100; count++) {
        const region = BigInt(random.below(3)) << 46n;
        const address = region + BigInt(random.below(count % 2 === 0 ? 64 : 4096) * page);
        const target = RAM_BASE + random.below((8 << 20) / page) * page;
        if (granule.shift !== 12 && expected.size > 40) break;
        tables.map(address, target, PAGE);
        expected.set(address, target);
      }
      const { ranges, counts } = scan();
      expect(pagesOf(ranges), `seed ${random.seed}`).toEqual(
        new Map([...expected].sort(([one], [other]) => (one < other ? -1 : 1))),
      );
      expect(counts.leaves).toBe(expected.size);
      expect(counts.translations).toBeLessThanOrEqual(counts.leaves + 2 * counts.tables + 512);
    }
  });

  test("tells what stage 2 does not have", () => {
    const both = new ScanMachine();
    const { tables, scan } = bound(both);
    const second = new TableBuilder(both.machine, { startLevel: 1, area: RAM_BASE + 0x60_0000 });
    for (let at = 0; at < 0x40_0000; at += 0x1000) {
      if (at !== 0x10_1000) second.map(BigInt(RAM_BASE + at), RAM_BASE + at, 0x7ffn);
    }
    tables.map(0x1000n, DATA, PAGE);
    tables.map(0x2000n, DATA + 0x1000, PAGE);
    tables.map(0x3000n, DATA + 0x2000, PAGE);
    // A table of level 3 that stage 2 does not have.
    both.machine.write64(tables.descriptorAddress(0x4000_0000n, 2), BigInt(RAM_BASE + 0x10_1000) | 3n);
    both.machine.change({
      HCR_EL2: 1n,
      VTCR_EL2: 24n | (1n << 6n) | (5n << 16n),
      VTTBR_EL2: BigInt(second.root),
    });
    const notes = scan().ranges.map(({ start, leaf, note }) => [start, leaf, note]);
    expect(notes).toEqual([
      [0x1000n, 4096, undefined],
      [0x2000n, 4096, "absent in stage 2"],
      [0x3000n, 4096, undefined],
      [0x4000_0000n, 4096, "table absent"],
    ]);
  });

  test("tells of tables outside memory, and goes on", () => {
    const { tables, scan, machine } = bound(new ScanMachine());
    tables.map(0x1000n, DATA, PAGE);
    tables.map(0x8000_0000n, DATA, PAGE);
    machine.write64(tables.descriptorAddress(0x4000_0000n, 1), 0x7_0000_0003n);
    const ranges = scan().ranges.map(({ start, note }) => [start, note]);
    expect(ranges[0]).toEqual([0x1000n, undefined]);
    expect(ranges.at(-1)).toEqual([0x8000_0000n, undefined]);
    expect(ranges[1]).toEqual([0x4000_0000n, "table absent"]);
  });

  test("ends where tables lead to themselves, and where they are noise", () => {
    const random = Random.ofThisRun();
    const { tables, scan, machine } = bound(new ScanMachine());
    for (let round = 0; round < (FULL ? 100 : 4); round++) {
      for (let entry = 0; entry < 512; entry++) {
        const low = random.below(2 ** 32) & (random.below(4) === 0 ? -1 : ~1);
        const noise = (BigInt(random.below(2 ** 32)) << 32n) | BigInt(low >>> 0);
        machine.write64(tables.root + entry * 8, random.below(64) === 0 ? noise : 0n);
      }
      // Twice itself: two to the power of four ways through it.
      for (const entry of [3, 500]) machine.write64(tables.root + entry * 8, BigInt(tables.root) | 0x703n);
      const { ranges } = scan();
      for (let index = 1; index < ranges.length; index++) {
        expect(ranges[index]!.start, `seed ${random.seed}`).toBeGreaterThanOrEqual(ranges[index - 1]!.end);
      }
    }
  }, 60_000);

  test("finds nothing in halves that are off, and in tables of absurd sizes", () => {
    const { scan, machine } = bound(new ScanMachine());
    for (const tcr of [1n << 7n, 63n, 0n, 50n]) {
      machine.change({ TCR_EL1: tcr | (5n << 32n) });
      expect(scan()).toMatchObject({ ranges: [], complete: true });
    }
    machine.change({ SCTLR_EL1: 0n });
    expect(scan().ranges).toEqual([]);
  });
});

test("a difference names what came, went and changed", () => {
  const { tables, scan } = bound(new ScanMachine());
  for (const page of [1, 2, 3, 4]) tables.map(BigInt(page * 0x1000), DATA + page * 0x1000, PAGE);
  const before = scan().ranges.map(rangeDocument);
  expect(difference(before, before)).toEqual([]);
  tables.map(0x1000n, 0, 0n);
  tables.map(0x3000n, DATA + 0x3000, PAGE | READ_ONLY);
  tables.map(0x9000n, DATA, PAGE);
  const changes = difference(before, scan().ranges.map(rangeDocument));
  expect(changes.map(({ kind, start, end }) => [kind, start, end])).toEqual([
    ["removed", "0x1000", "0x2000"],
    ["changed", "0x3000", "0x4000"],
    ["added", "0x9000", "0xa000"],
  ]);
});

function bound(scanMachine: ScanMachine) {
  return {
    machine: scanMachine.machine,
    tables: scanMachine.tables,
    scan: (half?: "user" | "kernel") => scanMachine.scan(half),
  };
}
