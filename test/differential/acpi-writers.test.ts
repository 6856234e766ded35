import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writeFadt } from "../../src/platform/acpi/fadt.ts";
import { writeGtdt } from "../../src/platform/acpi/gtdt.ts";
import { writeIort } from "../../src/platform/acpi/iort.ts";
import { writeMadt } from "../../src/platform/acpi/madt.ts";
import { writeMcfg } from "../../src/platform/acpi/mcfg.ts";
import { writeSlit, writeSrat } from "../../src/platform/acpi/numa.ts";
import { writePptt } from "../../src/platform/acpi/pptt.ts";
import { writeRsdp, writeXsdt } from "../../src/platform/acpi/root-tables.ts";
import { writeDbg2, writeSpcr } from "../../src/platform/acpi/serial-console.ts";
import { byteSum, signatureOf } from "../../src/platform/acpi/table.ts";
import { withoutIdentifiers } from "../support/acpi-fields.ts";
import { runHostProgram } from "../support/host-program.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

const level = { trigger: "level", polarity: "high" } as const;
const uart = { space: "memory", bitWidth: 32, accessBytes: 4, address: 0x1c09_0000 } as const;
const access = { coherent: true, addressBits: 48 } as const;
const secondLevel = { kind: "unified", size: 2 ** 20, sets: 1024, ways: 16, lineSize: 64 } as const;
const core = (uid: number) => ({
  uid,
  caches: [
    { kind: "data", size: 32768, sets: 256, ways: 2, lineSize: 64, writePolicy: "write-back" },
    { kind: "instruction", size: 49152, sets: 256, ways: 3, lineSize: 64 },
  ] as const,
});

/** Tables with every kind of content that the writers know. */
const TABLES: readonly Uint8Array[] = [
  writeXsdt([0x1000, 0x1_0000_0000]),
  writeFadt({
    dsdt: 0x1_2345_6789,
    psci: "hvc",
    headless: true,
    powerProfile: "enterpriseServer",
    resetRegister: { address: { space: "memory", bitWidth: 8, accessBytes: 1, address: 0x9000 }, value: 3 },
    hypervisor: "TESTHYPE",
  }),
  writeMadt({
    distributor: { base: 0x800_0000, version: 2 },
    cpus: [
      {
        uid: 3,
        interfaceNumber: 1,
        affinity: 0x1_0000_0102,
        performanceInterrupt: { id: 23, trigger: "edge" },
        maintenanceInterrupt: { id: 25, trigger: "level" },
        cpuInterface: 0x801_0000,
        virtualInterface: 0x804_0000,
        hypervisorInterface: 0x803_0000,
        parking: { version: 1, address: 0x4_0000 },
        efficiencyClass: 2,
        profilingInterrupt: 21,
      },
      { uid: 4, affinity: 0, enabled: false, redistributor: 0x80a_0000 },
    ],
    redistributors: [{ base: 0x80a_0000, size: 0x4_0000 }],
    msiFrames: [
      { id: 0, base: 0x802_0000, spis: { first: 80, count: 64 } },
      { id: 1, base: 0x803_0000 },
    ],
    translationServices: [{ id: 7, base: 0x808_0000 }],
  }),
  writeGtdt({
    secureEl1: { id: 29, ...level },
    nonSecureEl1: { id: 30, ...level, alwaysOn: true },
    virtualEl1: { id: 27, trigger: "level", polarity: "low" },
    el2: { id: 26, ...level },
    virtualEl2: { id: 28, ...level },
    counterControl: 0x2a43_0000,
    counterRead: 0x2a80_0000,
    platformTimers: [
      { kind: "watchdog", refresh: 0x2a45_0000, control: 0x2a44_0000, interrupt: { id: 59, ...level } },
      {
        kind: "generic-timer",
        control: 0x2a81_0000,
        frames: [{ number: 1, base: 0x2a83_0000, physical: { id: 92, ...level, secure: true } }],
      },
    ],
  }),
  writeMcfg([
    { base: 0x40_1000_0000, segment: 0, startBus: 0, endBus: 255 },
    { base: 0x50_0000_0000, segment: 1, startBus: 16, endBus: 31 },
  ]),
  writeSpcr({ interface: "pl011", address: uart, interrupt: 33, baud: 115200, flowControl: "rts-cts" }),
  writeDbg2([
    { interface: "pl011", registers: [{ address: uart, size: 0x1000 }], path: "\\_SB.COM0" },
    { interface: "16550-with-address", registers: [{ address: uart, size: 0x100 }], path: "." },
  ]),
  writeIort([
    { id: "its", kind: "its-group", translationServices: [0, 7] },
    {
      id: "smmu3",
      kind: "smmu-v3",
      base: 0x905_0000,
      coherent: true,
      eventInterrupt: 106,
      mappings: [{ inputBase: 0, count: 0x1_0000, outputBase: 0, output: "its" }],
    },
    {
      id: "smmu2",
      kind: "smmu",
      base: 0x5000_0000,
      size: 0x1_0000,
      model: "mmu-500",
      coherent: true,
      globalInterrupt: { id: 65, trigger: "level" },
      contextInterrupts: [
        { id: 66, trigger: "level" },
        { id: 67, trigger: "edge" },
      ],
    },
    {
      id: "pci",
      kind: "root-complex",
      segment: 1,
      access,
      mappings: [{ inputBase: 0, count: 0x1_0000, outputBase: 0x1_0000, output: "smmu3" }],
    },
    {
      id: "net",
      kind: "named-component",
      path: "\\_SB.NET0",
      access: { coherent: false, addressBits: 32 },
      mappings: [{ inputBase: 0, count: 1, outputBase: 5, output: "smmu2", single: true }],
    },
  ]),
  writePptt([
    {
      package: true,
      caches: [{ kind: "unified", size: 2 ** 22 }],
      children: [
        { caches: [secondLevel], children: [core(0), core(1)] },
        { children: [{ uid: 2, thread: true }] },
      ],
    },
  ]),
  writeSrat({
    cpus: [{ uid: 0, domain: 0 }],
    memory: [{ base: 2 ** 40, size: 2 ** 30, domain: 1, hotPluggable: true, nonVolatile: true }],
    translationServices: [{ id: 7, domain: 1 }],
  }),
  writeSlit([
    [10, 20],
    [21, 10],
  ]),
];

describe.each(TABLES.map((table) => [signatureOf(table), table] as const))("%s", (signature, table) => {
  test("says its length and sums up to zero", () => {
    expect(new DataView(table.buffer, table.byteOffset).getUint32(4, true)).toBe(table.length);
    expect(byteSum(table)).toBe(0);
  });

  test("is read by iasl and comes out of it unchanged", () => {
    withTemporaryDirectory((folder) => {
      const source = join(folder, `${signature}.dsl`);
      writeFileSync(join(folder, `${signature}.dat`), table);
      const read = runHostProgram("iasl", ["-d", join(folder, `${signature}.dat`)]);
      expect(read.status, read.stderr).toBe(0);
      expect(readFileSync(source, "latin1")).not.toMatch(/Error|Warning|Incorrect|Invalid|Unknown/);
      const compiled = runHostProgram("iasl", ["-ve", "-p", join(folder, "again"), source]);
      expect(compiled.status, compiled.stderr).toBe(0);
      const again = new Uint8Array(readFileSync(join(folder, "again.aml")));
      // The compiler writes its own name and version.
      expect(again.subarray(36)).toEqual(withoutIdentifiers(table).subarray(36));
      expect(again.subarray(10, 28)).toEqual(table.subarray(10, 28));
    });
  });
});

test("the RSDP has two sound checksums", () => {
  const rsdp = writeRsdp(0x1_2345_6780);
  expect(byteSum(rsdp)).toBe(0);
  expect(byteSum(rsdp.subarray(0, 20))).toBe(0);
  expect(new DataView(rsdp.buffer).getBigUint64(24, true)).toBe(0x1_2345_6780n);
});
