import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { openHostDevices } from "../../machine/host-devices.ts";
import { platformDsdt } from "../../platform/acpi/platform-dsdt.ts";
import { TABLE_HEADER_SIZE } from "../../platform/acpi/table.ts";
import { readAliasTable, writeAliasTable } from "../../platform/aliases/alias-table.ts";
import type { DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { readDefinitionBlock } from "../../platform/aml/reader.ts";
import { decodeStrings, encodeStrings } from "../../platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { walkTree } from "../../platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../platform/device-tree/writer.ts";
import { MEBIBYTE } from "../../platform/units.ts";
import { virtDeviceTreeBlob, virtPlatform } from "../../platform/virt-device-tree.ts";
import { DeviceManager } from "./device-manager.ts";
import type { DeviceStructure } from "./device-structure.ts";
import type { HostDriver } from "./host-drivers.ts";

const MACHINE = { memoryBytes: 64 * MEBIBYTE, cpus: 1, secure: false, virtualization: false };
const OBSCURE: Readonly<Record<string, string>> = {
  "arm,pl011": "ACME0001",
  "virtio,mmio": "ACME0002",
  "arm,pl061": "ACME0003",
  "qemu,fw-cfg-mmio": "ACME0004",
};
const ALIASES: readonly DeviceAlias[] = [
  { match: { hid: "ACME0001" }, as: ["ARMH0011", "arm,pl011"] },
  { match: { hid: "ACME0002" }, as: ["LNRO0005", "virtio,mmio"] },
  { match: { hid: "ACME0003" }, as: ["ARMH0061", "arm,pl061"] },
  { match: { hid: "ACME0004" }, as: ["QEMU0002"] },
];

/** Our board, its devices under ids that no driver has. */
function obscureBoard() {
  const tree = readDeviceTree(virtDeviceTreeBlob(MACHINE), "virt");
  for (const { node } of walkTree(tree)) {
    const id = OBSCURE[decodeStrings(node.properties.get("compatible") ?? new Uint8Array(0))?.[0] ?? ""];
    if (id !== undefined) node.properties.set("compatible", encodeStrings(id));
  }
  return { name: "obscure.dtb", bytes: writeDeviceTree(tree) };
}

function manage(acpi: "on" | "off" | "auto", aliases?: readonly DeviceAlias[], obscure = false) {
  let text = "";
  const serial = (bytes: Uint8Array): void => {
    text += Buffer.from(bytes).toString("latin1");
  };
  const deviceTree = obscure ? obscureBoard() : undefined;
  const { manager, drain } = openHostDevices({ machine: MACHINE, acpi, aliases, deviceTree, serial });
  return { manager, drain, text: () => text };
}

/** "driver address interrupt" of all that is bound. */
function bound({ bindings }: DeviceManager): string[] {
  return bindings
    .flatMap(({ device, outcome }) =>
      outcome.status === "bound"
        ? [`${outcome.driver} ${device.registers[0]!.base.toString(16)} ${device.interrupts.join(" ")}`]
        : [],
    )
    .toSorted();
}

const EXPECTED = [
  "fw-cfg 9020000 ",
  "pl011 9000000 33",
  "pl061 9030000 39",
  "virtio-mmio a000000 48",
  "virtio-mmio a000200 49",
];

describe("the device manager", () => {
  test.each(["on", "off", "auto"] as const)(
    "binds its drivers by the description in memory, ACPI %s",
    (acpi) => {
      const { manager } = manage(acpi);
      expect(manager.enumeration.source).toBe(acpi === "off" ? "device tree" : "ACPI");
      expect(manager.enumeration.problems).toEqual([]);
      expect(bound(manager)).toEqual(EXPECTED);
    },
  );

  test.each(["off", "auto"] as const)(
    "binds obscure ids by the user's table, and none without it, ACPI %s",
    (acpi) => {
      const { manager } = manage(acpi, ALIASES, true);
      expect(manager.enumeration.aliases).toEqual(ALIASES);
      expect(bound(manager)).toEqual(EXPECTED);
      expect(bound(manage(acpi, undefined, true).manager)).toEqual([]);
    },
  );

  test("says the same of both descriptions", () => {
    const ours = /pl011|pl061|virtio-mmio|fw-cfg/;
    const [byAcpi, byTree] = (["auto", "off"] as const).map((acpi) =>
      manage(acpi, ALIASES, true)
        .manager.log()
        .filter((line) => ours.test(line)),
    );
    expect(byAcpi).toEqual(byTree);
    expect(byAcpi).toContain("0x9000000, interrupt 33: ACME0001: pl011, as its alias ARMH0011");
    expect(byAcpi).toContain("0xa000400, interrupt 50: ACME0002: not virtio-mmio: the slot is empty");
  });

  test("drives what it has bound: the serial port takes text, the GPIO controller tells its lines", async () => {
    const { manager, drain, text } = manage("auto", ALIASES, true);
    const instances = manager.bindings.flatMap(({ outcome }) =>
      outcome.status === "bound" ? [outcome.instance] : [],
    );
    for (const instance of instances)
      if (instance.kind === "console") instance.write("The device manager is here.\n");
    await drain();
    expect(text()).toBe("The device manager is here.\n");
    expect(instances.flatMap((one) => (one.kind === "gpio" ? [one.levels()] : []))).toEqual([0]);
    expect(instances.flatMap((one) => (one.kind === "virtio" ? [one.type] : []))).toEqual([3, 4]);
  });

  test("does not bind a driver to what is something else", () => {
    const wrong: DeviceAlias[] = [{ match: { hid: "ACME0001" }, as: ["ARMH0061"] }];
    const { manager } = manage("off", undefined, true);
    const swapped = new DeviceManager(
      { ...manager.enumeration, aliases: wrong },
      { read: () => 0, write: () => true },
    );
    expect(swapped.log()).toContain(
      "0x9000000, interrupt 33: ACME0001: not pl061: what is at 0x9000000 is no PrimeCell",
    );
  });
});

test("what binds is what a plain reading of the rules binds, for random tables and machines", () => {
  const random = Random.ofThisRun();
  const ids = ["ACME0001", "ACME0002", "acme,one", "ARMH0011", "arm,pl011", "LNRO0005"];
  const drivers = ["ARMH0011", "LNRO0005", "acme,one"].map(
    (id): HostDriver => ({ name: id, ids: [id], attach: () => ({ kind: "virtio", type: 1 }) }),
  );
  const bus = { read: () => 0, write: () => true };
  for (let round = 0; round < 1000; round++) {
    const aliases = Array.from({ length: random.below(6) }, (): DeviceAlias => {
      const id = random.pick(ids);
      const uid = random.below(3) === 0 ? random.below(3) : undefined;
      return {
        match: /^[A-Z]/.test(id) ? { hid: id, uid } : { compatible: id, uid },
        as: [random.pick(ids)],
      };
    });
    const registers = [{ base: 0x1000, size: 0x1000 }];
    const devices = Array.from({ length: 4 }, (_, number): DeviceStructure => {
      const [id, other] = [random.pick(ids), random.pick(ids)];
      return { path: `/${number}`, id, compatibleIds: [other], number, registers, interrupts: [33] };
    });
    const { bindings } = new DeviceManager({ source: "ACPI", devices, aliases, problems: [] }, bus, drivers);
    for (const { device, outcome } of bindings) {
      // The rules: the own id, then the first alias, one with the device's number before others, then other ids.
      const own = [device.id, ...device.compatibleIds];
      const fits = ({ match }: DeviceAlias) => own.includes(match.hid ?? match.compatible ?? "");
      const alias =
        aliases.find((one) => fits(one) && one.match.uid === device.number) ??
        aliases.find((one) => fits(one) && one.match.uid === undefined);
      const tried = [device.id, ...(alias?.as ?? []), ...device.compatibleIds];
      const expected = tried.find((id) => drivers.some(({ name }) => name === id));
      const driver = outcome.status === "bound" ? outcome.driver : undefined;
      expect(driver, `ELVISOR_SEED=${random.seed}, round ${round}`).toBe(expected);
    }
  }
});

describe("the table DIDM", () => {
  const table = writeAliasTable(ALIASES);

  test("comes back as it was written", () => {
    expect(readAliasTable(table)).toEqual({ status: "read", aliases: ALIASES });
    const numbered: DeviceAlias[] = [{ match: { compatible: "acme,disk", uid: 3 }, as: ["LNRO0005"] }];
    expect(readAliasTable(writeAliasTable(numbered))).toEqual({ status: "read", aliases: numbered });
  });

  test.each<[string, (copy: Uint8Array) => void, RegExp]>([
    ["of another revision", (copy) => copy.set([2], 8), /its revision is 2, not 1/],
    ["with another number of records", (copy) => copy.set([99], 36), /99 records of 40 bytes do not make/],
    ["with a record of another kind", (copy) => copy.set([1], 44), /is not of the kind that it says/],
    ["with an id that is none", (copy) => copy.fill(0, 52, 68), /is not of the kind that it says/],
  ])("%s is ignored as a whole", (_, damage, reason) => {
    const copy = table.slice();
    damage(copy);
    const read = readAliasTable(copy);
    expect(read).toEqual({ status: "ignored", reason: expect.stringMatching(reason) as string });
  });
});

describe("the reader of definition blocks", () => {
  const block = platformDsdt(virtPlatform(MACHINE)).subarray(TABLE_HEADER_SIZE);

  test("finds every device with its names", () => {
    const read = readDefinitionBlock(block);
    if (read.status === "malformed") throw new Error(read.reason);
    expect(read.devices.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        "\\_SB_.C000",
        "\\_SB_.COM0",
        "\\_SB_.GPO0",
        "\\_SB_.PWRB",
        "\\_SB_.VR00",
        "\\_SB_.PCI0",
      ]),
    );
    const serial = read.devices.find(({ path }) => path === "\\_SB_.COM0")!;
    expect(serial.names.get("_HID")).toEqual({ kind: "string", value: "ARMH0011" });
    expect(serial.names.get("_UID")).toEqual({ kind: "integer", value: 0n });
  });

  test("never throws, whatever it reads", () => {
    const random = Random.ofThisRun();
    const counts = { read: 0, malformed: 0 };
    for (let round = 0; round < 3000; round++) {
      const copy = block.slice(0, random.below(4) === 0 ? random.below(block.length) : block.length);
      for (let change = 0; change < 2 && copy.length > 0; change++)
        copy[random.below(copy.length)] = random.u32();
      counts[readDefinitionBlock(copy).status]++;
    }
    expect(counts.malformed, `ELVISOR_SEED=${random.seed}`).toBeGreaterThan(500);
    expect(counts.read, `ELVISOR_SEED=${random.seed}`).toBeGreaterThan(500);
  });
});
