import { describe, expect, it } from "vitest";
import { BLOCK, PAGE, TableBuilder } from "../../test/support/table-builder.ts";
import {
  halves,
  installExecute,
  probe,
  RAM_BASE,
  type RegisterValues,
  TranslationMachine,
} from "../../test/support/translation-machine.ts";
import { accessFlags } from "../memory/access-flags.ts";
import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";
import { PE_LAYOUT, SOFT_TLB } from "../memory/pe-layout.ts";
import { STORE_RESULT } from "./data-access.ts";

const { READ_TAG, WRITE_TAG, EXECUTE_TAG } = SOFT_TLB;
const DATA = RAM_BASE + 0x10_0000;
const USER = 1n << 6n;
const READ_ONLY = 1n << 7n;
const NOT_GLOBAL = 1n << 11n;
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);
const SCTLR = 0x1005n;
const DEVICE_AT = 0x0900_0000;
const DEVICE_VA = 0x20_0000n;

class Register implements MmioDevice {
  readonly name = "register";
  readonly size = 0x1000;
  value = 0x1234_5678;
  readonly log: string[] = [];
  read(offset: number, width: AccessWidth): number {
    this.log.push(`r${width}@${offset}`);
    return this.value & (2 ** (width * 8) - 1);
  }
  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`w${width}@${offset}=${value.toString(16)}`);
  }
  reset(): void {}
}

/** EL1 with pages 0x1000 to 0x3000 at DATA (in reverse order), Device memory at DEVICE_VA. */
function setUp(more: RegisterValues = {}) {
  const machine = new TranslationMachine({ elements: 2 });
  const tables = new TableBuilder(machine);
  const device = new Register();
  machine.bus.attach(DEVICE_AT, device);
  tables.map(0x1000n, DATA + 0x2000, PAGE);
  tables.map(0x2000n, DATA + 0x1000, PAGE);
  tables.map(0x3000n, DATA, PAGE | READ_ONLY);
  tables.map(DEVICE_VA, DEVICE_AT, PAGE | (1n << 2n));
  const registers: RegisterValues = {
    SCTLR_EL1: SCTLR,
    TCR_EL1: TCR,
    TTBR0_EL1: BigInt(tables.root),
    TTBR1_EL1: BigInt(tables.root),
    MAIR_EL1: 0x00ffn,
    ...more,
  };
  machine.setRegisters(registers);
  machine.setRegisters(registers, 1);
  const { access } = machine.mmu;
  const load = (va: bigint, size: number, flags = 0) => {
    const host = access.load(...halves(va), size, flags);
    return host === 0 ? access.fault : machine.memory.bytes.slice(host, host + size);
  };
  const store = (va: bigint, bytes: readonly number[], flags = 0) => {
    machine.memory.bytes.set(bytes, machine.scratch);
    return access.store(...halves(va), bytes.length, flags);
  };
  return { machine, tables, device, access, load, store };
}

describe("load", () => {
  it("returns RAM in place and makes the page fast", () => {
    const { machine, access } = setUp();
    machine.ram.write32(DATA + 0x2010, 0xcafe_f00d);
    const host = access.load(0x1010, 0, 4, 0);
    expect(machine.memory.view.getUint32(host, true)).toBe(0xcafe_f00d);
    expect(probe(machine, { address: 0x1010n, size: 4, tag: READ_TAG })).toBe(host);
    expect(probe(machine, { address: 0x1ffdn, size: 4, tag: READ_TAG })).toBeUndefined();
    expect(probe(machine, { address: 0x1010n, tag: WRITE_TAG })).toBe(host);
    expect(probe(machine, { address: 0x1010n, tag: EXECUTE_TAG })).toBeUndefined();
  });

  it("gathers across pages", () => {
    const { machine, load } = setUp();
    machine.ram.write(DATA + 0x2ff8, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    machine.ram.write(DATA + 0x1000, new Uint8Array([9, 10, 11, 12, 13, 14, 15, 16]));
    expect([...(load(0x1ff9n, 8) as Uint8Array)]).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("faults at the first byte that fails", () => {
    const { load } = setUp();
    expect(load(0x3ff8n, 16)).toMatchObject({
      kind: "translation",
      level: 3,
      virtualAddress: 0x4000n,
      access: "read",
    });
    expect(load(0x0ff8n, 16)).toMatchObject({ kind: "translation", virtualAddress: 0x0ff8n });
  });

  it("reads devices through SCRATCH and never makes them fast", () => {
    const { machine, device, access } = setUp();
    const host = access.load(...halves(DEVICE_VA + 8n), 8, 0);
    expect(host).toBe(machine.scratch);
    expect(machine.memory.view.getBigUint64(host, true)).toBe(0x1234_5678_1234_5678n);
    expect(device.log).toEqual(["r4@8", "r4@12"]);
    expect(probe(machine, { address: DEVICE_VA, tag: READ_TAG })).toBeUndefined();
  });

  it("faults on misaligned accesses: to Device memory, when asked to be aligned, and under SCTLR.A", () => {
    const { machine, load } = setUp();
    const alignment = { kind: "alignment", status: 0x21 };
    expect(load(DEVICE_VA + 2n, 4)).toMatchObject(alignment);
    expect(load(DEVICE_VA + 4n, 8, accessFlags({ element: 4 }))).toBeInstanceOf(Uint8Array);
    expect(load(0x1001n, 8)).toBeInstanceOf(Uint8Array);
    expect(load(0x1008n, 16, accessFlags({ aligned: true }))).toMatchObject(alignment);
    expect(load(0x1008n, 16, accessFlags({ aligned: true, element: 8 }))).toMatchObject(alignment);
    machine.change({ SCTLR_EL1: SCTLR | 2n });
    expect(load(0x1002n, 4)).toMatchObject({ ...alignment, virtualAddress: 0x1002n });
    expect(load(0x1004n, 8, accessFlags({ element: 4 }))).toBeInstanceOf(Uint8Array);
    expect(probe(machine, { address: 0x1004n, tag: READ_TAG })).toBeUndefined();
  });

  it("swaps elements of big-endian data and stays slow", () => {
    const { machine, load } = setUp({ SCTLR_EL1: 1n << 25n });
    machine.ram.write(DATA + 0x2000, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    expect(machine.memory.words[(machine.base + PE_LAYOUT.BIG_ENDIAN) >>> 2]).toBe(1);
    expect([...(load(BigInt(DATA + 0x2000), 8) as Uint8Array)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
    expect([...(load(BigInt(DATA + 0x2000), 8, accessFlags({ element: 2 })) as Uint8Array)]).toEqual([
      2, 1, 4, 3, 6, 5, 8, 7,
    ]);
    machine.change({ SCTLR_EL1: 0n });
    expect(machine.memory.words[(machine.base + PE_LAYOUT.BIG_ENDIAN) >>> 2]).toBe(0);
  });

  it("keeps big-endian data slow", () => {
    const { machine, tables, load } = setUp({ SCTLR_EL1: SCTLR | (1n << 24n) });
    tables.map(0x5000n, DATA, PAGE | USER);
    machine.enter({ el: 0 });
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeUndefined();
    machine.change({ SCTLR_EL1: SCTLR });
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeDefined();
  });

  it("aborts where nothing answers", () => {
    const { tables, load, store } = setUp();
    tables.map(0x5000n, 0x2000_0000, PAGE);
    expect(load(0x5004n, 4)).toMatchObject({ kind: "externalAbort", status: 0x10, virtualAddress: 0x5004n });
    expect(store(0x5004n, [1, 2, 3, 4])).toBe(STORE_RESULT.FAULT);
  });

  it("keeps data slow while watchpoints are armed, and asks them after translation", () => {
    const { machine, access, load, store } = setUp();
    load(0x1000n, 4);
    const asked: string[] = [];
    access.watchpoints = (low, _high, size, isWrite) => {
      asked.push(`${isWrite ? "w" : "r"}${low.toString(16)}+${size}`);
      return low === 0x2000;
    };
    machine.mmu.context.setSlowOnly(true);
    expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeUndefined();
    expect(load(0x1ffcn, 8)).toMatchObject({ kind: "debug", virtualAddress: 0x2000n });
    expect(store(0x1000n, [1])).toBe(STORE_RESULT.DONE);
    expect(asked).toEqual(["r1ffc+4", "r2000+4", "w1000+1"]);
    expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeUndefined();
    expect(load(0x7000n, 4)).toMatchObject({ kind: "translation" });
    machine.mmu.context.setSlowOnly(false);
    load(0x2000n, 4);
    expect(probe(machine, { address: 0x2000n, tag: READ_TAG })).toBeDefined();
  });
});

describe("store", () => {
  it("writes RAM, all of it or nothing", () => {
    const { machine, store, access } = setUp();
    expect(store(0x1ffcn, [1, 2, 3, 4, 5, 6, 7, 8])).toBe(STORE_RESULT.DONE);
    expect(machine.ram.read32(DATA + 0x2ffc)).toBe(0x0403_0201);
    expect(machine.ram.read32(DATA + 0x1000)).toBe(0x0807_0605);
    expect(store(0x2ffcn, [9, 9, 9, 9, 9, 9, 9, 9])).toBe(STORE_RESULT.FAULT);
    expect(access.fault).toMatchObject({
      kind: "permission",
      level: 3,
      virtualAddress: 0x3000n,
      access: "write",
    });
    expect(machine.ram.read32(DATA + 0x1ffc)).toBe(0);
  });

  it("tells the engine to look around after devices and code", () => {
    const { machine, store, device } = setUp();
    expect(store(DEVICE_VA + 4n, [0x78, 0x56, 0x34, 0x12])).toBe(STORE_RESULT.DONE_AND_LEAVE);
    expect(device.log).toEqual(["w4@4=12345678"]);
    const frame = machine.host(DATA + 0x2000) >>> 12;
    machine.store.trace.addCode(frame, 0, 64);
    expect(store(0x1020n, [1])).toBe(STORE_RESULT.DONE_AND_LEAVE);
    expect(store(0x1080n, [1])).toBe(STORE_RESULT.DONE);
    expect(probe(machine, { address: 0x1080n, tag: WRITE_TAG })).toBeUndefined();
  });

  it("is fast only while the frame is untraced, on every element", () => {
    const { machine, store } = setUp();
    const other = machine.elements[1]!.mmu;
    const isFast = (element: number, address = 0x1000n) =>
      probe(machine, { address, tag: WRITE_TAG, element }) !== undefined;
    const frame = machine.host(DATA + 0x2000) >>> 12;
    store(0x1000n, [1]);
    other.access.load(0x1000, 0, 4, 0);
    expect([isFast(0), isFast(1)]).toEqual([true, true]);
    machine.store.trace.add(frame, "TR_DIRTY");
    expect([isFast(0), isFast(1)]).toEqual([false, false]);
    expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeDefined();
    machine.mmu.access.load(0x1000, 0, 4, 0);
    expect(isFast(0)).toBe(false);
    // The first write of the epoch ends the tracing.
    store(0x1000n, [1]);
    expect(isFast(0)).toBe(true);
    machine.store.trace.add(frame, "TR_MON");
    expect(isFast(0)).toBe(false);
    machine.store.trace.remove(frame, "TR_MON");
    store(0x1000n, [1]);
    expect(isFast(0)).toBe(true);
  });

  it("revokes all of several writable mappings of one frame", () => {
    const { machine, tables, store } = setUp();
    tables.map(0x9000n, DATA + 0x2000, PAGE);
    tables.map(0xa000n, DATA + 0x2000, PAGE);
    for (const va of [0x1000n, 0x9000n, 0xa000n]) store(va, [1]);
    machine.store.trace.add(machine.host(DATA + 0x2000) >>> 12, "TR_CODE");
    for (const address of [0x1000n, 0x9000n, 0xa000n]) {
      expect(probe(machine, { address, tag: WRITE_TAG })).toBeUndefined();
      expect(probe(machine, { address, tag: READ_TAG })).toBeDefined();
    }
  });

  it("sends writes to visible ROM to its device", () => {
    const { machine, tables, load, store } = setUp();
    const bank = machine.map.mapRom(0x1000_0000, 0x1000);
    const flash = new Register();
    machine.bus.attach(0x1000_0000, flash);
    machine.ram.writeRom(bank, 0, new Uint8Array([5, 6]));
    tables.map(0x6000n, 0x1000_0000, PAGE);
    expect([...(load(0x6000n, 2) as Uint8Array)]).toEqual([5, 6]);
    expect(probe(machine, { address: 0x6000n, tag: READ_TAG })).toBeDefined();
    expect(store(0x6000n, [0x98])).toBe(STORE_RESULT.DONE_AND_LEAVE);
    expect(flash.log).toEqual(["w1@0=98"]);
    machine.map.setRomVisible(bank, false);
    expect(probe(machine, { address: 0x6000n, tag: READ_TAG })).toBeUndefined();
    expect([...(load(0x6000n, 1) as Uint8Array)]).toEqual([0x78]);
  });

  it("leaves a clean page slow until it is marked dirty", () => {
    const { machine, tables, load, store } = setUp({ TCR_EL1: TCR | (3n << 39n) });
    const slot = tables.map(0x1000n, DATA, PAGE | READ_ONLY | (1n << 51n));
    load(0x1000n, 4);
    expect(probe(machine, { address: 0x1000n, tag: WRITE_TAG })).toBeUndefined();
    expect(machine.read64(slot) & READ_ONLY).toBe(READ_ONLY);
    expect(store(0x1000n, [1])).toBe(STORE_RESULT.DONE);
    expect(machine.read64(slot) & READ_ONLY).toBe(0n);
    expect(probe(machine, { address: 0x1000n, tag: WRITE_TAG })).toBeDefined();
  });
});

describe("prepareWrite", () => {
  it("gives RAM in place, SCRATCH for the rest, and the right access in its faults", () => {
    const { machine, access, device } = setUp();
    const direct = access.prepareWrite(0x1008, 0, 8, accessFlags({ aligned: true }));
    expect(direct).toBe(machine.host(DATA + 0x2008));
    expect(access.prepareWrite(...halves(DEVICE_VA), 4, 0)).toBe(machine.scratch);
    expect(device.log).toEqual(["r4@0"]);
    expect(access.prepareWrite(0x3000, 0, 4, 0)).toBe(0);
    expect(access.fault).toMatchObject({ kind: "permission", access: "write" });
    expect(access.prepareWrite(0x7000, 0, 4, 0)).toBe(0);
    expect(access.fault).toMatchObject({ kind: "translation", access: "read" });
    expect(access.prepareWrite(0x1004, 0, 8, accessFlags({ aligned: true }))).toBe(0);
    expect(access.fault).toMatchObject({ kind: "alignment" });
    machine.ram.write32(DATA + 0x2010, 77);
    machine.store.trace.add(machine.host(DATA + 0x2000) >>> 12, "TR_PT");
    expect(access.prepareWrite(0x1010, 0, 4, 0)).toBe(machine.scratch);
    expect(machine.memory.words[machine.scratch >>> 2]).toBe(77);
  });
});

describe("fetch", () => {
  it("returns the frame and installs what the engine then says", () => {
    const { machine, access } = setUp();
    const frame = access.fetch(0x1abc, 0);
    expect(frame).toBe(machine.host(DATA + 0x2000));
    expect(probe(machine, { address: 0x1abcn, tag: EXECUTE_TAG })).toBeUndefined();
    installExecute(machine, 0x1abcn, 0x1234);
    expect(probe(machine, { address: 0x1abcn, tag: EXECUTE_TAG })).toBe(frame + 0xabc);
    access.load(0x1000, 0, 4, 0);
    expect(probe(machine, { address: 0x1abcn, tag: EXECUTE_TAG })).toBe(frame + 0xabc);
    machine.group.revokeExecution(frame >>> 12);
    expect(probe(machine, { address: 0x1abcn, tag: EXECUTE_TAG })).toBeUndefined();
    expect(probe(machine, { address: 0x1abcn, tag: READ_TAG })).toBeDefined();
  });

  it("faults as an instruction abort", () => {
    const { machine, access, tables } = setUp();
    expect(access.fetch(0x7000, 0)).toBe(0);
    expect(access.fault).toMatchObject({ kind: "translation", access: "execute" });
    tables.map(0x8000n, DEVICE_AT, PAGE);
    expect(access.fetch(0x8000, 0)).toBe(0);
    expect(access.fault).toMatchObject({ kind: "externalAbort", access: "execute" });
    machine.enter({ el: 0 });
    tables.map(0x9000n, DATA, PAGE | (1n << 54n));
    expect(access.fetch(0x9000, 0)).toBe(0);
    expect(access.fault).toMatchObject({ kind: "permission", level: 3 });
  });
});

describe("reach", () => {
  it("answers for untraced memory only, and makes it fast", () => {
    const { machine, access } = setUp();
    const host = machine.host(DATA + 0x2010);
    expect(access.reach(0x1010, 0, 8, 0, true)).toBe(host);
    expect(probe(machine, { address: 0x1010n, size: 8, tag: WRITE_TAG })).toBe(host);
    expect(access.reach(0x1ffc, 0, 8, 0, false)).toBe(0);
    expect(access.reach(0x1011, 0, 8, accessFlags({ aligned: true }), false)).toBe(0);
    expect(access.reach(0x3000, 0, 4, 0, false)).toBe(machine.host(DATA));
    expect(access.reach(0x3000, 0, 4, 0, true)).toBe(0);
    expect(access.reach(0x7000, 0, 4, 0, false)).toBe(0);
    expect(access.reach(...halves(DEVICE_VA), 4, 0, false)).toBe(0);
    machine.store.trace.add(host >>> 12, "TR_PT");
    expect(access.reach(0x1010, 0, 8, 0, true)).toBe(0);
    expect(access.reach(0x1010, 0, 8, 0, false)).toBe(host);
    expect(access.fault).toBeUndefined();
  });
});

describe("zeroBlock and maintain", () => {
  it("zeroes Normal memory only", () => {
    const { machine, access } = setUp();
    machine.ram.write(DATA + 0x2000, new Uint8Array(256).fill(0xff));
    expect(access.zeroBlock(0x1040, 0, 64)).toBe(STORE_RESULT.DONE);
    expect(machine.ram.read8(DATA + 0x203f)).toBe(0xff);
    expect(machine.ram.read64(DATA + 0x2040)).toBe(0n);
    expect(machine.ram.read64(DATA + 0x2078)).toBe(0n);
    expect(machine.ram.read8(DATA + 0x2080)).toBe(0xff);
    expect(access.zeroBlock(...halves(DEVICE_VA), 64)).toBe(STORE_RESULT.FAULT);
    expect(access.fault).toMatchObject({ kind: "alignment" });
  });

  it("checks translations for cache maintenance", () => {
    const { access, machine } = setUp();
    const readOnly = { needsRead: false, needsWrite: false };
    expect(access.maintain(0x3000, 0, readOnly)).toBe(true);
    expect(access.maintain(0x3000, 0, { needsRead: false, needsWrite: true })).toBe(false);
    expect(access.fault).toMatchObject({ kind: "permission", access: "write" });
    expect(access.maintain(0x7000, 0, readOnly)).toBe(false);
    machine.enter({ el: 0 });
    expect(access.maintain(0x1000, 0, { needsRead: true, needsWrite: false })).toBe(false);
    expect(access.fault).toMatchObject({ kind: "permission" });
  });
});

describe("banks", () => {
  it("keep privileges, PAN and worlds apart", () => {
    const { machine, tables, load } = setUp();
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
    const { machine, tables, load } = setUp();
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

  it("drop privileged entries of an address space that ends", () => {
    const { machine, tables, load } = setUp();
    tables.map(0x5000n, DATA, PAGE | NOT_GLOBAL);
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeDefined();
    machine.change({ TTBR0_EL1: BigInt(tables.root) | (7n << 48n) });
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeUndefined();
  });

  it("drop everything when the rules change", () => {
    const { machine, load } = setUp();
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
    const { machine, load } = setUp();
    load(0x1000n, 4);
    machine.change({ SCTLR_EL1: SCTLR | (1n << 26n), TCR_EL2: 5n, TTBR0_EL3: 4096n });
    expect(probe(machine, { address: 0x1000n, tag: READ_TAG })).toBeDefined();
  });

  it("drop EL1&0 when stage 2 changes", () => {
    const { machine, tables, load } = setUp();
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
    const parts = setUp();
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
    const { machine, tables } = setUp();
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
      { el: 2, e2h: false, operations: ["VAE2", "ALLE2"] },
      { el: 2, e2h: true, operations: ["VAE2", "ALLE2", "VMALLE1", "VAE1", "VAAE1"] },
      { el: 3, e2h: false, operations: ["VAE3", "ALLE3"] },
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

  it("is broadcast at EL1 under HCR_EL2.FB", () => {
    const { machine, touch, fast } = setUpTwo();
    machine.change({ HCR_EL2: 1n << 9n });
    touch(0x1000n);
    machine.mmu.invalidate("VMALLE1", 0n, false);
    expect(fast(0x1000n)).toEqual([false, false]);
  });
});
