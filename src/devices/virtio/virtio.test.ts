import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { attach, header, MemoryDisk, pattern } from "../../../test/support/virtio-machine.ts";
import { VirtioBlock } from "./block.ts";
import { VirtioConsole } from "./console.ts";
import { VirtioEntropy } from "./entropy.ts";

const RINGS = [
  { packed: false, eventIndex: false, indirect: false },
  { packed: false, eventIndex: true, indirect: true },
  { packed: true, eventIndex: false, indirect: false },
  { packed: true, eventIndex: true, indirect: false },
  { packed: true, eventIndex: true, indirect: true },
];

test("an empty slot has a magic number and no device", () => {
  const { mmio } = attach(undefined);
  expect([0, 4, 8].map((offset) => mmio.read(offset, 4))).toEqual([0x7472_6976, 2, 0]);
});

test("features that were not offered, or a driver without VERSION_1, are refused", () => {
  const { mmio } = attach(new VirtioEntropy((length) => new Uint8Array(length)));
  for (const [low, high] of [
    [0, 0],
    [1, 1],
    [0, 1 | (1 << 9)],
  ] as const) {
    mmio.write(0x70, 4, 0);
    mmio.write(0x70, 4, 3);
    mmio.write(0x24, 4, 0);
    mmio.write(0x20, 4, low);
    mmio.write(0x24, 4, 1);
    mmio.write(0x20, 4, high);
    mmio.write(0x70, 4, 11);
    expect(mmio.read(0x70, 4)).toBe(3);
  }
});

describe.each(RINGS)("packed $packed, event index $eventIndex, indirect $indirect", (ring) => {
  test.each([false, true])("a disk reads, writes, flushes and identifies itself (late: %s)", async (late) => {
    const disk = new MemoryDisk(1 << 20, { late });
    const { mmio, memory, line } = attach(new VirtioBlock(disk));
    const driver = new VirtioDriver(mmio, memory, ring);
    driver.start([16], (1 << 9) | (1 << 13) | (1 << 14));
    const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
    expect(mmio.read(0x100, 4)).toBe((1 << 20) / 512);
    // More rounds than the ring has places, so that indices and wrap counters turn.
    for (let round = 0; round < 40; round++) {
      const data = pattern(1024 + 512 * (round % 3), round);
      const write = driver.add(0, [header(1, round), data.subarray(0, 700), data.subarray(700), 1]);
      driver.notify(0);
      if (late) await settle();
      expect(line.level).toBe(true);
      mmio.write(0x64, 4, mmio.read(0x60, 4));
      expect(line.level).toBe(false);
      expect(driver.returned(0)).toEqual([{ token: write, written: 1, bytes: Uint8Array.of(0) }]);
      driver.add(0, [header(0, round), 300, data.length - 300, 1]);
      driver.add(0, [header(4, 0), 1]);
      driver.notify(0);
      if (late) await settle();
      const [read, flush] = driver.returned(0);
      expect(read!.written).toBe(data.length + 1);
      expect(read!.bytes.subarray(0, data.length)).toEqual(data);
      expect(flush!.bytes).toEqual(Uint8Array.of(0));
      mmio.write(0x64, 4, 3);
    }
    expect(disk.flushes).toBe(40);
    driver.add(0, [header(8, 0), 20, 1]);
    driver.notify(0);
    if (late) await settle();
    expect(String.fromCharCode(...driver.returned(0)[0]!.bytes.subarray(0, 12))).toBe("elvisor-test");
  });

  test("buffers of several sizes return in order of completion and interrupts are not lost", () => {
    const random = Random.ofThisRun();
    console.log(`virtio ring seed ${random.seed}`);
    const { mmio, memory, line } = attach(
      new VirtioEntropy((length) => new Uint8Array(length).fill(7)),
      1 << 26,
    );
    const driver = new VirtioDriver(mmio, memory, ring);
    driver.start([64]);
    let outstanding = 0;
    for (let round = 0; round < 4000; round++) {
      const count = 1 + random.below(4);
      for (let i = 0; i < count; i++) {
        driver.add(
          0,
          Array.from({ length: 1 + random.below(4) }, () => 1 + random.below(60)),
        );
        outstanding++;
      }
      driver.notify(0);
      if (round % 3 !== 0) continue;
      expect(line.level).toBe(true);
      mmio.write(0x64, 4, 1);
      const back = driver.returned(0);
      expect(back).toHaveLength(outstanding);
      expect(
        back.every(({ written, bytes }) => written === bytes.length && bytes.every((byte) => byte === 7)),
      ).toBe(true);
      outstanding = 0;
      if (round % 100 === 0) driver.rewind();
    }
  });
});

test("one queue is reset alone, and set up again", () => {
  const { mmio, memory } = attach(new VirtioBlock(new MemoryDisk(1 << 16)));
  const driver = new VirtioDriver(mmio, memory, { queueReset: true });
  driver.start([16]);
  driver.add(0, [header(0, 0), 512, 1]);
  mmio.write(0x30, 4, 0);
  mmio.write(0xc0, 4, 1);
  expect([mmio.read(0xc0, 4), mmio.read(0x44, 4), mmio.read(0x70, 4)]).toEqual([0, 0, 15]);
  driver.notify(0);
  expect(driver.returned(0)).toEqual([]);
  driver.setUp(0, 8);
  driver.add(0, [header(0, 0), 512, 1]);
  driver.notify(0);
  expect(driver.returned(0)).toHaveLength(1);
});

test("DRIVER_OK before FEATURES_OK breaks the rules", () => {
  const { mmio } = attach(new VirtioBlock(new MemoryDisk(1 << 16)));
  mmio.write(0x70, 4, 3);
  mmio.write(0x70, 4, 7);
  expect(mmio.read(0x70, 4) & 64).toBe(64);
});

test("disk errors become the guest's, not ours", async () => {
  for (const late of [false, true]) {
    const disk = new MemoryDisk(1 << 16, { late });
    const reports: string[] = [];
    const { mmio, memory } = attach(
      new VirtioBlock(disk, { log: { report: (_, what) => reports.push(what) } }),
    );
    const driver = new VirtioDriver(mmio, memory);
    driver.start([16]);
    const status = async (parts: (Uint8Array | number)[]) => {
      driver.add(0, parts);
      driver.notify(0);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return driver.returned(0)[0]!.bytes.at(-1);
    };
    expect(await status([header(0, 127), 1024, 1])).toBe(1);
    expect(await status([header(0, 2 ** 40), 512, 1])).toBe(1);
    expect(await status([header(1, 0), new Uint8Array(100), 1])).toBe(1);
    expect(await status([header(77, 0), 1])).toBe(2);
    expect(await status([header(13, 0), new Uint8Array(15), 1])).toBe(1);
    disk.fail = true;
    expect(await status([header(0, 0), 512, 1])).toBe(1);
    expect(await status([header(4, 0), 1])).toBe(1);
    expect(reports.some((report) => report.includes("disk on fire"))).toBe(true);
    expect(mmio.read(0x70, 4)).toBe(15);
  }
});

test("a read-only disk refuses writes and says so", () => {
  const disk = new MemoryDisk(1 << 16, { readOnly: true });
  const { mmio, memory } = attach(new VirtioBlock(disk));
  mmio.write(0x14, 4, 0);
  expect(mmio.read(0x10, 4) & (1 << 5)).toBe(1 << 5);
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16], 1 << 5);
  driver.add(0, [header(1, 0), new Uint8Array(512).fill(1), 1]);
  driver.notify(0);
  expect(driver.returned(0)[0]!.bytes).toEqual(Uint8Array.of(1));
  expect(disk.bytes.every((byte) => byte === 0)).toBe(true);
});

test("write zeroes and discard take ranges", () => {
  const disk = new MemoryDisk(1 << 16);
  disk.bytes.fill(0xaa);
  const { mmio, memory } = attach(new VirtioBlock(disk));
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16], (1 << 13) | (1 << 14));
  const range = (sector: number, sectors: number, flags = 0) => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, sector, true);
    view.setUint32(8, sectors, true);
    view.setUint32(12, flags, true);
    return bytes;
  };
  driver.add(0, [header(13, 0), range(1, 2), range(4, 1, 1), 1]);
  driver.add(0, [header(11, 0), range(8, 1), 1]);
  driver.add(0, [header(11, 0), range(8, 1, 1), 1]);
  driver.add(0, [header(13, 0), range(0, 1), range(127, 2), 1]);
  driver.notify(0);
  expect(driver.returned(0).map(({ bytes }) => bytes[0])).toEqual([0, 0, 2, 1]);
  const sectors = [0, 1, 2, 3, 4, 5, 8].map((sector) => disk.bytes[sector * 512]);
  expect(sectors).toEqual([0xaa, 0, 0, 0xaa, 0, 0xaa, 0xdd]);
});

test("a reset drops requests that are under way", async () => {
  const disk = new MemoryDisk(1 << 16, { late: true });
  disk.bytes.fill(0x55);
  const { mmio, memory, line } = attach(new VirtioBlock(disk));
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16]);
  driver.add(0, [header(0, 0), 512, 1]);
  driver.notify(0);
  mmio.write(0x70, 4, 0);
  const before = memory.bytes.slice();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(memory.bytes.every((byte, index) => byte === before[index])).toBe(true);
  expect(line.level).toBe(false);
});

test("a console carries bytes both ways, waits for buffers, and tells its size", async () => {
  const output: number[] = [];
  const device = new VirtioConsole({
    ports: [{ console: true, output: { write: (bytes) => output.push(...bytes) } }],
    size: { columns: 80, rows: 24 },
  });
  const { mmio, memory, line } = attach(device);
  const driver = new VirtioDriver(mmio, memory);
  const early = device.receive(Uint8Array.of(1, 2, 3, 4, 5));
  driver.start([16, 16], 1);
  driver.add(1, [Uint8Array.of(65, 66), Uint8Array.of(67)]);
  driver.notify(1);
  expect(output).toEqual([65, 66, 67]);
  driver.add(0, [2]);
  driver.notify(0);
  expect(driver.returned(0)[0]!.bytes).toEqual(Uint8Array.of(1, 2));
  driver.add(0, [8]);
  driver.notify(0);
  await early;
  expect(driver.returned(0)[0]).toMatchObject({ written: 3 });
  expect(mmio.read(0x100, 4)).toBe(80 | (24 << 16));
  mmio.write(0x64, 4, 3);
  device.resize(132, 50);
  expect(line.level).toBe(true);
  expect(mmio.read(0x60, 4)).toBe(2);
  expect(mmio.read(0xfc, 4)).toBe(1);
  expect([mmio.read(0x100, 2), mmio.read(0x102, 2)]).toEqual([132, 50]);
  mmio.write(0x108, 4, 0x21);
  expect(output.at(-1)).toBe(0x21);
});

test("named ports are announced, carry bytes once open, and end", async () => {
  const output: string[] = [];
  const port = (name: string) => ({
    console: false,
    name,
    output: { write: (bytes: Uint8Array) => output.push(`${name}:${String.fromCharCode(...bytes)}`) },
  });
  const device = new VirtioConsole({ ports: [port("in"), port("out")], multiport: true });
  const { mmio, memory } = attach(device);
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16, 16, 16, 16, 16, 16], 2);
  expect(mmio.read(0x104, 4)).toBe(2);
  const control = (id: number, event: number, value: number) => {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, id, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    driver.add(3, [bytes]);
    driver.notify(3);
  };
  const heard = () =>
    driver.returned(2).map(({ bytes, written }) => {
      const view = new DataView(bytes.buffer);
      const text = String.fromCharCode(...bytes.subarray(8, written));
      return `${view.getUint32(0, true)} ${view.getUint16(4, true)} ${view.getUint16(6, true)}${text && ` ${text}`}`;
    });
  for (let i = 0; i < 10; i++) driver.add(2, [32]);
  driver.notify(2);
  control(0, 0, 1);
  expect(heard()).toEqual(["0 1 1", "1 1 1"]);
  control(1, 3, 1);
  expect(heard()).toEqual(["1 7 1 out", "1 6 1"]);
  driver.add(4, [16]);
  driver.notify(4);
  let sent = false;
  const sending = device.receive(Uint8Array.of(104, 105), 1).then(() => {
    sent = true;
  });
  device.end(1);
  await Promise.resolve();
  expect(sent).toBe(false);
  control(1, 6, 1);
  await sending;
  expect(driver.returned(4)[0]).toMatchObject({ written: 2 });
  expect(heard()).toEqual(["1 6 0"]);
  driver.add(5, [Uint8Array.of(88)]);
  driver.notify(5);
  expect(output).toEqual(["out:X"]);
});
