import { describe, expect, it } from "vitest";
import { Bus } from "./bus.ts";
import { DirtyLog } from "./dirty-log.ts";
import { FRAME_FLAGS, FrameTable } from "./frame-table.ts";
import { MachineMemory } from "./machine-memory.ts";
import type { AccessWidth, MmioDevice } from "./mmio-device.ts";
import { MAP_ENTRY, PhysicalMap } from "./physical-map.ts";
import { TracedMemory } from "./traced-memory.ts";
import { TracedStore } from "./traced-store.ts";

function machine() {
  const memory = new MachineMemory(48 << 20);
  const frames = new FrameTable(memory);
  const map = new PhysicalMap(memory, frames);
  const store = new TracedStore(memory, frames);
  const ram = new TracedMemory(map, store);
  return { memory, frames, map, store, ram, bus: new Bus(map) };
}

class RecordingDevice implements MmioDevice {
  readonly name: string;
  readonly size: number;
  readonly log: string[] = [];
  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
  }
  read(offset: number, width: AccessWidth): number {
    this.log.push(`r${width}@${offset}`);
    return (0x4433_2211 >>> ((offset % 4) * 8)) & (2 ** (width * 8) - 1);
  }
  write(offset: number, width: AccessWidth, value: number): void {
    this.log.push(`w${width}@${offset}=${value.toString(16)}`);
  }
  reset(): void {}
}

describe("MachineMemory", () => {
  it("hands out aligned memory and never address 0", () => {
    const memory = new MachineMemory(1 << 20);
    const first = memory.allocate(10, 64);
    const second = memory.allocate(10, 4096);
    expect(first).toBeGreaterThan(0);
    expect(first % 64).toBe(0);
    expect(second % 4096).toBe(0);
    expect(second).toBeGreaterThanOrEqual(first + 10);
    expect(() => memory.allocate(1 << 20)).toThrow("no room");
  });
});

describe("PhysicalMap", () => {
  it("finds frames by look-up, above 4 GiB too", () => {
    const { map, ram, memory } = machine();
    map.mapRam(0x4000_0000, 0x4000);
    const high = map.mapRam(0x81_2345_6000, 0x2000);
    expect(ram.write32(0x81_2345_7ffc, 0xdead_beef)).toBe(true);
    expect(memory.view.getUint32(high + 0x1ffc, true)).toBe(0xdead_beef);
    expect(map.hostAddress(0x2345_6000, 0x81, false)).toBe(high);
    expect(map.hostAddress(0x2345_8000, 0x81, false)).toBe(0);
    expect(map.frames.page(high / 4096)).toBe(0x81_2345_6);
  });

  it("hides Secure memory from Non-secure accesses", () => {
    const { map, ram } = machine();
    map.mapRam(0x0e00_0000, 0x1000, { secure: true });
    expect(ram.read32(0x0e00_0000)).toBeUndefined();
    expect(ram.write32(0x0e00_0000, 1)).toBe(false);
    const secure = ram.inWorld(true);
    expect(secure.write32(0x0e00_0000, 1)).toBe(true);
    expect(secure.read32(0x0e00_0000)).toBe(1);
  });

  it("refuses RAM over RAM, devices over RAM and devices over devices", () => {
    const { map, bus } = machine();
    map.mapRam(0x1000, 0x2000);
    expect(() => map.mapRam(0x2000, 0x1000)).toThrow("two things");
    expect(() => bus.attach(0x2f00, new RecordingDevice("a", 0x200))).toThrow("over RAM");
    bus.attach(0x8000, new RecordingDevice("b", 0x200));
    expect(() => bus.attach(0x81ff, new RecordingDevice("c", 1))).toThrow("overlap");
    bus.attach(0x8200, new RecordingDevice("d", 0x200));
  });

  it("switches ROM between array and device", () => {
    const { map, bus, ram } = machine();
    const bank = map.mapRom(0, 0x2000);
    const flash = new RecordingDevice("flash", 0x2000);
    bus.attach(0, flash);
    ram.writeRom(bank, 0xffe, new Uint8Array([1, 2, 3, 4]));
    expect(ram.read32(0xffe)).toBe(0x0403_0201);
    expect(ram.write32(0xffe, 0)).toBe(false);
    let changes = 0;
    map.onChange(() => changes++);
    map.setRomVisible(bank, false);
    expect(changes).toBe(1);
    expect(ram.read32(0xffe)).toBeUndefined();
    expect(map.entryAt(0x1000, false) & MAP_ENTRY.KIND_MASK).toBe(MAP_ENTRY.DEVICE);
    map.setRomVisible(bank, true);
    expect(ram.read32(0xffe)).toBe(0x0403_0201);
  });
});

describe("TracedMemory", () => {
  it("reads and writes across pages that are not neighbours in the host", () => {
    const { map, ram, memory } = machine();
    map.mapRam(0x5000, 0x1000);
    memory.allocate(0x1000, 0x1000);
    map.mapRam(0x6000, 0x1000);
    expect(ram.write64(0x5ffc, 0x1122_3344_5566_7788n)).toBe(true);
    expect(ram.read64(0x5ffc)).toBe(0x1122_3344_5566_7788n);
    expect(ram.read16(0x5fff)).toBe(0x4455);
    expect(ram.write16(0x5fff, 0xabcd)).toBe(true);
    expect(ram.read8(0x6000)).toBe(0xab);
    expect(ram.isMemory(0x5000, 0x2000)).toBe(true);
    expect(ram.isMemory(0x5000, 0x2001)).toBe(false);
  });

  it("writes all or nothing", () => {
    const { map, ram } = machine();
    map.mapRam(0x5000, 0x1000);
    expect(ram.write(0x5ff0, new Uint8Array(32).fill(7))).toBe(false);
    expect(ram.read8(0x5ff0)).toBe(0);
    expect(ram.readInto(0x5ff0, new Uint8Array(32))).toBe(false);
    expect(ram.write(2 ** 48 - 4, new Uint8Array(8))).toBe(false);
    expect(ram.read32(2 ** 50)).toBeUndefined();
    expect(ram.read32(-4)).toBeUndefined();
  });

  it("asks before, tells after, in the order of spec S1", () => {
    const { map, ram, store, memory } = machine();
    const frame = map.mapRam(0x5000, 0x1000) / 4096;
    ram.write32(0x5010, 0x11);
    const log: string[] = [];
    const now = () => memory.view.getUint32(frame * 4096 + 0x10, true).toString(16);
    store.hooks.beforeMonitoredWrite = (write, bytes) => {
      log.push(`ask ${write.first}+${write.length} ${bytes[0]} sees ${now()}`);
      return bytes[0] !== 0x33 ? "allow" : "drop";
    };
    store.hooks.onTableWrite = (_write, old) => log.push(`table old ${old[0]} sees ${now()}`);
    store.hooks.onFirstWrite = (which) => log.push(`dirty ${which === frame}`);
    store.hooks.onCodeWrite = (_frame, first, length) => log.push(`code ${first}+${length}`);
    store.hooks.onWatchedWrite = (write) => log.push(`watch ${write.first}`);
    for (const kind of ["TR_PT", "TR_DIRTY", "TR_CODE", "TR_MON", "TR_WATCH"] as const)
      store.trace.add(frame, kind);
    ram.write32(0x5010, 0x22);
    expect(log).toEqual([
      "ask 16+4 34 sees 11",
      "table old 17 sees 22",
      "dirty true",
      "code 16+4",
      "watch 16",
    ]);
    log.length = 0;
    ram.write32(0x5010, 0x33);
    expect(log).toEqual(["ask 16+4 51 sees 22"]);
    expect(ram.read32(0x5010)).toBe(0x22);
    log.length = 0;
    ram.write32(0x5010, 0x44);
    expect(log.some((line) => line.startsWith("dirty"))).toBe(false);
  });

  it("tells of code writes by granule of 64 bytes", () => {
    const { map, ram, store } = machine();
    const frame = map.mapRam(0x5000, 0x1000) / 4096;
    let told = 0;
    store.hooks.onCodeWrite = () => told++;
    store.trace.addCode(frame, 0x40, 4);
    store.trace.addCode(frame, 0xfc0, 64);
    ram.write32(0x503c, 1);
    expect(told).toBe(0);
    ram.write64(0x503c, 1n);
    expect(told).toBe(1);
    ram.write8(0x507f, 1);
    expect(told).toBe(2);
    ram.write8(0x5080, 1);
    expect(told).toBe(2);
    ram.write(0x5f00, new Uint8Array(0x100));
    expect(told).toBe(3);
    store.trace.remove(frame, "TR_CODE");
    ram.write8(0x507f, 1);
    expect(told).toBe(3);
    expect(store.frames.flags(frame)).toBe(FRAME_FLAGS.KIND_RAM);
  });

  it("revokes fast writes before the first trace of a frame returns", () => {
    const { map, store } = machine();
    const frame = map.mapRam(0x5000, 0x1000) / 4096;
    const revoked: number[] = [];
    store.trace.onRevoke(
      (which) => {
        expect(store.trace.has(which, "TR_PT")).toBe(true);
        revoked.push(which);
      },
      () => revoked.push(-1),
    );
    store.trace.add(frame, "TR_PT");
    store.trace.add(frame, "TR_WATCH");
    expect(revoked).toEqual([frame]);
    store.trace.addRange(frame, 1, "TR_DIRTY");
    expect(revoked).toEqual([frame, -1]);
  });

  it("compares and exchanges, traced or not", () => {
    const { map, ram, store } = machine();
    const host = map.mapRam(0x5000, 0x1000);
    ram.write64(0x5008, 5n);
    expect(store.compareExchange(host + 8, 4n, 6n)).toBe(false);
    expect(store.compareExchange(host + 8, 5n, 6n)).toBe(true);
    let tableWrites = 0;
    store.hooks.onTableWrite = () => tableWrites++;
    store.trace.add(host / 4096, "TR_PT");
    expect(store.compareExchange(host + 8, 5n, 7n)).toBe(false);
    expect(tableWrites).toBe(0);
    expect(store.compareExchange(host + 8, 6n, 7n)).toBe(true);
    expect(tableWrites).toBe(1);
    expect(ram.read64(0x5008)).toBe(7n);
  });
});

describe("DirtyLog", () => {
  it("tells each frame's first write of an epoch", () => {
    const { map, ram, store, memory } = machine();
    const first = map.mapRam(0x5000, 0x4000) / 4096;
    const log = new DirtyLog(memory, store);
    ram.write8(0x5000, 1);
    log.begin(first, 4);
    ram.write(0x7ffe, new Uint8Array(4));
    ram.write8(0x5000, 2);
    ram.write8(0x5001, 3);
    expect([0, 1, 2, 3].map((index) => log.isDirty(first + index))).toEqual([true, false, true, true]);
    expect(store.isTraced(first * 4096)).toBe(false);
    expect(log.begin(first, 4)).toEqual([first + 2, first + 3, first]);
    expect([0, 1, 2, 3].some((index) => log.isDirty(first + index))).toBe(false);
    ram.write8(0x6000, 1);
    log.end(first, 4);
    ram.write8(0x5000, 1);
    expect(log.begin(first, 4)).toEqual([first + 1]);
  });
});

describe("Bus", () => {
  it("splits wide and unaligned accesses in address order", () => {
    const { bus, memory } = machine();
    const device = new RecordingDevice("d", 0x100);
    bus.attach(0x900_0000, device);
    const target = memory.allocate(16);
    expect(bus.readTo(0x900_0000, 8, false, target)).toBe(true);
    expect(memory.view.getBigUint64(target, true)).toBe(0x4433_2211_4433_2211n);
    expect(bus.readTo(0x900_0001, 4, false, target)).toBe(true);
    expect(memory.view.getUint32(target, true)).toBe(0x1144_3322);
    memory.view.setBigUint64(target, 0x8877_6655_4433_2211n, true);
    expect(bus.writeFrom(0x900_0006, 8, false, target)).toBe(true);
    expect(device.log).toEqual([
      "r4@0",
      "r4@4",
      "r1@1",
      "r2@2",
      "r1@4",
      "w2@6=2211",
      "w4@8=66554433",
      "w2@12=8877",
    ]);
  });

  it("finds the device by range inside a page and aborts where none is", () => {
    const { bus, memory } = machine();
    const target = memory.allocate(16);
    const devices = [0, 1, 2].map((index) => new RecordingDevice(`v${index}`, 0x200));
    for (const index of [2, 0, 1]) bus.attach(0xa00_0000 + index * 0x200, devices[index]!);
    expect(bus.readTo(0xa00_0204, 4, false, target)).toBe(true);
    expect(devices.map((device) => device.log.length)).toEqual([0, 1, 0]);
    expect(bus.readTo(0xa00_0600, 4, false, target)).toBe(false);
    expect(bus.writeFrom(0xa00_05fe, 4, false, target)).toBe(false);
  });

  it("keeps Secure devices from Non-secure accesses", () => {
    const { bus, memory, map } = machine();
    const target = memory.allocate(16);
    bus.attach(0x904_0000, new RecordingDevice("s", 0x1000), { secure: true });
    expect(map.entryAt(0x904_0000, false)).toBe(MAP_ENTRY.ABSENT);
    expect(bus.readTo(0x904_0000, 4, true, target)).toBe(true);
    expect(bus.readTo(0x904_0000, 4, false, target)).toBe(false);
  });
});
