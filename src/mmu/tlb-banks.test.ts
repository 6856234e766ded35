import { describe, expect, it } from "vitest";
import { DATA, NOT_GLOBAL, SCTLR, setUpAccesses, TCR, USER } from "../../test/support/access-setup.ts";
import { BLOCK, PAGE, TableBuilder } from "../../test/support/table-builder.ts";
import { halves, probe, RAM_BASE, type RegisterValues } from "../../test/support/translation-machine.ts";
import { accessFlags } from "../memory/access-flags.ts";
import { SOFT_TLB } from "../memory/pe-layout.ts";

const { READ_TAG } = SOFT_TLB;

describe("banks", () => {
  it("keep privileges, PAN and worlds apart", () => {
    const { machine, tables, load } = setUpAccesses();
    tables.map(0x5000n, DATA, PAGE | USER);
    load(0x5000n, 4);
    load(0x1000n, 4);
    const fast = (address: bigint, unprivileged = false) =>
      probe(machine, { address, tag: READ_TAG, unprivileged }) !== undefined;
    expect([fast(0x5000n), fast(0x1000n)]).toEqual([true, true]);
    machine.enter({ el: 1, pan: true });
    expect([fast(0x5000n), fast(0x1000n), fast(0x5000n, true)]).toEqual([false, false, false]);
    expect(load(0x5000n, 4)).toMatchObject({ kind: "permission" });
    expect(load(0x5000n, 4, accessFlags({ unprivileged: true }))).toBeInstanceOf(Uint8Array);
    expect(load(0x1000n, 4, accessFlags({ unprivileged: true }))).toMatchObject({ kind: "permission" });
    expect([fast(0x5000n), fast(0x5000n, true), fast(0x1000n, true)]).toEqual([false, true, false]);
    machine.enter({ el: 0 });
    expect([fast(0x5000n), fast(0x1000n)]).toEqual([true, false]);
    expect(load(0x1000n, 4)).toMatchObject({ kind: "permission" });
    machine.enter({ el: 1, uao: true });
    expect([fast(0x5000n, true), fast(0x1000n, true)]).toEqual([true, true]);
    machine.enter({ el: 1, nonSecure: false });
    expect([fast(0x5000n), fast(0x1000n)]).toEqual([false, false]);
    machine.enter({ el: 1 });
    expect([fast(0x5000n), fast(0x1000n)]).toEqual([true, true]);
  });

  it("keep what belongs to other address spaces for their return", () => {
    const { machine, tables, load } = setUpAccesses();
    tables.map(0x5000n, DATA, PAGE | USER | NOT_GLOBAL);
    const space = (asid: bigint) =>
      machine.change({ TTBR0_EL1: BigInt(tables.root) | (asid << 48n), TCR_EL1: TCR | (1n << 36n) });
    const fast = () => probe(machine, { address: 0x5000n, tag: READ_TAG, unprivileged: true }) !== undefined;
    const touch = () => load(0x5000n, 4, accessFlags({ unprivileged: true }));
    space(1n);
    touch();
    expect(fast()).toBe(true);
    space(2n);
    expect(fast()).toBe(false);
    touch();
    space(1n);
    expect(fast()).toBe(true);
    machine.mmu.invalidate("ASIDE1", 1n << 48n, false);
    expect(fast()).toBe(false);
    space(2n);
    expect(fast()).toBe(true);
    for (let asid = 3n; asid < 20n; asid++) {
      space(asid);
      expect(fast()).toBe(false);
      touch();
    }
    space(2n);
    expect(fast()).toBe(false);
  });

  it("are the list of live address spaces", () => {
    const { machine, tables, load } = setUpAccesses();
    tables.map(0x5000n, DATA, PAGE | USER | NOT_GLOBAL);
    for (const asid of [1n, 2n, 1n]) {
      machine.change({ TTBR0_EL1: BigInt(tables.root) | (asid << 48n), TCR_EL1: TCR | (1n << 36n) });
      load(0x5000n, 4, accessFlags({ unprivileged: true }));
    }
    const [spaces] = machine.group.contexts();
    expect(spaces!.slice(0, 2).map(({ regime, asid }) => [regime, asid])).toEqual([
      ["EL1&0", 1],
      ["EL1&0", 2],
    ]);
  });

  it("drop privileged entries of an address space that ends", () => {
    const { machine, tables, load } = setUpAccesses();
    tables.map(0x5000n, DATA, PAGE | NOT_GLOBAL);
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeDefined();
    machine.change({ TTBR0_EL1: BigInt(tables.root) | (7n << 48n) });
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeUndefined();
  });

  it("drop everything when the rules change", () => {
    const { machine, load } = setUpAccesses();
    const changes: RegisterValues[] = [
      { SCTLR_EL1: SCTLR | (1n << 19n) },
      { TCR_EL1: TCR | (1n << 37n) },
      { MAIR_EL1: 0x0044n },
      { HCR_EL2: 1n << 27n },
    ];
    for (const change of changes) {
      load(0x1000n, 4);
      expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeDefined();
      machine.change(change);
      expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeUndefined();
    }
  });

  it("let registers without a say in translation alone", () => {
    const { machine, load } = setUpAccesses();
    load(0x1000n, 4);
    machine.change({ SCTLR_EL1: SCTLR | (1n << 26n), TCR_EL2: 5n, TTBR0_EL3: 4096n });
    expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeDefined();
  });

  it("drop EL1&0 when stage 2 changes", () => {
    const { machine, tables, load } = setUpAccesses();
    const second = new TableBuilder(machine, { startLevel: 1, area: RAM_BASE + 0x40_0000 });
    for (let offset = 0; offset < 8 << 20; offset += 2 << 20) {
      second.map(BigInt(RAM_BASE + offset), RAM_BASE + offset, 0x7fdn & ~2n, 2);
    }
    const fast = () => probe(machine, { address: 0x1000n, tag: READ_TAG }) !== undefined;
    load(0x1000n, 4);
    machine.change({ HCR_EL2: 1n, VTCR_EL2: 24n | (1n << 6n) | (5n << 16n), VTTBR_EL2: BigInt(second.root) });
    expect(fast()).toBe(false);
    expect(load(0x1000n, 4)).toBeInstanceOf(Uint8Array);
    expect(fast()).toBe(true);
    machine.change({ VTTBR_EL2: BigInt(second.root) | (5n << 48n) });
    expect(fast()).toBe(false);
    load(0x1000n, 4);
    machine.mmu.invalidate("IPAS2E1", 0n, false);
    expect(fast()).toBe(false);
    expect(tables.root).toBeGreaterThan(0);
  });
});

describe("TLBI", () => {
  const setUpTwo = () => {
    const parts = setUpAccesses();
    parts.tables.map(0x20_0000n * 8n, RAM_BASE, BLOCK, 2);
    const touch = (va: bigint) => {
      for (const { mmu } of parts.machine.elements) mmu.access.load(...halves(va), 4, 0);
    };
    const fast = (address: bigint) =>
      [0, 1].map((element) => probe(parts.machine, { address, tag: READ_TAG, element }) !== undefined);
    return { ...parts, touch, fast };
  };

  it("by address drops the page on one element, with IS on all", () => {
    const { machine, touch, fast } = setUpTwo();
    touch(0x1000n);
    touch(0x2000n);
    machine.mmu.invalidate("VAE1", 1n, false);
    expect([fast(0x1000n), fast(0x2000n)]).toEqual([
      [false, true],
      [true, true],
    ]);
    machine.mmu.invalidate("VALE1", 2n, true);
    expect(fast(0x2000n)).toEqual([false, false]);
  });

  it("by address drops every page of a block, whichever is named", () => {
    const { machine, touch, fast } = setUpTwo();
    const block = 0x100_0000n;
    touch(block + 0x1000n);
    touch(block + 0x5000n);
    touch(0x2000n);
    machine.mmu.invalidate("VAAE1", (block + 0x10_0000n) >> 12n, true);
    expect([fast(block + 0x1000n), fast(block + 0x5000n), fast(0x2000n)]).toEqual([
      [false, false],
      [false, false],
      [true, true],
    ]);
  });

  it("by address ignores the tag of the entry", () => {
    const { machine, touch, fast } = setUpTwo();
    machine.change({ TCR_EL1: TCR | (1n << 37n) });
    machine.change({ TCR_EL1: TCR | (1n << 37n) }, 1);
    touch(0xab00_0000_0000_1000n);
    expect(fast(0xab00_0000_0000_1000n)).toEqual([true, true]);
    machine.mmu.invalidate("VAE1", 1n, true);
    expect(fast(0xab00_0000_0000_1000n)).toEqual([false, false]);
  });

  it.each(["VMALLE1", "ALLE1", "VMALLS12E1", "IPAS2LE1"] as const)("%s drops all of EL1&0", (operation) => {
    const { machine, touch, fast } = setUpTwo();
    touch(0x1000n);
    machine.mmu.invalidate(operation, 0n, true);
    expect(fast(0x1000n)).toEqual([false, false]);
  });

  it.each(["VAE2", "VALE2", "ALLE2", "VAE3", "VALE3", "ALLE3"] as const)(
    "%s leaves EL1&0 alone",
    (operation) => {
      const { machine, touch, fast } = setUpTwo();
      touch(0x1000n);
      machine.mmu.invalidate(operation, 1n, true);
      expect(fast(0x1000n)).toEqual([true, true]);
    },
  );

  it("reaches EL2, EL2&0 and EL3", () => {
    const { machine, tables } = setUpAccesses();
    const root = BigInt(tables.root);
    const one = 16n | (5n << 16n);
    const registers = (e2h: boolean): RegisterValues => ({
      SCTLR_EL2: SCTLR,
      SCTLR_EL3: SCTLR,
      TCR_EL2: e2h ? TCR : one,
      TCR_EL3: one,
      TTBR0_EL2: root,
      TTBR1_EL2: root,
      TTBR0_EL3: root,
      MAIR_EL2: 0xffn,
      MAIR_EL3: 0xffn,
      HCR_EL2: e2h ? (1n << 34n) | (1n << 27n) : 0n,
    });
    const fast = () => probe(machine, { address: 0x1000n, tag: READ_TAG }) !== undefined;
    const cases = [
      { el: 2, e2h: false, operations: ["VAE2", "VALE2", "ALLE2"] },
      {
        el: 2,
        e2h: true,
        operations: ["VAE2", "VALE2", "ALLE2", "VMALLE1", "VAE1", "VALE1", "VAAE1", "VAALE1"],
      },
      { el: 3, e2h: false, operations: ["VAE3", "VALE3", "ALLE3"] },
    ] as const;
    for (const { el, e2h, operations } of cases) {
      for (const operation of operations) {
        machine.enter({ el });
        machine.setRegisters({ ...registers(e2h), SCR_EL3: 1n });
        machine.mmu.access.load(0x1000, 0, 4, 0);
        expect(fast(), `${operation} at EL${el}`).toBe(true);
        machine.mmu.invalidate(operation, 1n, false);
        expect(fast(), `${operation} at EL${el}`).toBe(false);
      }
    }
  });

  it.each([
    ...["VMALLE1", "VAE1", "ASIDE1", "VAAE1", "VALE1", "VAALE1"],
    ...["IPAS2E1", "IPAS2LE1", "VMALLS12E1", "ALLE1"],
  ] as const)("%s drops an entry of its ASID here, with IS everywhere", (operation) => {
    const { machine, tables } = setUpAccesses();
    const [address, asid] = [0x5000n, 3n];
    tables.map(address, DATA, PAGE | USER | NOT_GLOBAL);
    const TTBR0_EL1 = BigInt(tables.root) | (asid << 48n);
    const unprivileged = accessFlags({ unprivileged: true });
    for (const [element, { mmu }] of machine.elements.entries()) {
      machine.change({ TTBR0_EL1, TCR_EL1: TCR | (1n << 36n) }, element);
      mmu.access.load(...halves(address), 4, unprivileged);
    }
    const fast = () =>
      [0, 1].map(
        (element) => probe(machine, { address, tag: READ_TAG, unprivileged: true, element }) !== undefined,
      );
    const operand = (of: bigint) => (address >> 12n) | (of << 48n);
    expect(fast()).toEqual([true, true]);
    if (/^(VAE1|VALE1|ASIDE1)$/.test(operation)) {
      machine.mmu.invalidate(operation, operand(asid + 1n), true);
      expect(fast()).toEqual([true, true]);
    }
    machine.mmu.invalidate(operation, operand(asid), false);
    expect(fast()).toEqual([false, true]);
    machine.mmu.invalidate(operation, operand(asid), true);
    expect(fast()).toEqual([false, false]);
  });

  it("is broadcast at EL1 under HCR_EL2.FB", () => {
    const { machine, touch, fast } = setUpTwo();
    machine.change({ HCR_EL2: 1n << 9n });
    touch(0x1000n);
    machine.mmu.invalidate("VMALLE1", 0n, false);
    expect(fast(0x1000n)).toEqual([false, false]);
  });
});
