import { expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { fuzzRings } from "../../../test/support/ring-fuzz.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { attach, BASE } from "../../../test/support/virtio-machine.ts";
import { BALLOON_PAGE, VirtioBalloon } from "./balloon.ts";

const RAM = { base: BASE, size: 1 << 20 };
const STATISTICS = 1 << 1;

function pages(...numbers: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(numbers).buffer);
}

function start(features = STATISTICS) {
  const device = new VirtioBalloon(RAM);
  const machine = attach(device);
  const driver = new VirtioDriver(machine.mmio, machine.memory);
  driver.start([16, 16, 4], features);
  return { ...machine, device, driver };
}

test("the guest is told how much is wanted, and what it gives is counted once", () => {
  const { device, driver, mmio } = start();
  device.setTarget(10 * BALLOON_PAGE + 5);
  expect([mmio.read(0x100, 4), mmio.read(0x60, 4) & 2, mmio.read(0xfc, 4)]).toEqual([10, 2, 1]);
  const first = BASE / BALLOON_PAGE;
  driver.add(0, [pages(first, first + 1, first + 1, first + 255, first + 256, 0, 0xffff_ffff)]);
  driver.notify(0);
  expect(driver.returned(0)).toHaveLength(1);
  expect(device.size).toBe(3 * BALLOON_PAGE);
  mmio.write(0x104, 4, 3);
  expect(mmio.read(0x104, 4)).toBe(3);
  mmio.write(0x100, 4, 99);
  expect(mmio.read(0x100, 4)).toBe(10);
  driver.add(1, [pages(first + 1, first + 7)]);
  driver.notify(1);
  expect(device.size).toBe(2 * BALLOON_PAGE);
  device.setTarget(1e12);
  expect(device.target).toBe(RAM.size);
  mmio.write(0x70, 4, 0);
  expect([device.size, mmio.read(0x104, 4)]).toEqual([0, 0]);
});

test("statistics are asked for by giving their buffer back", async () => {
  const { device, driver } = start();
  const figures = (free: bigint) => {
    const bytes = new Uint8Array(30);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, 4, true);
    view.setBigUint64(2, free, true);
    view.setUint16(10, 99, true);
    view.setUint16(20, 5, true);
    view.setBigUint64(22, 2n ** 64n - 1n, true);
    return bytes;
  };
  driver.add(2, [figures(1n)]);
  driver.notify(2);
  expect(driver.returned(2)).toEqual([]);
  const asked = device.statistics();
  expect(driver.returned(2)).toHaveLength(1);
  driver.add(2, [figures(4096n)]);
  driver.notify(2);
  expect(await asked).toEqual({ freeBytes: 4096 });
  const lost = device.statistics();
  driver.start([16, 16, 4], STATISTICS);
  expect(await lost).toEqual({});
});

test("a guest without the queue has no statistics; one with two buffers in it breaks the rules", async () => {
  expect(await start(0).device.statistics()).toEqual({});
  const { driver, mmio } = start();
  driver.add(2, [new Uint8Array(10)]);
  driver.add(2, [new Uint8Array(10)]);
  driver.notify(2);
  driver.notify(2);
  expect(mmio.read(0x70, 4) & 64).toBe(64);
});

test("random rings never throw", () => {
  const random = Random.ofThisRun();
  console.log(`balloon fuzz seed ${random.seed}`);
  const device = new VirtioBalloon(RAM);
  fuzzRings(device, random, {
    features: STATISTICS,
    request: () => pages(BASE / BALLOON_PAGE + random.below(300), random.u32()),
    between: () => {
      if (random.below(8) === 0) void device.statistics();
      if (random.below(8) === 0) device.setTarget(random.u32());
    },
  });
  expect(device.size).toBeLessThanOrEqual(RAM.size);
});
