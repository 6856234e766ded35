import { describe, expect, test } from "vitest";
import { edgeWord, FUZZ_ACCESSES, fuzzDevice } from "../../../test/support/device-fuzz.ts";
import { Random } from "../../../test/support/random.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { header, MemoryDisk } from "../../../test/support/virtio-machine.ts";
import {
  attachPci,
  HIGH_WINDOW,
  MSIX_BAR,
  pciMachine,
  STRUCTURES_BAR,
} from "../../../test/support/virtio-pci-machine.ts";
import { VirtioBlock } from "./block.ts";
import { VirtioEntropy } from "./entropy.ts";

const disk = () => new VirtioBlock(new MemoryDisk(1 << 16));
const entropy = () => new VirtioEntropy((length) => new Uint8Array(length).fill(7));

describe("configuration space", () => {
  test("says what the device is", () => {
    const { configuration } = pciMachine(disk());
    expect(configuration.read(0, 4)).toBe(0x1042_1af4);
    expect(configuration.read(8, 4)).toBe(0x0100_0001);
    expect(configuration.read(0x2c, 4)).toBe(0x1100_1af4);
    expect(configuration.read(0x3d, 1)).toBe(1);
  });

  test("BARs tell their sizes, and decode where they are put while memory space is on", () => {
    const { configuration, structures, host } = pciMachine(disk());
    expect(configuration.read(0x14, 4)).toBe(MSIX_BAR);
    for (const [register, low, high] of [
      [0x14, 0xffff_f000, undefined],
      [0x20, 0xffff_c00c, 0xffff_ffff],
      [0x10, 0, undefined],
      [0x30, 0, undefined],
    ] as const) {
      const before = [configuration.read(register, 4), configuration.read(register + 4, 4)];
      configuration.write(register, 4, 0xffff_ffff);
      expect(configuration.read(register, 4)).toBe(low);
      if (high !== undefined) {
        configuration.write(register + 4, 4, 0xffff_ffff);
        expect(configuration.read(register + 4, 4)).toBe(high);
        configuration.write(register + 4, 4, before[1]!);
      }
      configuration.write(register, 4, before[0]!);
    }
    expect(structures.read(0x12, 2)).toBe(1);
    configuration.write(0x04, 2, 4);
    expect(structures.read(0x12, 2)).toBe(0xffff);
    configuration.write(0x04, 2, 6);
    configuration.write(0x20, 4, 0x4000_0000);
    expect(structures.read(0x12, 2)).toBe(0xffff);
    expect(host.windows[1]!.read(0x4000_0012, 2)).toBe(1);
  });

  test("where there is no function, or behind the 256 bytes of one, everything is ones", () => {
    const { host } = pciMachine(disk());
    expect(host.ecam.read(0, 4)).toBe(0x0008_1b36);
    for (const offset of [1 << 15, (3 << 15) | (1 << 12), 1 << 20, (3 << 15) | 0x100, (1 << 28) - 4])
      expect(host.ecam.read(offset, 4)).toBe(0xffff_ffff);
    expect(host.windows[2]!.read(0x10, 2)).toBe(0xffff);
  });

  test("the capability list names every structure, inside its BAR", () => {
    const { configuration } = pciMachine(disk());
    const found: number[][] = [];
    expect(configuration.read(6, 2) & 0x10).toBe(0x10);
    for (let at = configuration.read(0x34, 1); at !== 0; at = configuration.read(at + 1, 1)) {
      const id = configuration.read(at, 1);
      if (id === 0x11)
        found.push([id, configuration.read(at + 2, 2), ...[4, 8].map((i) => configuration.read(at + i, 4))]);
      else
        found.push([id, ...[3, 4].map((i) => configuration.read(at + i, 1)), configuration.read(at + 8, 4)]);
    }
    expect(found).toEqual([
      [0x11, 1, 1, 0x801],
      [9, 1, 4, 0],
      [9, 3, 4, 0x1000],
      [9, 4, 4, 0x2000],
      [9, 2, 4, 0x3000],
      [9, 5, 0, 0],
    ]);
  });

  test("the structures can be reached through configuration space alone", () => {
    const { configuration, structures } = pciMachine(disk());
    let at = configuration.read(0x34, 1);
    while (configuration.read(at, 1) !== 9 || configuration.read(at + 3, 1) !== 5)
      at = configuration.read(at + 1, 1);
    const select = (bar: number, offset: number, length: number) => {
      configuration.write(at + 4, 1, bar);
      configuration.write(at + 8, 4, offset);
      configuration.write(at + 12, 4, length);
    };
    select(4, 0x14, 1);
    configuration.write(at + 16, 1, 3);
    expect([configuration.read(at + 16, 1), structures.read(0x14, 1)]).toEqual([3, 3]);
    select(4, 0x2000, 4);
    expect(configuration.read(at + 16, 4)).toBe((1 << 16) / 512);
    for (const [bar, offset, length] of [
      [0, 0, 4],
      [4, 0x4000, 4],
      [4, 2, 4],
      [4, 0, 3],
      [4, 0xffff_fffc, 4],
    ] as const) {
      select(bar, offset, length);
      configuration.write(at + 16, 4, 0);
      expect(structures.read(0x14, 1)).toBe(3);
    }
  });
});

describe("interrupts", () => {
  const start = () => {
    const machine = attachPci(entropy());
    const driver = new VirtioDriver(machine.mmio, machine.memory);
    const ask = () => {
      driver.add(0, [16]);
      driver.notify(0);
      expect(driver.returned(0)).toHaveLength(1);
    };
    return { ...machine, driver, ask };
  };
  const control = 0x42;
  const message = (table: ReturnType<typeof start>["table"], vector: number, data: number, masked = 0) => {
    for (const [word, value] of [0x0809_0040, 0, data, masked].entries())
      table.write(16 * vector + 4 * word, 4, value);
  };

  test("by pin, until the ISR is read", () => {
    const { driver, ask, line, wires, structures, configuration } = start();
    driver.start([16]);
    ask();
    expect([line.level, wires.filter(({ level }) => level).length]).toEqual([true, 1]);
    expect(configuration.read(6, 2) & 8).toBe(8);
    configuration.write(4, 2, 6 | (1 << 10));
    expect(line.level).toBe(false);
    configuration.write(4, 2, 6);
    expect(line.level).toBe(true);
    expect([structures.read(0x1000, 1), structures.read(0x1000, 1), line.level]).toEqual([1, 0, false]);
  });

  test("by message, each queue its own; masked ones are kept", () => {
    const { driver, ask, line, messages, table, structures, configuration } = start();
    configuration.write(control, 2, 0x8000);
    message(table, 1, 77);
    driver.start([16]);
    structures.write(0x16, 2, 0);
    structures.write(0x1a, 2, 1);
    expect(structures.read(0x1a, 2)).toBe(1);
    ask();
    expect(messages.splice(0)).toEqual([{ requester: 3 << 3, address: 0x0809_0040, data: 77 }]);
    expect([line.level, structures.read(0x1000, 1)]).toEqual([false, 0]);
    message(table, 1, 78, 1);
    ask();
    ask();
    expect([messages.length, table.read(0x800, 4)]).toEqual([0, 2]);
    message(table, 1, 79);
    expect(messages.splice(0).map(({ data }) => data)).toEqual([79]);
    expect(table.read(0x800, 4)).toBe(0);
    configuration.write(control, 2, 0xc000);
    ask();
    expect(messages).toEqual([]);
    configuration.write(control, 2, 0x8000);
    expect(messages.splice(0).map(({ data }) => data)).toEqual([79]);
    // No bus master, no messages; and no vector that does not exist.
    structures.write(0x1a, 2, 2);
    expect(structures.read(0x1a, 2)).toBe(0xffff);
  });

  test("a change of the configuration has its own vector", () => {
    const { driver, messages, table, structures, configuration } = start();
    configuration.write(control, 2, 0x8000);
    message(table, 0, 5);
    driver.start([16]);
    structures.write(0x10, 2, 0);
    driver.memory.write16(driver.queue(0).driver + 2, 500);
    driver.notify(0);
    expect(structures.read(0x14, 1) & 64).toBe(64);
    expect(messages.map(({ data }) => data)).toEqual([5]);
  });
});

test("a device that is no bus master reaches no memory", () => {
  const { mmio, memory, configuration } = attachPci(disk());
  const driver = new VirtioDriver(mmio, memory);
  driver.start([16]);
  driver.add(0, [header(0, 0), 512, 1]);
  configuration.write(4, 2, 2);
  const before = memory.bytes.slice();
  driver.notify(0);
  expect(memory.bytes.every((byte, index) => byte === before[index])).toBe(true);
  expect(mmio.read(0x70, 4) & 64).toBe(64);
});

test("reset takes everything back", () => {
  const machine = attachPci(disk());
  const driver = new VirtioDriver(machine.mmio, machine.memory);
  driver.start([16]);
  machine.host.reset();
  const fresh = pciMachine(disk());
  fresh.host.reset();
  expect([...machine.host.ecam.state!()]).toEqual([...fresh.host.ecam.state!()]);
});

test("random accesses to every window never throw", { timeout: 300_000 }, () => {
  const random = Random.ofThisRun();
  console.log(`pci fuzz seed ${random.seed}`);
  const { host, configuration, structures, table } = pciMachine(disk(), 1 << 16);
  const inside = (name: string, size: number, part: typeof table) => ({
    name,
    size,
    reset: () => {},
    ...part,
  });
  const parts = [
    inside("function", 0x1000, configuration),
    inside("structures", 0x4000, structures),
    inside("table", 0x1000, table),
    host.ecam,
    ...host.windows,
  ];
  const place = () => {
    configuration.write(0x14, 4, MSIX_BAR);
    configuration.write(0x20, 4, STRUCTURES_BAR % 2 ** 32);
    configuration.write(0x24, 4, HIGH_WINDOW / 2 ** 32);
    configuration.write(0x04, 2, random.below(2) === 0 ? 6 : edgeWord(random) & 0xffff);
  };
  for (let round = 0; round < 20; round++) {
    for (const part of parts) {
      place();
      fuzzDevice(part, random, Math.ceil(FUZZ_ACCESSES / 20));
    }
    host.reset();
  }
});
