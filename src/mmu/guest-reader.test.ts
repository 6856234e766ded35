import { expect, it } from "vitest";
import { BLOCK, PAGE, TableBuilder } from "../../test/support/table-builder.ts";
import { RAM_BASE, TranslationMachine } from "../../test/support/translation-machine.ts";
import { FRAME_FLAGS } from "../memory/frame-table.ts";
import type { FaultPolicy } from "./guest-reader.ts";

const DATA = RAM_BASE + 0x10_0000;
const USER = 1n << 6n;
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);
const VALID_PAGE = 3n;

function setUp() {
  const machine = new TranslationMachine();
  const tables = new TableBuilder(machine);
  const root = BigInt(tables.root);
  machine.setRegisters({
    SCTLR_EL1: 0x1005n,
    TCR_EL1: TCR,
    TTBR0_EL1: root,
    TTBR1_EL1: root,
    MAIR_EL1: 0xffn,
  });
  const { reader } = machine.mmu;
  const read = (address: bigint, length: number, policy?: FaultPolicy) =>
    reader.read(machine.mmu.space, address, length, policy);
  return { machine, tables, reader, read };
}

it("reads what is mapped, whatever the permissions, and changes nothing", () => {
  const { machine, tables, reader, read } = setUp();
  const slot = tables.map(0x1000n, DATA + 0x1000, VALID_PAGE);
  tables.map(0x2000n, DATA, PAGE | USER);
  machine.ram.write(DATA + 0x1ffe, new Uint8Array([1, 2]));
  machine.ram.write(DATA, new Uint8Array([3, 4, 0, 9]));
  machine.enter({ el: 0 });
  expect([...read(0x1ffen, 4).bytes]).toEqual([1, 2, 3, 4]);
  expect(machine.read64(slot)).toBe(BigInt(DATA + 0x1000) | VALID_PAGE);
  const { space } = machine.mmu;
  expect(reader.translate(space, 0x1004n)).toMatchObject({ address: DATA + 0x1004 });
  expect(reader.string(space, 0x1ffen, 100)).toBe("\x01\x02\x03\x04");
  expect(reader.u32(space, 0x1ffen)).toBe(0x04030201);
  expect(reader.u64(space, 0x2ffcn)).toBeUndefined();
});

it("says what stopped it, and how far it came", () => {
  const { machine, tables, read } = setUp();
  tables.map(0x2000n, DATA, PAGE);
  tables.map(0x4000n, 0x0900_0000, PAGE);
  tables.map(0x5000n, DATA + 0x5000, PAGE);
  const { frames } = machine.map;
  frames.setFlags(machine.host(DATA + 0x5000) >>> 12, FRAME_FLAGS.SECRET);
  machine.bus.attach(0x0900_0000, {
    name: "a device",
    size: 0x1000,
    read: () => 1,
    write: () => {},
    reset: () => {},
  });
  expect(read(0x2ff0n, 32)).toMatchObject({
    bytes: { length: 16 },
    fault: { cause: "translation", address: 0x3000n, done: 16, guest: { level: 3, stage: 1 } },
  });
  expect(read(0x4000n, 4).fault).toMatchObject({ cause: "device", guest: { kind: "externalAbort" } });
  expect(read(0x5000n, 4).fault).toMatchObject({ cause: "secret" });
  expect(read(0x0100_0000_0000_0000n, 4).fault).toMatchObject({ cause: "translation" });
  expect(read(0x2000n, (16 << 20) + 1).fault).toMatchObject({ cause: "length", done: 0 });
  expect(read(0xffff_ffff_ffff_fffcn, 8).fault).toMatchObject({ cause: "length" });
  expect(read(0x3000n, 0)).toEqual({ bytes: new Uint8Array(0), fault: undefined });
});

it("asks a handler that was set up before", () => {
  const { machine, tables, read } = setUp();
  tables.map(0x1000n, DATA, PAGE);
  tables.map(0x3000n, DATA, PAGE);
  machine.ram.write(DATA, new Uint8Array(4096).fill(7));
  const skip = read(0x1ffen, 4100, { kind: "handler", onFault: () => "skip page" });
  expect(skip.bytes.reduce((sum, byte) => sum + byte, 0)).toBe(4 * 7);
  let faults = 0;
  const mend = read(0x5000n, 1, {
    kind: "handler",
    onFault: () => {
      if (++faults === 3) tables.map(0x5000n, DATA, PAGE);
      return "retry";
    },
  });
  expect([faults, ...mend.bytes]).toEqual([3, 7]);
  const stubborn = read(0x7000n, 1, { kind: "handler", onFault: () => "retry" });
  expect(stubborn.fault).toMatchObject({ cause: "translation" });
});

it("forwards the abort that the caller's own load would have taken", () => {
  const { machine, tables } = setUp();
  const old = tables.map(0x1000n, DATA, (PAGE & ~0x400n) | USER);
  tables.map(0x2000n, DATA, PAGE);
  const caller = machine.mmu.callerMemory;
  machine.enter({ el: 0 });
  expect(caller.read(0x1000n, 4)).toMatchObject({ kind: "accessFlag", level: 3, virtualAddress: 0x1000n });
  machine.change({ TCR_EL1: TCR | (1n << 39n) });
  expect(caller.read(0x1000n, 4)).toEqual(new Uint8Array(4));
  expect(machine.read64(old) & 0x400n).toBe(0n);
  expect(caller.read(0x1ffen, 4)).toMatchObject({
    kind: "permission",
    access: "read",
    virtualAddress: 0x2000n,
  });
});

it("reads spaces with other granules, blocks and stage 2", () => {
  const machine = new TranslationMachine();
  const tables = new TableBuilder(machine, { granuleShift: 14, area: RAM_BASE + 0x20_0000 });
  const second = new TableBuilder(machine, { startLevel: 1, area: RAM_BASE + 0x60_0000 });
  second.map(BigInt(RAM_BASE), RAM_BASE, 0x7fdn & ~2n, 1);
  tables.map(0x0000n, RAM_BASE, BLOCK, 2);
  machine.setRegisters({
    ...{ SCTLR_EL1: 0x1005n, TCR_EL1: 16n | (2n << 14n) | (5n << 32n), MAIR_EL1: 0xffn },
    ...{ TTBR0_EL1: BigInt(tables.root), HCR_EL2: 1n },
    ...{ VTCR_EL2: 24n | (1n << 6n) | (5n << 16n), VTTBR_EL2: BigInt(second.root) },
  });
  machine.ram.write(DATA, new Uint8Array([5]));
  expect([...machine.mmu.reader.read(machine.mmu.space, 0x10_0000n, 1).bytes]).toEqual([5]);
  const gone = machine.mmu.reader.read(machine.mmu.space, 0x80_0000n, 0x100_0000);
  expect(gone.fault).toMatchObject({ cause: "externalAbort" });
});
