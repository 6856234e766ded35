import { expect, test } from "vitest";
import { fuzzDevice } from "../../test/support/device-fuzz.ts";
import { FlatMemory } from "../../test/support/flat-memory.ts";
import { Random } from "../../test/support/random.ts";
import { FwCfg } from "./fw-cfg.ts";

const BASE = 0x4000_0000;

function build() {
  const memory = new FlatMemory(BASE, 0x10000);
  let written = 0;
  const variable = new Uint8Array(8);
  const device = new FwCfg({
    memory,
    files: [
      { name: "opt/second", bytes: Uint8Array.of(1, 2, 3, 4, 5) },
      { name: "etc/first", bytes: variable, writable: true, written: () => written++ },
    ],
    items: new Map([[5, Uint8Array.of(4, 0)]]),
  });
  const dma = (control: number, length: number, address: number) => {
    const view = new DataView(memory.bytes.buffer, 0, 16);
    view.setUint32(0, control);
    view.setUint32(4, length);
    view.setBigUint64(8, BigInt(address));
    device.write(0x10, 4, 0);
    device.write(0x14, 4, 0x0000_0040);
    return view.getUint32(0);
  };
  return { memory, device, dma, variable, written: () => written };
}

const select = (device: FwCfg, key: number) => device.write(8, 2, ((key & 0xff) << 8) | (key >> 8));

test("signature and features, at any width", () => {
  const { device } = build();
  select(device, 0);
  expect(device.read(0, 4)).toBe(0x554d_4551);
  select(device, 0);
  expect([device.read(0, 1), device.read(0, 2), device.read(0, 1), device.read(0, 4)]).toEqual([
    0x51, 0x4d45, 0x55, 0,
  ]);
  select(device, 1);
  expect(device.read(0, 4)).toBe(3);
  expect(device.read(0x10, 4)).toBe(0x554d_4551);
  expect(device.read(0x14, 4)).toBe(0x4746_4320);
});

test("the directory is sorted and big-endian", () => {
  const { device, dma, memory } = build();
  expect(dma((0x19 << 16) | 8 | 2, 4 + 2 * 64, BASE + 0x100)).toBe(0);
  const view = new DataView(memory.bytes.buffer, 0x100);
  expect(view.getUint32(0)).toBe(2);
  expect([view.getUint32(4), view.getUint16(8)]).toEqual([8, 0x20]);
  expect([view.getUint32(68), view.getUint16(72)]).toEqual([5, 0x21]);
  expect(String.fromCharCode(...memory.bytes.subarray(0x100 + 76, 0x100 + 76 + 11))).toBe("opt/second\0");
  select(device, 0x21);
  expect(device.read(0, 4)).toBe(0x0403_0201);
});

test("DMA reads past the end as zeros, skips, and writes what may be written", () => {
  const { dma, memory, variable, written } = build();
  memory.bytes.fill(0xee, 0x200, 0x300);
  expect(dma((0x21 << 16) | 8 | 4, 3, 0)).toBe(0);
  expect(dma(2, 4, BASE + 0x200)).toBe(0);
  expect([...memory.bytes.subarray(0x200, 0x205)]).toEqual([4, 5, 0, 0, 0xee]);
  expect(dma((0x20 << 16) | 8 | 16, 8, BASE + 0x200)).toBe(0);
  expect([...variable.subarray(0, 3)]).toEqual([4, 5, 0]);
  expect(written()).toBe(1);
  expect(dma((0x21 << 16) | 8 | 16, 2, BASE + 0x200)).toBe(1);
  expect(dma((0x20 << 16) | 8 | 16, 9, BASE + 0x200)).toBe(1);
  expect(dma((0x21 << 16) | 8 | 2, 4, 0x1000)).toBe(1);
  expect(dma((0x21 << 16) | 8 | 2, 0xffff_ffff, BASE)).toBe(1);
});

test("random accesses never throw", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`fw-cfg fuzz seed ${random.seed}`);
  const { device, dma } = build();
  fuzzDevice(device, random);
  for (let i = 0; i < 10_000; i++)
    dma(
      random.u32() & random.pick([0xffff_ffff, 0x3f_001f]),
      random.u32() >>> random.below(32),
      BASE + random.below(0x20000),
    );
});
