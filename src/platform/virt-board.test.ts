import { describe, expect, test } from "vitest";
import { UserError } from "../base/errors.ts";
import { memoryMap } from "./memory-map.ts";
import { allDevices } from "./platform-spec.ts";
import { formatBytes, MEBIBYTE } from "./units.ts";
import { cpuAffinity, virtBoard } from "./virt-board.ts";
import { virtPlatform } from "./virt-device-tree.ts";
import { MAXIMUM_CPUS } from "./virt-map.ts";

const OPTIONS = { memoryBytes: 512 * MEBIBYTE, cpus: 2, secure: true, virtualization: true };

describe("virtBoard()", () => {
  const platform = virtPlatform(OPTIONS);

  test("gives every device its own id and every address to one of them", () => {
    const ids = [...allDevices(platform.devices)].map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);

    const rows = memoryMap(platform);
    const overlaps = rows.filter((row, index) => {
      const next = rows[index + 1];
      return next !== undefined && row.base + row.size > next.base;
    });
    expect(overlaps).toEqual([]);
  });

  test("refers only to devices that it has", () => {
    const ids = new Set([...allDevices(platform.devices)].map(({ id }) => id));
    const references = [...allDevices(platform.devices)].flatMap((device) => [
      ...device.clocks.map(({ source }) => source),
      ...device.gpios.map(({ controller }) => controller),
    ]);
    expect(references.filter((id) => !ids.has(id))).toEqual([]);
    expect(ids).toContain(platform.interruptController);
  });

  test("has each shared interrupt once", () => {
    const shared = [...allDevices(platform.devices)].flatMap(({ interrupts }) =>
      interrupts.filter(({ type }) => type === "spi").map(({ number }) => number),
    );
    expect(new Set(shared).size).toBe(shared.length);
  });

  test("lists its memory map with interrupt ids", () => {
    const row = memoryMap(platform).find(({ name }) => name === "pl011");
    const expected = { base: 0x0900_0000, size: 0x1000, what: "arm,pl011", world: "any", interruptIds: [33] };
    expect(row).toMatchObject(expected);
  });

  test.each([
    [{ virtioSlots: 33 }, /33 virtio slots/],
    [{ virtioSlots: -1 }, /-1 virtio slots/],
    [{ cpus: 0 }, /0 CPUs/],
    [{ cpus: MAXIMUM_CPUS + 1 }, /124 CPUs; give a number from 1 to 123/],
    [{ memoryBytes: 4096 }, /4 KiB of memory; .* from 1 MiB to 255 GiB/],
  ])("refuses %o", (bad, message) => {
    const make = () => virtBoard({ ...OPTIONS, psciConduit: "smc", ...bad });
    expect(make).toThrow(message);
    expect(make).toThrow(UserError);
  });
});

test("cpuAffinity() fills clusters of 16", () => {
  expect([0, 15, 16, 35].map(cpuAffinity)).toEqual([0, 15, 0x100, 0x203]);
});

test.each([
  [0, "0 bytes"],
  [1000, "1000 bytes"],
  [1536, "1536 bytes"],
  [512 * MEBIBYTE, "512 MiB"],
  [3 * 1024 * MEBIBYTE, "3 GiB"],
])("formatBytes(%i) is %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
