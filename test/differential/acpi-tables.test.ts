import { describe, expect, test } from "vitest";
import { efiImage } from "../../src/firmware/efi/system-table.ts";
import { platformTables } from "../../src/platform/acpi/platform-tables.ts";
import { signatureOf } from "../../src/platform/acpi/table.ts";
import { layOutTables } from "../../src/platform/acpi/table-layout.ts";
import { tableLoaderFiles } from "../../src/platform/acpi/table-loader.ts";
import { convertDeviceTree } from "../../src/platform/conversion/convert-blob.ts";
import { generateDeviceTreeBlob } from "../../src/platform/device-tree-generator.ts";
import { describeSmbios } from "../../src/platform/smbios/structures.ts";
import { MEBIBYTE } from "../../src/platform/units.ts";
import { virtPlatform } from "../../src/platform/virt-device-tree.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { ACPI_DIFFERENCES } from "../support/acpi-differences.ts";
import { compareTables, type FieldDifference, withoutIdentifiers } from "../support/acpi-fields.ts";
import { executeTables, roundTrip } from "../support/acpica.ts";
import { qemuFirmwareFiles } from "../support/qemu-firmware-configuration.ts";
import { findTables, loadTables } from "../support/table-loader.ts";

interface Board {
  readonly cpus: number;
  readonly secure: boolean;
  readonly virtualization: boolean;
  readonly numaDomains?: number;
}

const BOARDS: readonly Board[] = [
  { cpus: 1, secure: false, virtualization: false },
  { cpus: 4, secure: false, virtualization: true },
  { cpus: 20, secure: false, virtualization: false },
  { cpus: 2, secure: true, virtualization: true },
  { cpus: 4, secure: false, virtualization: false, numaDomains: 2 },
];
const BASE = 0x4500_0000;

function platformOf(board: Board) {
  return virtPlatform({ ...board, memoryBytes: 512 * MEBIBYTE });
}

function ourTables(board: Board): Map<string, Uint8Array> {
  const files = new Map(
    tableLoaderFiles(platformTables(platformOf(board))).map(({ name, bytes }) => [name, bytes]),
  );
  const memory = loadTables(files, BASE);
  return findTables(memory, memory.places.get("etc/acpi/rsdp")!);
}

/** Domains that divide memory and processors as ours do. */
function qemuDomains({ cpus, numaDomains = 1 }: Board): string[] {
  if (numaDomains === 1) return [];
  const domains = Array.from({ length: numaDomains }, (_, domain) => domain);
  const first = (domain: number) => Math.ceil((domain * cpus) / numaDomains);
  const nodes = domains.flatMap((domain) => [
    ...["-object", `memory-backend-ram,id=memory${domain},size=${512 / numaDomains}M`],
    ...[
      "-numa",
      `node,nodeid=${domain},cpus=${first(domain)}-${first(domain + 1) - 1},memdev=memory${domain}`,
    ],
  ]);
  const pairs = domains.flatMap((from) => domains.filter((to) => to !== from).map((to) => [from, to]));
  return [...nodes, ...pairs.flatMap(([from, to]) => ["-numa", `dist,src=${from},dst=${to},val=20`])];
}

async function qemuTables(board: Board): Promise<Map<string, Uint8Array>> {
  const { cpus, secure, virtualization } = board;
  const onOff = (on: boolean) => (on ? "on" : "off");
  const machine = `virt,gic-version=3,secure=${onOff(secure)},virtualization=${onOff(virtualization)}`;
  const processors = `${cpus},sockets=1,cores=${cpus},threads=1`;
  const files = await qemuFirmwareFiles([
    "-M",
    machine,
    "-cpu",
    "cortex-a57",
    "-m",
    "512",
    "-smp",
    processors,
    ...qemuDomains(board),
  ]);
  const memory = loadTables(files, BASE);
  return findTables(memory, memory.places.get("etc/acpi/rsdp")!);
}

function isStatic([signature]: readonly [string, Uint8Array]): boolean {
  return signature !== "DSDT" && signature !== "XSDT";
}

function entriesFor({ table, structure, field }: FieldDifference) {
  return ACPI_DIFFERENCES.filter(
    (entry) => entry.table.test(table) && structure === "" && field !== undefined && entry.field.test(field),
  );
}

describe.each(BOARDS)(
  "cpus $cpus, secure $secure, virtualization $virtualization, NUMA domains $numaDomains",
  (board) => {
    test("the static tables are QEMU's, but for the list", async () => {
      const ours = new Map([...ourTables(board)].filter(isStatic));
      const theirs = new Map([...(await qemuTables(board))].filter(isStatic));
      const differences = compareTables(ours, theirs);
      expect(differences.filter((difference) => entriesFor(difference).length === 0)).toEqual([]);
      expect(new Set(differences.flatMap(entriesFor))).toEqual(new Set(ACPI_DIFFERENCES));
    });

    test("iasl takes every table apart and puts it together again unchanged", async () => {
      for (const [signature, table] of ourTables(board)) {
        const { errors, warnings, identical, messages } = await roundTrip(withoutIdentifiers(table));
        expect({ signature, errors, warnings, identical }, messages).toEqual({
          ...{ signature, errors: 0, warnings: 0, identical: true },
        });
      }
    });

    test("the interpreter of ACPICA evaluates every device", async () => {
      const dsdt = platformTables(platformOf(board)).dsdt;
      const listed = await executeTables([dsdt], ["namespace"]);
      const devices = [...listed.matchAll(/^ *\d+ +(\w{4}) Device/gm)].map(([, name]) => `\\_SB.${name}`);
      expect(devices.length).toBeGreaterThan(35);
      const commands = devices.flatMap((device) => [`evaluate ${device}._HID`, `evaluate ${device}._CRS`]);
      const printed = await executeTables([dsdt], commands);
      expect(printed).not.toMatch(/exception|AE_(?!NOT_FOUND|OK)|Error/i);
      const methods = await executeTables([dsdt], ["evaluate \\_SB.GPO0._E03", "evaluate \\_SB.GPO0._AEI"]);
      expect(methods).not.toMatch(/AE_NOT_FOUND|exception/i);
    });
  },
);

test("the loader's script and our own layout give the same tables", () => {
  const board = { cpus: 3, secure: false, virtualization: true };
  const tables = platformTables(platformOf(board));
  const files = new Map(tableLoaderFiles(tables).map(({ name, bytes }) => [name, bytes]));
  const memory = loadTables(files, BASE);
  const at = memory.places.get("etc/acpi/tables")!;
  const direct = layOutTables(tables, at);
  expect(memory.bytes.subarray(at - BASE, at - BASE + direct.bytes.length)).toEqual(direct.bytes);
  expect(memory.bytes.subarray(0, direct.rsdp.length)).toEqual(direct.rsdp);
});

test("the device tree with NUMA domains becomes the same tables about them", () => {
  const platform = platformOf({ cpus: 5, secure: false, virtualization: false, numaDomains: 3 });
  const converted = convertDeviceTree(generateDeviceTreeBlob(platform), { source: "virt", strict: true });
  if (converted.status === "refused") throw new Error(converted.reason);
  const own = platformTables(platform).others;
  for (const name of ["SRAT", "SLIT"])
    expect(converted.tables.get(name)).toEqual(own.find((table) => signatureOf(table) === name));
});

describe("the EFI tables", () => {
  const platform = platformOf({ cpus: 2, secure: false, virtualization: false });
  const smbios = describeSmbios({ platform, firmware: true });
  const image = efiImage(
    { memory: platform.memory, acpi: platformTables(platform), smbios, clock: VIRT_MAP.pl031 },
    BASE,
  );
  const view = new DataView(image.bytes.buffer);
  const at = (address: number) => address - image.base;

  test("have a map that covers all memory once, in whole pages, with what is special at multiples of 64 KiB", () => {
    let end = VIRT_MAP.ram.base;
    for (
      let place = at(image.memoryMap.base);
      place < at(image.memoryMap.base) + image.memoryMap.size;
      place += 40
    ) {
      const [type, base] = [view.getUint32(place, true), Number(view.getBigUint64(place + 8, true))];
      const pages = Number(view.getBigUint64(place + 24, true));
      const runtime = view.getBigUint64(place + 32, true) >> 63n === 1n;
      expect(Number(view.getBigUint64(place + 16, true))).toBe(runtime ? base : 0);
      if (type !== 7) expect([base % 0x1_0000, (pages * 4096) % 0x1_0000]).toEqual([0, 0]);
      if (type === 11) continue;
      expect(base).toBe(end);
      end = base + pages * 4096;
    }
    expect(end).toBe(VIRT_MAP.ram.base + 512 * MEBIBYTE);
  });

  test("lead to ACPI and SMBIOS", () => {
    const system = at(image.systemTable);
    const count = Number(view.getBigUint64(system + 104, true));
    const configuration = at(Number(view.getBigUint64(system + 112, true)));
    const signatures = Array.from({ length: count }, (_, index) => {
      const table = at(Number(view.getBigUint64(configuration + index * 24 + 16, true)));
      return Buffer.from(image.bytes.subarray(table, table + 5)).toString("latin1");
    });
    expect(signatures.slice(0, 2)).toEqual(["RSD P", "_SM3_"]);
    const memory = { base: image.base, bytes: image.bytes, places: new Map<string, number>() };
    const rsdp = Number(view.getBigUint64(configuration + 16, true));
    expect([...findTables(memory, rsdp).keys()].toSorted()).toEqual([
      "APIC",
      "DBG2",
      "DSDT",
      "FACP",
      "GTDT",
      "IORT",
      "MCFG",
      "PPTT",
      "SPCR",
      "XSDT",
    ]);
  });
});
