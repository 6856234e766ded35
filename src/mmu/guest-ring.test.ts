import { describe, expect, it } from "vitest";
import { PAGE, TableBuilder } from "../../test/support/table-builder.ts";
import { halves, RAM_BASE, TranslationMachine } from "../../test/support/translation-machine.ts";
import { GWB_RECORD } from "../memory/guest-write-buffer.ts";
import { GWBCTL } from "./guest-ring.ts";

const RING = RAM_BASE + 0x70_0000;
const SIZE = 3n << GWBCTL.SIZE_SHIFT;

function setUp() {
  const machine = new TranslationMachine({ shadow: {} });
  const tables = new TableBuilder(machine);
  tables.map(0x1000n, RAM_BASE + 0x10_0000, PAGE);
  const root = BigInt(tables.root);
  machine.setRegisters({
    SCTLR_EL1: 0x1005n,
    TCR_EL1: 16n | (16n << 16n) | (2n << 30n) | (5n << 32n),
    TTBR0_EL1: root,
    TTBR1_EL1: root,
    MAIR_EL1: 0xffn,
  });
  // The tables are known from the first walk on.
  machine.mmu.access.load(...halves(0x1000n), 8, 0);
  const { ring } = machine.mmu;
  ring.base = BigInt(RING);
  const leaf = tables.descriptorAddress(0x1000n, 3);
  return { machine, ring, leaf };
}

describe("the guest write buffer's registers", () => {
  it("write records of table writes to the ring, with old and new value", () => {
    const { machine, ring, leaf } = setUp();
    ring.control = GWBCTL.EN | SIZE;
    expect(ring.control).toBe(GWBCTL.EN | SIZE);
    const old = machine.read64(leaf);
    machine.write64(leaf, 0n);
    machine.write64(leaf + 8, 5n);
    expect(ring.produced).toBe(2n);
    const word = (index: number, offset: number) => machine.read64(RING + index * GWB_RECORD.SIZE + offset);
    expect(word(0, GWB_RECORD.ADDRESS)).toBe(BigInt(leaf) | 3n);
    expect([word(0, GWB_RECORD.OLD), word(0, GWB_RECORD.NEW)]).toEqual([old, 0n]);
    expect(word(1, GWB_RECORD.ADDRESS)).toBe(BigInt(leaf + 8) | 3n);
    expect([word(1, GWB_RECORD.OLD), word(1, GWB_RECORD.NEW)]).toEqual([0n, 5n]);
    machine.write64(RAM_BASE + 0x10_0000, 1n);
    expect(ring.produced).toBe(2n);
  });

  it("tell of a ring that is nearly full, and of records that found no room", () => {
    const { machine, ring, leaf } = setUp();
    ring.control = GWBCTL.EN | SIZE;
    for (let index = 0; index < 6; index++) machine.write64(leaf, BigInt(index));
    expect(ring.control).toBe(GWBCTL.EN | GWBCTL.HIGH | SIZE);
    for (let index = 0; index < 3; index++) machine.write64(leaf, BigInt(index));
    expect(ring.produced).toBe(8n);
    expect(ring.control).toBe(GWBCTL.EN | GWBCTL.OVF | GWBCTL.HIGH | SIZE);
    ring.consumed = 8n;
    ring.control = GWBCTL.EN | SIZE;
    expect(ring.control).toBe(GWBCTL.EN | SIZE);
    machine.write64(leaf, 7n);
    expect(ring.produced).toBe(9n);
  });

  it("refuse a ring that is not aligned, or not in RAM, and say so", () => {
    const { machine, ring, leaf } = setUp();
    const bad = [RING + 32, 0x0900_0000, RAM_BASE + machine.ramBytes - 64, RAM_BASE - 64];
    for (const base of [...bad.map(BigInt), (1n << 64n) - 64n, 1n << 48n]) {
      ring.base = base;
      ring.control = GWBCTL.EN | SIZE;
      expect(ring.control).toBe(GWBCTL.ERR | SIZE);
    }
    machine.write64(leaf, 0n);
    expect(ring.produced).toBe(0n);
    ring.base = BigInt(RING);
    ring.control = GWBCTL.EN | SIZE;
    expect(ring.control).toBe(GWBCTL.EN | SIZE);
    ring.base = BigInt(RING + 8);
    expect(ring.control).toBe(GWBCTL.ERR | SIZE);
  });

  it("clamp a consumer index that lies outside of the ring", () => {
    const { machine, ring, leaf } = setUp();
    ring.control = GWBCTL.EN | SIZE;
    machine.write64(leaf, 0n);
    for (const index of [2n, 0xffff_0000n]) {
      ring.consumed = index;
      expect(ring.consumed).toBe(1n);
      expect(ring.control & GWBCTL.OVF).toBe(GWBCTL.OVF);
    }
  });

  it("survive a ring that lies in a table", () => {
    const { machine, ring, leaf } = setUp();
    ring.base = BigInt(leaf & ~0xfff);
    ring.control = GWBCTL.EN | SIZE;
    for (let index = 0; index < 20; index++) {
      machine.write64(leaf + 0x800, BigInt(index));
      ring.consumed = ring.produced;
    }
    expect(ring.produced).toBe(20n);
    machine.shadow!.drain();
    expect(machine.shadow!.difference()).toBeUndefined();
    expect(machine.shadow!.statistics.lostUpdates).toBe(0);
  });
});
