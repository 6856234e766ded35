import { describe, expect, test } from "vitest";
import { edgeWord, FUZZ_ACCESSES, fuzzDevice } from "../../../test/support/device-fuzz.ts";
import { FlatMemory } from "../../../test/support/flat-memory.ts";
import { Random } from "../../../test/support/random.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { type BlockStore, VirtioBlock } from "./block.ts";
import { VirtioConsole } from "./console.ts";
import type { VirtioDevice } from "./device.ts";
import { VirtioEntropy } from "./entropy.ts";
import { VirtioMmio } from "./mmio-transport.ts";

const BASE = 0x4000_0000;

function attach(device: VirtioDevice | undefined, bytes = 1 << 20) {
  const memory = new FlatMemory(BASE, bytes);
  const line = { level: false, rises: 0 };
  const mmio = new VirtioMmio({
    memory,
    line: {
      set: (level) => {
        if (level && !line.level) line.rises++;
        line.level = level;
      },
    },
    ...(device === undefined ? {} : { device }),
  });
  return { memory, mmio, line };
}

/** A disk in memory; `late` makes every operation finish in a later turn. */
class MemoryDisk implements BlockStore {
  readonly size: number;
  readonly readOnly: boolean;
  readonly serial = "elvisor-test";
  readonly bytes: Uint8Array;
  readonly late: boolean;
  flushes = 0;
  fail = false;

  constructor(size: number, options: { readOnly?: boolean; late?: boolean } = {}) {
    this.size = size;
    this.bytes = new Uint8Array(size);
    this.readOnly = options.readOnly ?? false;
    this.late = options.late ?? false;
  }

  read(offset: number, target: Uint8Array) {
    return this.#do(() => target.set(this.bytes.subarray(offset, offset + target.length)));
  }

  write(offset: number, source: Uint8Array) {
    return this.#do(() => this.bytes.set(source, offset));
  }

  flush() {
    return this.#do(() => this.flushes++);
  }

  discard(offset: number, length: number) {
    return this.#do(() => this.bytes.fill(0xdd, offset, offset + length));
  }

  #do(action: () => unknown): Promise<void> | undefined {
    if (this.fail) {
      if (this.late) return Promise.reject(new Error("disk on fire"));
      throw new Error("disk on fire");
    }
    if (this.late) return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => void action());
    action();
    return undefined;
  }
}

function header(type: number, sector: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return bytes;
}

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 8)) & 0xff);
}

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
    [0, 1 | (1 << 8)],
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
    const random = new Random(Date.now());
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

test("disk errors become the guest's, not ours", async () => {
  for (const late of [false, true]) {
    const disk = new MemoryDisk(1 << 16, { late });
    const reports: string[] = [];
    const { mmio, memory } = attach(new VirtioBlock(disk, { report: (_, what) => reports.push(what) }));
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

describe("a driver that breaks the rules stops the device, not the host", () => {
  type Break = (driver: VirtioDriver, memory: FlatMemory) => void;
  const descriptor = (driver: VirtioDriver, index: number, fields: [bigint, number, number, number]) => {
    const at = driver.queue(0).descriptors + 16 * index;
    driver.memory.write64(at, fields[0]);
    driver.memory.write32(at + 8, fields[1]);
    driver.memory.write16(at + 12, fields[2]);
    driver.memory.write16(at + 14, fields[3]);
  };
  const offer = (driver: VirtioDriver, head: number, index = 1) => {
    driver.memory.write16(driver.queue(0).driver + 4, head);
    driver.memory.write16(driver.queue(0).driver + 2, index);
  };
  const cases: [string, Break][] = [
    [
      "a chain that loops",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 16, 1, 1]);
        descriptor(driver, 1, [BigInt(BASE), 16, 1, 0]);
        offer(driver, 0);
      },
    ],
    ["a head beyond the table", (driver) => offer(driver, 16)],
    [
      "a next beyond the table",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 16, 1, 99]);
        offer(driver, 0);
      },
    ],
    ["an index too far ahead", (driver) => offer(driver, 0, 500)],
    [
      "an address outside memory",
      (driver) => {
        descriptor(driver, 0, [0x1000n, 16, 2, 0]);
        offer(driver, 0);
      },
    ],
    [
      "an address near 2^64",
      (driver) => {
        descriptor(driver, 0, [(1n << 64n) - 8n, 16, 2, 0]);
        offer(driver, 0);
      },
    ],
    [
      "a huge length",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 0xffff_ffff, 2, 0]);
        offer(driver, 0);
      },
    ],
    [
      "a length of zero",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 0, 2, 0]);
        offer(driver, 0);
      },
    ],
    [
      "readable after writable",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 16, 3, 1]);
        descriptor(driver, 1, [BigInt(BASE), 16, 0, 0]);
        offer(driver, 0);
      },
    ],
    [
      "an indirect table of odd length",
      (driver) => {
        descriptor(driver, 0, [BigInt(BASE), 17, 4, 0]);
        offer(driver, 0);
      },
    ],
    [
      "an indirect table outside memory",
      (driver) => {
        descriptor(driver, 0, [0n, 32, 4, 0]);
        offer(driver, 0);
      },
    ],
    [
      "an indirect table that loops",
      (driver) => {
        const table = driver.allocate(32);
        driver.memory.write64(table, BigInt(BASE));
        driver.memory.write32(table + 8, 16);
        driver.memory.write16(table + 12, 1);
        descriptor(driver, 0, [BigInt(table), 32, 4, 0]);
        offer(driver, 0);
      },
    ],
    [
      "an indirect table inside another",
      (driver) => {
        const table = driver.allocate(16);
        driver.memory.write64(table, BigInt(table));
        driver.memory.write32(table + 8, 16);
        driver.memory.write16(table + 12, 4);
        descriptor(driver, 0, [BigInt(table), 16, 4, 0]);
        offer(driver, 0);
      },
    ],
    [
      "a request without a status byte",
      (driver) => {
        driver.add(0, [header(0, 0)]);
      },
    ],
    [
      "a request with a short header",
      (driver) => {
        driver.add(0, [new Uint8Array(8), 1]);
      },
    ],
  ];
  test.each(cases)("%s", (_, breakRules) => {
    const { mmio, memory, line } = attach(new VirtioBlock(new MemoryDisk(1 << 16)));
    const driver = new VirtioDriver(mmio, memory, { indirect: true });
    driver.start([16]);
    breakRules(driver, memory);
    driver.notify(0);
    expect(mmio.read(0x70, 4) & 64).toBe(64);
    expect(mmio.read(0x60, 4)).toBe(2);
    expect(line.level).toBe(true);
    // Nothing more happens until a reset, after which everything works again.
    driver.notify(0);
    driver.start([16]);
    expect(mmio.read(0x70, 4)).toBe(15);
    driver.add(0, [header(0, 0), 512, 1]);
    driver.notify(0);
    expect(driver.returned(0)).toHaveLength(1);
  });

  test("queues of unfit sizes or places", () => {
    const { mmio } = attach(new VirtioBlock(new MemoryDisk(1 << 16)));
    for (const [size, address] of [
      [0, BASE],
      [3, BASE],
      [512, BASE],
      [16, 0],
    ] as const) {
      mmio.write(0x70, 4, 0);
      mmio.write(0x24, 4, 1);
      mmio.write(0x20, 4, 1);
      mmio.write(0x70, 4, 11);
      mmio.write(0x38, 4, size);
      for (const offset of [0x80, 0x90, 0xa0]) mmio.write(offset, 4, address);
      mmio.write(0x44, 4, 1);
      expect(mmio.read(0x70, 4) & 64).toBe(64);
    }
  });
});

test("random registers, rings and descriptors never throw", { timeout: 300_000 }, async () => {
  const random = new Random(Date.now());
  console.log(`virtio fuzz seed ${random.seed}`);
  const devices = [
    new VirtioBlock(new MemoryDisk(1 << 16)),
    new VirtioBlock(new MemoryDisk(1 << 16, { late: true })),
    new VirtioEntropy((length) => new Uint8Array(length)),
    new VirtioConsole({
      ports: [0, 1, 2].map(() => ({ console: true, output: { write() {} } })),
      multiport: true,
      size: { columns: 1, rows: 1 },
    }),
  ];
  for (const device of devices) {
    const { mmio, memory } = attach(device, 1 << 16);
    if (device instanceof VirtioConsole) void device.receive(new Uint8Array(100_000), 1);
    fuzzDevice(mmio, random);
    for (let round = 0; round < FUZZ_ACCESSES / 500; round++) {
      const ring = {
        packed: random.below(2) === 0,
        eventIndex: random.below(2) === 0,
        indirect: random.below(2) === 0,
      };
      const driver = new VirtioDriver(mmio, memory, ring);
      const sizes = device.queueSizes.map(() => 1 << random.below(5));
      driver.start(sizes, device instanceof VirtioConsole ? 3 : 0);
      for (let step = 0; step < 50; step++) {
        const queue = random.below(sizes.length);
        const { descriptors, driver: available, size } = driver.queue(queue);
        for (let i = 0; i < size; i++) {
          const at = descriptors + 16 * i;
          const inside = random.below(8) !== 0;
          memory.write64(at, BigInt(inside ? BASE + random.below(1 << 16) : edgeWord(random)));
          memory.write32(at + 8, random.below(8) === 0 ? edgeWord(random) : random.below(600));
          const flags = random.below(8) === 0 ? random.u32() : random.below(8) | (ring.packed ? 0x80 : 0);
          memory.write16(at + 12, ring.packed ? random.u32() : flags);
          memory.write16(at + 14, ring.packed ? flags : random.below(size + 1));
        }
        memory.write16(available + 2, random.below(4) === 0 ? random.u32() : step + 1);
        memory.write16(available + 4, random.below(size));
        driver.notify(queue);
      }
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
});
