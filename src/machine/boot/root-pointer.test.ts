import { describe, expect, test } from "vitest";
import { platformTables } from "../../platform/acpi/platform-tables.ts";
import { withChecksum } from "../../platform/acpi/table.ts";
import { layOutTables } from "../../platform/acpi/table-layout.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { virtPlatform } from "../../platform/virt-device-tree.ts";
import { type BootInputs, planBoot } from "./boot-plan.ts";
import { findTables } from "./root-pointer.ts";

const ADDRESS = 0x4a00_0000;
const MACHINE = { memoryBytes: 512 * MEBIBYTE, cpus: 1, secure: false, virtualization: false };

/** A block of tables as firmware would leave it, its RSDP at `at` behind them. */
function tablesInMemory(at = 16): { bytes: Uint8Array; rsdp: number } {
  const block = layOutTables(platformTables(virtPlatform(MACHINE)), ADDRESS);
  const offset = Math.ceil(block.bytes.length / 16) * 16 + at;
  const bytes = new Uint8Array(offset + block.rsdp.length);
  bytes.set(block.bytes);
  bytes.set(block.rsdp, offset);
  return { bytes, rsdp: offset };
}

describe("findTables()", () => {
  const { bytes, rsdp } = tablesInMemory();

  test("finds the pointer to tables that somebody has left", () => {
    const range = { base: ADDRESS, size: bytes.length };
    const noise = {
      address: 0x4800_0000,
      bytes: new TextEncoder().encode("RSD PTR and something else, 64 bytes".repeat(4)),
    };
    expect(findTables([noise, { address: ADDRESS, bytes }])).toEqual({ rsdp: ADDRESS + rsdp, range });
  });

  test("finds one in another piece than its tables", () => {
    const pointer = { address: 0x4b00_0000, bytes: bytes.slice(rsdp) };
    const tables = { address: ADDRESS, bytes: bytes.slice(0, rsdp) };
    expect(findTables([tables, pointer])?.rsdp).toBe(0x4b00_0000);
  });

  test.each<[string, (copy: Uint8Array, pointer: Uint8Array) => void]>([
    ["a broken checksum", (_, pointer) => pointer.set([pointer[9]! ^ 1], 9)],
    ["a broken second checksum", (_, pointer) => pointer.set([pointer[33]! ^ 1], 33)],
    [
      "an old revision",
      (_, pointer) => {
        pointer[15] = 1;
        withChecksum(pointer, 8, 20);
        withChecksum(pointer, 32);
      },
    ],
    [
      "an XSDT that is somewhere else",
      (_, pointer) => {
        pointer[31] = 0xff;
        withChecksum(pointer, 32);
      },
    ],
    ["a broken table", (copy) => copy.fill(0xff, 0, rsdp)],
  ])("passes over one with %s", (_, damage) => {
    const copy = bytes.slice();
    damage(copy, copy.subarray(rsdp));
    expect(findTables([{ address: ADDRESS, bytes: copy }])).toBeUndefined();
  });

  test("looks at multiples of 16 only", () => {
    const { bytes: moved } = tablesInMemory(8);
    expect(findTables([{ address: ADDRESS, bytes: moved }])).toBeUndefined();
  });
});

describe("a machine into whose memory a file is put", () => {
  const kernel = { kind: "flat", name: "tiny", bytes: Uint8Array.of(0, 0, 0, 0x14) } as const;
  const file = { name: "tables.bin", bytes: tablesInMemory().bytes };
  const plan = (inputs: Partial<BootInputs>) => planBoot({ machine: MACHINE, kernel, ...inputs });
  const efiSize = (inputs: Partial<BootInputs>) =>
    plan(inputs).loads.find(({ what }) => what === "EFI tables")?.size;

  test("has it there, and with --acpi auto uses the tables in it instead of making some", () => {
    const files = [{ file, address: ADDRESS }];
    const loaded = plan({ files, acpi: "auto" }).loads.find(({ what }) => what === "tables.bin");
    expect(loaded).toEqual({
      what: "tables.bin",
      address: ADDRESS,
      ...{ bytes: file.bytes, size: file.bytes.length },
    });
    // The block of EFI tables has none of ACPI in it.
    expect(efiSize({ files, acpi: "auto" })).toBeLessThan(efiSize({ acpi: "auto" })!);
    expect(efiSize({ files, acpi: "on" })).toBe(efiSize({ acpi: "on" }));
    expect(efiSize({ files })).toBeUndefined();
    const others = [{ file: { name: "other", bytes: new Uint8Array(64) }, address: ADDRESS }];
    expect(efiSize({ files: others, acpi: "auto" })).toBe(efiSize({ acpi: "auto" }));
  });

  test("does not take aliases for tables that are there", () => {
    const aliases = [{ match: { compatible: "virtio,mmio" }, as: ["ACME0001"] }];
    expect(() => plan({ files: [{ file, address: ADDRESS }], acpi: "auto", aliases })).toThrow(
      /there are some in memory, at 0x4a[0-9a-f]{6}; leave out --aliases/,
    );
  });

  test.each<[string, number, RegExp]>([
    ["below memory", 0x3fff_ff00, /tables\.bin cannot be put at 0x3fffff00: .*do not lie in the 512 MiB/],
    ["above memory", 0x5fff_ff00, /do not lie in the 512 MiB of memory at 0x40000000; give another address/],
    ["on the kernel", 0x4008_0000, /at 0x40080000, where kernel is, from 0x40080000 to 0x40080003;/],
  ])("refuses a place %s", (_, address, sentence) => {
    expect(() => plan({ files: [{ file, address }] })).toThrow(sentence);
  });

  test("refuses two in one place", () => {
    const files = [
      { file, address: ADDRESS },
      { file: { name: "second", bytes: new Uint8Array(16) }, address: ADDRESS + 32 },
    ];
    expect(() => plan({ files })).toThrow(
      /The file second cannot be put at 0x4a000020, where tables\.bin is/,
    );
  });
});
