import { describe, expect, test } from "vitest";
import type { FlatMemory } from "../../../test/support/flat-memory.ts";
import { Random } from "../../../test/support/random.ts";
import { fuzzRings } from "../../../test/support/ring-fuzz.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { attach, BASE, header, MemoryDisk } from "../../../test/support/virtio-machine.ts";
import { VirtioBlock } from "./block.ts";
import { VirtioConsole } from "./console.ts";
import { VirtioEntropy } from "./entropy.ts";
import { VirtioFileSystem } from "./file-system.ts";

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
  const random = Random.ofThisRun();
  console.log(`virtio fuzz seed ${random.seed}`);
  const request = () => header(random.pick([0, 1, 4, 8, 11, 13, 99]), random.below(200));
  fuzzRings(new VirtioBlock(new MemoryDisk(1 << 16)), random, { request });
  fuzzRings(new VirtioBlock(new MemoryDisk(1 << 16, { late: true })), random, { request });
  fuzzRings(new VirtioEntropy((length) => new Uint8Array(length)), random);
  const files = new VirtioFileSystem("hostile", {
    handle: (bytes, most) => {
      const answer = bytes.length > most ? undefined : bytes.slice();
      return bytes.length % 2 === 0 ? answer : Promise.resolve(answer);
    },
    reset: () => {},
  });
  fuzzRings(files, random);
  const consoleDevice = new VirtioConsole({
    ports: [0, 1, 2].map(() => ({ console: true, output: { write() {} } })),
    multiport: true,
    size: { columns: 1, rows: 1 },
  });
  void consoleDevice.receive(new Uint8Array(100_000), 1);
  fuzzRings(consoleDevice, random, {
    features: 3,
    request: () => {
      const bytes = new Uint8Array(8);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, random.below(4), true);
      view.setUint16(4, random.below(8), true);
      view.setUint16(6, random.below(2), true);
      return bytes;
    },
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
});

test("a device that is made to write over its own ring ends all the same", () => {
  let calls = 0;
  const device = new VirtioEntropy((length) => {
    // One more buffer is available, and again the first.
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint16(2, ++calls + 1, true);
    if (calls > 1000) throw new Error("the device would go on for ever");
    return bytes;
  });
  const { mmio, memory, reports } = attach(device);
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16]);
  const { descriptors, driver: available } = driver.queue(0);
  memory.write64(descriptors, BigInt(available));
  memory.write32(descriptors + 8, 36);
  memory.write16(descriptors + 12, 2);
  memory.write16(available + 2, 1);
  driver.notify(0);
  expect([calls, mmio.read(0x70, 4) & 64]).toEqual([16, 64]);
  expect(reports).toEqual([
    "virtio-entropy: driver error, device needs a reset: queue 0: ring that changes while it is served",
  ]);
});

test("a console takes no output that would fill its host", () => {
  const output = { bytes: 0 };
  const device = new VirtioConsole({
    ports: [{ console: true, output: { write: (bytes) => (output.bytes += bytes.length) } }],
  });
  const { mmio, memory } = attach(device);
  const driver = new VirtioDriver(mmio, memory, { indirect: true });
  driver.start([16, 16]);
  const table = driver.allocate(16 * 1000);
  for (let index = 0; index < 1000; index++) {
    memory.write64(table + 16 * index, BigInt(BASE));
    memory.write32(table + 16 * index + 8, 1 << 19);
    memory.write16(table + 16 * index + 12, index < 999 ? 1 : 0);
    memory.write16(table + 16 * index + 14, index + 1);
  }
  const { descriptors, driver: available } = driver.queue(1);
  memory.write64(descriptors, BigInt(table));
  memory.write32(descriptors + 8, 16 * 1000);
  memory.write16(descriptors + 12, 4);
  memory.write16(available + 2, 1);
  driver.notify(1);
  expect([output.bytes, mmio.read(0x70, 4) & 64]).toEqual([0, 64]);
});
