import { describe, expect, it } from "vitest";
import { BLOCK, PAGE, TABLE, TableBuilder } from "../../test/support/table-builder.ts";
import {
  halves,
  RAM_BASE,
  type RegisterValues,
  SECURE_RAM_BASE,
  TranslationMachine,
} from "../../test/support/translation-machine.ts";
import { FAULT_STATUS, type MemoryFault, NO_FAULT } from "./memory-fault.ts";
import type { RegimeName } from "./regime.ts";
import { REQUEST } from "./walk-request.ts";
import type { Translation } from "./walker.ts";

const DATA = RAM_BASE + 0x10_0000;
const AF = 1n << 10n;
const READ_ONLY = 1n << 7n;
const USER = 1n << 6n;
const DBM = 1n << 51n;
const PXN = 1n << 53n;
const XN = 1n << 54n;
/** 48-bit halves of 4 KiB pages, 48-bit output. */
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);
const HA = 1n << 39n;
const HD = 1n << 40n;
/** 40-bit input, 4 KiB, starting at level 1 (two concatenated tables), 48-bit output. */
const VTCR = 24n | (1n << 6n) | (5n << 16n);
const MAIR = 0x0000_0000_0000_04ffn;
const ON: RegisterValues = { SCTLR_EL1: 0x1005n, TCR_EL1: TCR, MAIR_EL1: MAIR };

const READ = 0;
const { WRITE, EXECUTE, PRIVILEGED, PAN, UNALIGNED } = REQUEST;

function setUp(granuleShift: 12 | 14 | 16 = 12) {
  const machine = new TranslationMachine();
  const tables = new TableBuilder(machine, { granuleShift });
  const set = (more: RegisterValues) =>
    machine.setRegisters({ ...ON, TTBR0_EL1: BigInt(tables.root), TTBR1_EL1: BigInt(tables.root), ...more });
  set({});
  const walk = (va: bigint, request: number, regime: RegimeName = "EL1&0"): Translation | MemoryFault => {
    const { context, access } = machine.mmu;
    const [low, high] = halves(va);
    const status = access.walker.translate(
      context.stage1(regime),
      context.stage2(regime),
      low,
      high,
      request,
    );
    return status === NO_FAULT
      ? access.walker.describe()
      : access.walker.describeFault(status, low, high, request);
  };
  return { machine, tables, set, walk };
}

const stage1Fault = (kind: string, level: number) => ({ kind, level, stage: 1, onStage1Walk: false });

describe("stage 1", () => {
  it.each([0, 1, 2, 3])("reports a translation fault at level %i", (level) => {
    const { machine, tables, walk } = setUp();
    machine.write64(tables.descriptorAddress(0x1234_5678_9000n, level), 0n);
    const fault = walk(0x1234_5678_9abcn, READ | PRIVILEGED);
    expect(fault).toMatchObject({ ...stage1Fault("translation", level), status: 4 + level, access: "read" });
    expect(fault).toMatchObject({ virtualAddress: 0x1234_5678_9abcn });
  });

  it.each([1, 2])("maps a block at level %i", (level) => {
    const { tables, walk } = setUp();
    tables.map(0x1234_4000_0000n, 0x4000_0000, BLOCK, level);
    const offset = level === 1 ? 0x3bc_def0n : 0x1b_cdefn;
    const address = 0x4000_0000 + Number(offset);
    expect(walk(0x1234_4000_0000n + offset, PRIVILEGED)).toMatchObject({
      address,
      shift: level === 1 ? 30 : 21,
    });
  });

  it("refuses a block at level 0 and a reserved descriptor at level 3", () => {
    const { tables, walk } = setUp();
    tables.map(0n, RAM_BASE, BLOCK, 0);
    expect(walk(0n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    tables.map(1n << 39n, RAM_BASE, BLOCK, 3);
    expect(walk(1n << 39n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 3));
  });

  it.each([1, 2, 3])("reports access flag and permission faults at level %i", (level) => {
    const { tables, walk } = setUp();
    const type = level === 3 ? 3n : 1n;
    tables.map(0n, RAM_BASE, type, level);
    expect(walk(0n, PRIVILEGED)).toMatchObject({ ...stage1Fault("accessFlag", level), status: 8 + level });
    tables.map(0n, RAM_BASE, type | AF | READ_ONLY, level);
    expect(walk(0n, PRIVILEGED)).toMatchObject({ type: "translation" });
    expect(walk(0n, PRIVILEGED | WRITE)).toMatchObject({
      ...stage1Fault("permission", level),
      access: "write",
    });
    expect(walk(0n, READ)).toMatchObject({ ...stage1Fault("permission", level), status: 12 + level });
  });

  it("reports address size faults of the base, of tables and of leaves", () => {
    const { machine, tables, set, walk } = setUp();
    const slot = tables.map(0n, RAM_BASE, PAGE);
    const small = TCR & ~(7n << 32n);
    set({ TCR_EL1: small });
    expect(walk(0n, PRIVILEGED)).toMatchObject({ type: "translation" });
    machine.write64(slot, (1n << 32n) | PAGE);
    expect(walk(0n, PRIVILEGED)).toMatchObject({ ...stage1Fault("addressSize", 3), status: 3 });
    machine.write64(tables.descriptorAddress(0n, 1), (1n << 32n) | TABLE);
    expect(walk(0n, PRIVILEGED)).toMatchObject(stage1Fault("addressSize", 1));
    set({ TCR_EL1: small, TTBR0_EL1: 1n << 32n });
    expect(walk(0n, PRIVILEGED)).toMatchObject(stage1Fault("addressSize", 0));
  });

  it.each([0, 1, 2, 3])("reports an external abort on the walk at level %i", (level) => {
    const { machine, tables, set, walk } = setUp();
    if (level === 0) set({ TTBR0_EL1: 0x2000_0000n });
    else machine.write64(tables.descriptorAddress(0n, level - 1), 0x2000_0000n | TABLE);
    expect(walk(0n, PRIVILEGED)).toMatchObject({
      ...stage1Fault("externalAbortOnWalk", level),
      status: FAULT_STATUS.EXTERNAL_ABORT_ON_WALK + level,
    });
  });

  it("checks the input size, EPDn, E0PDn and the tag", () => {
    const { tables, set, walk } = setUp();
    tables.map(0n, DATA, PAGE | USER);
    const top = 0xffff_0000_0000_0000n;
    expect(walk(0x0001_0000_0000_0000n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    expect(walk(top, PRIVILEGED)).toMatchObject({ address: DATA });
    expect(walk(0x5500_0000_0000_0000n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    set({ TCR_EL1: TCR | (1n << 37n) });
    expect(walk(0x5500_0000_0000_0000n, PRIVILEGED)).toMatchObject({ address: DATA });
    expect(walk(0x55ff_0000_0000_0000n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    set({ TCR_EL1: TCR | (1n << 38n) });
    expect(walk(0x55ff_0000_0000_0000n, PRIVILEGED)).toMatchObject({ address: DATA });
    set({ TCR_EL1: TCR | (1n << 7n) });
    expect(walk(0n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    expect(walk(top, PRIVILEGED)).toMatchObject({ address: DATA });
    set({ TCR_EL1: TCR | (1n << 23n) });
    expect(walk(top, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
    set({ TCR_EL1: TCR | (1n << 56n) });
    expect(walk(top, PRIVILEGED)).toMatchObject({ address: DATA });
    expect(walk(top, READ)).toMatchObject(stage1Fault("translation", 0));
    expect(walk(0n, READ)).toMatchObject({ address: DATA });
    set({ TCR_EL1: (TCR & ~63n) | 40n });
    expect(walk(0n, PRIVILEGED)).toMatchObject(stage1Fault("translation", 0));
  });

  it.each([
    { bits: PAGE, el1: "rwx", el0: "--x" },
    { bits: PAGE | READ_ONLY, el1: "r-x", el0: "--x" },
    { bits: PAGE | USER, el1: "rw-", el0: "rwx" },
    { bits: PAGE | USER | READ_ONLY, el1: "r-x", el0: "r-x" },
    { bits: PAGE | PXN, el1: "rw-", el0: "--x" },
    { bits: PAGE | XN, el1: "rwx", el0: "---" },
    { bits: PAGE | USER | PXN | XN, el1: "rw-", el0: "rw-" },
    { bits: PAGE | USER | READ_ONLY, el1: "--x", el0: "r-x", request: PAN },
    { bits: PAGE | READ_ONLY, el1: "r-x", el0: "--x", request: PAN },
    { bits: PAGE, el1: "rw-", el0: "--x", wxn: true },
    { bits: PAGE | USER, el1: "rw-", el0: "rw-", wxn: true },
    { bits: PAGE | USER | READ_ONLY, el1: "r-x", el0: "r-x", wxn: true },
    { bits: PAGE | USER, el1: "r-x", el0: "r-x", table: 1n << 62n },
    { bits: PAGE | USER, el1: "rwx", el0: "--x", table: 1n << 61n },
    { bits: PAGE | USER | READ_ONLY, el1: "r-x", el0: "r--", table: 1n << 60n },
    { bits: PAGE | USER | READ_ONLY, el1: "r--", el0: "r-x", table: 1n << 59n },
  ])("gives EL1 $el1 and EL0 $el0 for $bits (case %#)", ({ bits, el1, el0, request, wxn, table }) => {
    const { machine, tables, set, walk } = setUp();
    tables.map(0n, DATA, bits);
    if (table !== undefined) {
      const slot = tables.descriptorAddress(0n, 1);
      machine.write64(slot, machine.read64(slot) | table);
    }
    set(wxn === true ? { SCTLR_EL1: 0x1005n | (1n << 19n) } : {});
    const rights = (privilege: number) =>
      [READ, WRITE, EXECUTE]
        .map((kind, index) => (walk(0n, kind | privilege).type === "translation" ? "rwx"[index] : "-"))
        .join("");
    expect([rights(PRIVILEGED | (request ?? 0)), rights(READ)]).toEqual([el1, el0]);
  });

  it("faults on unaligned accesses to Device memory before looking at permissions", () => {
    const { tables, walk } = setUp();
    tables.map(0n, DATA, PAGE | (1n << 2n));
    expect(walk(2n, UNALIGNED)).toMatchObject({ kind: "alignment", status: 0x21, stage: 1 });
    expect(walk(0n, READ)).toMatchObject(stage1Fault("permission", 3));
    expect(walk(0n, PRIVILEGED)).toMatchObject({ attributes: 0x04, shareability: 2 });
  });

  it("manages access flag and dirty state where TCR says so", () => {
    const { machine, tables, set, walk } = setUp();
    const slot = tables.map(0n, DATA, (PAGE & ~AF) | DBM | READ_ONLY);
    const flags = () => machine.read64(slot) & (AF | READ_ONLY);
    set({ TCR_EL1: TCR | HA });
    expect(walk(0n, READ | PRIVILEGED)).toMatchObject({ address: DATA });
    expect(flags()).toBe(AF | READ_ONLY);
    expect(walk(0n, WRITE | PRIVILEGED)).toMatchObject(stage1Fault("permission", 3));
    set({ TCR_EL1: TCR | HD });
    expect(walk(0n, WRITE | PRIVILEGED)).toMatchObject(stage1Fault("permission", 3));
    set({ TCR_EL1: TCR | HA | HD });
    expect(walk(0n, READ | PRIVILEGED).type).toBe("translation");
    expect(flags()).toBe(AF | READ_ONLY);
    expect(walk(0n, WRITE | PRIVILEGED | REQUEST.ADDRESS_TRANSLATION).type).toBe("translation");
    expect(flags()).toBe(AF | READ_ONLY);
    expect(walk(0n, WRITE | PRIVILEGED).type).toBe("translation");
    expect(flags()).toBe(AF);
  });

  it("tells of its flag updates as of any write, and refuses them in ROM", () => {
    const { machine, tables, set, walk } = setUp();
    const slot = tables.map(0n, DATA, PAGE & ~AF);
    set({ TCR_EL1: TCR | HA });
    let told = 0;
    machine.store.hooks.onTableWrite = () => told++;
    machine.store.trace.add(machine.host(slot) >>> 12, "TR_PT");
    expect(walk(0n, PRIVILEGED).type).toBe("translation");
    expect(told).toBe(1);
    const rom = machine.map.mapRom(0x1000_0000, 0x1000);
    machine.ram.writeRom(rom, 0, new Uint8Array(new BigUint64Array([BigInt(DATA) | (PAGE & ~AF)]).buffer));
    machine.write64(tables.descriptorAddress(0n, 2), 0x1000_0000n | TABLE);
    expect(walk(0n, PRIVILEGED)).toMatchObject({ kind: "unsupportedAtomicUpdate", status: 0x31 });
  });

  it.each([
    { granuleShift: 14 as const, tg0: 2n, levels: [0, 1, 2, 3], block: 2, shift: 25 },
    { granuleShift: 16 as const, tg0: 1n, levels: [1, 2, 3], block: 2, shift: 29 },
  ])("walks granules of 2^$granuleShift bytes", ({ granuleShift, tg0, levels, block, shift }) => {
    const { machine, tables, set, walk } = setUp(granuleShift);
    set({ TCR_EL1: TCR | (tg0 << 14n) });
    const va = 0x8765_4321_0000n;
    const page = tables.map(va, DATA, PAGE);
    const inPage = 2 ** granuleShift - 4;
    expect(walk(va + BigInt(inPage), PRIVILEGED)).toMatchObject({
      address: DATA + inPage,
      shift: granuleShift,
    });
    tables.map(1n << 45n, 0x4000_0000, BLOCK, block);
    expect(walk((1n << 45n) + 0x12_3456n, PRIVILEGED)).toMatchObject({ address: 0x4012_3456, shift });
    machine.write64(page, 0n);
    expect(walk(va, PRIVILEGED)).toMatchObject(stage1Fault("translation", 3));
    for (const level of [...levels].reverse()) {
      machine.write64(tables.descriptorAddress(va, level), 0n);
      expect(walk(va, PRIVILEGED)).toMatchObject(stage1Fault("translation", level));
    }
    tables.map(1n << 46n, 0, BLOCK, block - 1);
    expect(walk(1n << 46n, PRIVILEGED)).toMatchObject(stage1Fault("translation", block - 1));
  });

  it("translates each page of a contiguous run by its own descriptor", () => {
    const { tables, walk } = setUp();
    for (let index = 0; index < 16; index++) {
      tables.map(BigInt(index * 4096), DATA + index * 4096, PAGE | (1n << 52n));
    }
    expect(walk(0xf123n, PRIVILEGED)).toMatchObject({ address: DATA + 0xf123, shift: 12 });
  });

  it("reads big-endian tables under SCTLR.EE", () => {
    const { machine, tables, set, walk } = setUp();
    tables.map(0n, DATA, PAGE & ~AF);
    for (const level of [0, 1, 2, 3]) {
      const host = machine.host(tables.descriptorAddress(0n, 0)) + level * 4096;
      machine.memory.bytes.subarray(host, host + 8).reverse();
    }
    set({ SCTLR_EL1: 0x1005n | (1n << 25n), TCR_EL1: TCR | HA });
    expect(walk(8n, PRIVILEGED)).toMatchObject({ address: DATA + 8 });
    const leaf = machine.host(tables.root) + 3 * 4096;
    expect(machine.memory.view.getBigUint64(leaf, false)).toBe(BigInt(DATA) | PAGE);
  });

  it("with the MMU off passes addresses through, up to the physical size", () => {
    const { set, walk } = setUp();
    set({ SCTLR_EL1: 0n });
    expect(walk(0x4010_0004n, PRIVILEGED)).toMatchObject({
      address: 0x4010_0004,
      attributes: 0,
      shareability: 2,
    });
    expect(walk(0x4010_0004n, EXECUTE)).toMatchObject({ attributes: 0x44 });
    expect(walk(1n << 48n, PRIVILEGED)).toMatchObject({ ...stage1Fault("addressSize", 0), status: 0 });
    expect(walk(0x4010_0002n, UNALIGNED)).toMatchObject({ kind: "alignment" });
    set({ SCTLR_EL1: 0n, TCR_EL1: 1n << 37n });
    expect(walk(0xaa00_0000_4000_0000n, PRIVILEGED)).toMatchObject({ address: 0x4000_0000 });
    set({ SCTLR_EL1: 1n << 12n, HCR_EL2: 0n });
    expect(walk(0x4010_0004n, EXECUTE)).toMatchObject({ attributes: 0xaa });
  });
});

describe("Secure regimes", () => {
  it("reach Secure memory unless NS or NSTable says otherwise", () => {
    const { machine, tables, set, walk } = setUp();
    tables.map(0n, SECURE_RAM_BASE, PAGE);
    tables.map(0x1000n, RAM_BASE, PAGE | (1n << 5n));
    expect(walk(0n, PRIVILEGED, "Secure EL1&0")).toMatchObject({ secure: true });
    expect(walk(0x1000n, PRIVILEGED, "Secure EL1&0")).toMatchObject({ secure: false });
    expect(walk(0n, PRIVILEGED)).toMatchObject({ secure: false });
    set({ SCR_EL3: 1n << 9n });
    expect(walk(0n, PRIVILEGED | EXECUTE, "Secure EL1&0").type).toBe("translation");
    expect(walk(0x1000n, PRIVILEGED | EXECUTE, "Secure EL1&0")).toMatchObject(stage1Fault("permission", 3));
    const slot = tables.descriptorAddress(0n, 1);
    machine.write64(slot, machine.read64(slot) | (1n << 63n));
    expect(walk(0n, PRIVILEGED, "Secure EL1&0")).toMatchObject({ secure: false });
    machine.write64(slot, BigInt(SECURE_RAM_BASE) | TABLE | (1n << 63n));
    expect(walk(0n, PRIVILEGED, "Secure EL1&0")).toMatchObject(stage1Fault("externalAbortOnWalk", 2));
    machine.write64(slot, BigInt(SECURE_RAM_BASE) | TABLE);
    expect(walk(0n, PRIVILEGED, "Secure EL1&0")).toMatchObject(stage1Fault("translation", 2));
  });
});

describe("stage 2", () => {
  /** Stage 2 maps all of RAM to itself with blocks of 2 MiB, but `hole` is for the test to set. */
  function withStage2(more: RegisterValues = {}) {
    const parts = setUp();
    const { machine, tables } = parts;
    const second = new TableBuilder(machine, { startLevel: 1, area: RAM_BASE + 0x40_0000 });
    // Concatenated start: the second page of the root belongs to it.
    const S2 = 0x7fdn;
    for (let offset = 0; offset < 8 << 20; offset += 2 << 20) {
      second.map(BigInt(RAM_BASE + offset), RAM_BASE + offset, S2 & ~2n, 2);
    }
    const set = (extra: RegisterValues) =>
      parts.set({ HCR_EL2: 1n, VTCR_EL2: VTCR, VTTBR_EL2: BigInt(second.root), ...more, ...extra });
    set({});
    tables.map(0n, DATA, PAGE);
    return { ...parts, second, set, S2 };
  }

  it("translates the result and every table of stage 1", () => {
    const { second, walk, S2 } = withStage2();
    expect(walk(0x123n, PRIVILEGED)).toMatchObject({
      address: DATA + 0x123,
      attributes: 0xff,
      shareability: 3,
    });
    second.map(BigInt(RAM_BASE), RAM_BASE + 0x60_0000, S2 & ~2n, 2);
    expect(walk(0x123n, PRIVILEGED)).toMatchObject({ address: DATA + 0x60_0123 });
  });

  it.each([1, 2])("reports faults of the result at level %i with its address", (level) => {
    const { machine, second, walk, S2, tables } = withStage2();
    const ipa = level === 1 ? 0x1_4000_0000 : DATA;
    tables.map(0n, ipa, PAGE);
    const slot = second.descriptorAddress(BigInt(ipa), level);
    const fault = (kind: string) => ({
      kind,
      level,
      stage: 2,
      onStage1Walk: false,
      intermediateAddress: ipa + 4,
    });
    machine.write64(slot, 0n);
    expect(walk(4n, PRIVILEGED)).toMatchObject({ ...fault("translation"), virtualAddress: 4n });
    machine.write64(slot, (S2 & ~2n & ~AF) | BigInt(RAM_BASE));
    expect(walk(4n, PRIVILEGED)).toMatchObject(fault("accessFlag"));
    machine.write64(slot, (S2 & ~2n & ~(1n << 7n)) | BigInt(RAM_BASE));
    expect(walk(4n, PRIVILEGED).type).toBe("translation");
    expect(walk(4n, PRIVILEGED | WRITE)).toMatchObject(fault("permission"));
    machine.write64(slot, (S2 & ~2n) | BigInt(RAM_BASE) | XN);
    expect(walk(4n, PRIVILEGED | EXECUTE)).toMatchObject(fault("permission"));
  });

  it("reports faults on a stage 1 table as such, with the table's address", () => {
    const { machine, second, tables, walk } = withStage2();
    const slot = tables.descriptorAddress(0n, 3);
    machine.write64(second.descriptorAddress(BigInt(slot), 2), 0n);
    expect(walk(4n, PRIVILEGED)).toMatchObject({
      kind: "translation",
      level: 2,
      stage: 2,
      onStage1Walk: true,
      intermediateAddress: tables.root,
    });
  });

  it("needs write permission for stage 1 flag updates, and marks its own dirty state for them", () => {
    const { machine, second, tables, walk, S2, set } = withStage2();
    const leaf = tables.map(0n, DATA, PAGE & ~AF);
    const own = second.descriptorAddress(BigInt(leaf), 2);
    const block = BigInt(RAM_BASE + 0x20_0000) | (S2 & ~2n & ~(1n << 7n));
    machine.write64(own, block);
    set({ TCR_EL1: TCR | HA });
    expect(walk(0n, PRIVILEGED)).toMatchObject({
      kind: "permission",
      stage: 2,
      onStage1Walk: true,
      intermediateAddress: leaf,
    });
    machine.write64(own, block | DBM);
    set({ TCR_EL1: TCR | HA, VTCR_EL2: VTCR | (3n << 21n) });
    expect(walk(0n, PRIVILEGED).type).toBe("translation");
    expect(machine.read64(own)).toBe(block | DBM | (1n << 7n));
    expect(machine.read64(leaf) & AF).toBe(AF);
  });

  it("with HCR_EL2.PTW refuses tables in Device memory", () => {
    const { second, walk, set, S2 } = withStage2();
    second.map(BigInt(RAM_BASE + 0x20_0000), RAM_BASE + 0x20_0000, S2 & ~2n & ~0x3cn, 2);
    expect(walk(0n, PRIVILEGED).type).toBe("translation");
    set({ HCR_EL2: 5n });
    expect(walk(0n, PRIVILEGED)).toMatchObject({
      kind: "permission",
      level: 2,
      stage: 2,
      onStage1Walk: true,
    });
  });

  it("checks its input size and its start level", () => {
    const { tables, walk, set } = withStage2();
    tables.map(0n, 2 ** 40, PAGE);
    const fault = { kind: "translation", level: 0, stage: 2, intermediateAddress: 2 ** 40 };
    expect(walk(0n, PRIVILEGED)).toMatchObject(fault);
    set({ VTCR_EL2: VTCR | (3n << 6n) });
    expect(walk(0n, PRIVILEGED)).toMatchObject({
      kind: "translation",
      level: 0,
      stage: 2,
      onStage1Walk: true,
    });
  });

  it("combines attributes: Device wins, then the less cacheable", () => {
    const { second, walk, S2, set } = withStage2();
    const attributes = (memAttr: bigint) => {
      second.map(BigInt(RAM_BASE), RAM_BASE, (S2 & ~2n & ~0x3cn) | (memAttr << 2n), 2);
      const result = walk(0n, PRIVILEGED);
      return result.type === "translation" ? [result.attributes, result.shareability] : result;
    };
    expect(attributes(0b1111n)).toEqual([0xff, 3]);
    expect(attributes(0b1010n)).toEqual([0xbb, 3]);
    expect(attributes(0b0101n)).toEqual([0x44, 2]);
    expect(attributes(0b1101n)).toEqual([0xf4, 3]);
    expect(attributes(0b0001n)).toEqual([0x04, 2]);
    set({ HCR_EL2: 1n | (1n << 32n) });
    expect(attributes(0b1111n)).toEqual([0x44, 2]);
  });

  it("with HCR_EL2.DC turns stage 1 off and memory Normal", () => {
    const { walk, set } = withStage2();
    set({ HCR_EL2: 1n << 12n });
    expect(walk(BigInt(DATA + 1), PRIVILEGED | UNALIGNED)).toMatchObject({
      address: DATA + 1,
      attributes: 0xff,
    });
    set({ HCR_EL2: 0n });
    expect(walk(0n, PRIVILEGED)).toMatchObject({ address: DATA });
  });
});
