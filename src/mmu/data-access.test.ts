import { describe, expect, it } from "vitest";
import {
  DATA,
  DEVICE_AT,
  DEVICE_VA,
  READ_ONLY,
  Register,
  SCTLR,
  setUpAccesses,
  TCR,
  USER,
} from "../../test/support/access-setup.ts";
import { PAGE } from "../../test/support/table-builder.ts";
import { halves, installExecute, probe } from "../../test/support/translation-machine.ts";
import { accessFlags } from "../memory/access-flags.ts";
import { PE_LAYOUT, SOFT_TLB } from "../memory/pe-layout.ts";
import { STORE_RESULT } from "./data-access.ts";

const { READ_TAG, WRITE_TAG, EXECUTE_TAG } = SOFT_TLB;

describe("load", () => {
  it("returns RAM in place and makes the page fast", () => {
    const { machine, access } = setUpAccesses();
    machine.ram.write32(DATA + 0x2010, 0xcafe_f00d);
    const host = access.load(0x1010, 0, 4, 0);
    expect(machine.memory.view.getUint32(host, true)).toBe(0xcafe_f00d);
    expect(probe(machine, { address: 0x1010n, size: 4, tag: READ_TAG })).toBe(host);
    expect(probe(machine, { address: 0x1ffdn, size: 4, tag: READ_TAG })).toBeUndefined();
    expect(probe(machine, { address: 0x1010n, tag: WRITE_TAG })).toBe(host);
    expect(probe(machine, { address: 0x1010n, tag: EXECUTE_TAG })).toBeUndefined();
  });

  it("gathers across pages", () => {
    const { machine, load } = setUpAccesses();
    machine.ram.write(DATA + 0x2ff8, new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    machine.ram.write(DATA + 0x1000, new Uint8Array([9, 10, 11, 12, 13, 14, 15, 16]));
    expect([...(load(0x1ff9n, 8) as Uint8Array)]).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("faults at the first byte that fails", () => {
    const { load } = setUpAccesses();
    expect(load(0x3ff8n, 16)).toMatchObject({
      kind: "translation",
      level: 3,
      virtualAddress: 0x4000n,
      access: "read",
    });
    expect(load(0x0ff8n, 16)).toMatchObject({ kind: "translation", virtualAddress: 0x0ff8n });
  });

  it("reads devices through SCRATCH and never makes them fast", () => {
    const { machine, device, access } = setUpAccesses();
    const host = access.load(...halves(DEVICE_VA + 8n), 8, 0);
    expect(host).toBe(machine.scratch);
    expect(machine.memory.view.getBigUint64(host, true)).toBe(0x1234_5678_1234_5678n);
    expect(device.log).toEqual(["r4@8", "r4@12"]);
    expect(probe(machine, { address: DEVICE_VA, tag: READ_TAG })).toBeUndefined();
  });

  it("faults on misaligned accesses: to Device memory, when asked to be aligned, and under SCTLR.A", () => {
    const { machine, load } = setUpAccesses();
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
    const { machine, load } = setUpAccesses({ SCTLR_EL1: 1n << 25n });
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
    const { machine, tables, load } = setUpAccesses({ SCTLR_EL1: SCTLR | (1n << 24n) });
    tables.map(0x5000n, DATA, PAGE | USER);
    machine.enter({ el: 0 });
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeUndefined();
    machine.change({ SCTLR_EL1: SCTLR });
    load(0x5000n, 4);
    expect(probe(machine, { address: 0x5000n, tag: READ_TAG })).toBeDefined();
  });

  it("aborts where nothing answers", () => {
    const { tables, load, store } = setUpAccesses();
    tables.map(0x5000n, 0x2000_0000, PAGE);
    expect(load(0x5004n, 4)).toMatchObject({ kind: "externalAbort", status: 0x10, virtualAddress: 0x5004n });
    expect(store(0x5004n, [1, 2, 3, 4])).toBe(STORE_RESULT.FAULT);
  });

  it("keeps data slow while watchpoints are armed, and asks them after translation", () => {
    const { machine, access, load, store } = setUpAccesses();
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
    const { machine, store, access } = setUpAccesses();
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
    const { machine, store, device } = setUpAccesses();
    expect(store(DEVICE_VA + 4n, [0x78, 0x56, 0x34, 0x12])).toBe(STORE_RESULT.DONE_AND_LEAVE);
    expect(device.log).toEqual(["w4@4=12345678"]);
    const frame = machine.host(DATA + 0x2000) >>> 12;
    machine.store.trace.addCode(frame, 0, 64);
    expect(store(0x1020n, [1])).toBe(STORE_RESULT.DONE_AND_LEAVE);
    expect(store(0x1080n, [1])).toBe(STORE_RESULT.DONE);
    expect(probe(machine, { address: 0x1080n, tag: WRITE_TAG })).toBeUndefined();
  });

  it("is fast only while the frame is untraced, on every element", () => {
    const { machine, store } = setUpAccesses();
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
    const { machine, tables, store } = setUpAccesses();
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
    const { machine, tables, load, store } = setUpAccesses();
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
    const { machine, tables, load, store } = setUpAccesses({ TCR_EL1: TCR | (3n << 39n) });
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
    const { machine, access, device } = setUpAccesses();
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
    const { machine, access } = setUpAccesses();
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
    const { machine, access, tables } = setUpAccesses();
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

describe("zeroBlock and maintain", () => {
  it("zeroes Normal memory only", () => {
    const { machine, access } = setUpAccesses();
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
    const { access, machine } = setUpAccesses();
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
