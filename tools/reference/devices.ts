import { FW_CFG_ITEM, FW_CFG_REGISTERS } from "../../src/devices/fw-cfg.ts";
import { DISTRIBUTOR_REGISTERS } from "../../src/devices/gic/distributor.ts";
import { ITS_REGISTERS } from "../../src/devices/gic/its.ts";
import { REDISTRIBUTOR_REGISTERS } from "../../src/devices/gic/redistributor.ts";
import { ICC_ROWS, ICH_ROWS, type SystemRegisterRow } from "../../src/devices/gic/system-registers.ts";
import { PL011_REGISTERS } from "../../src/devices/pl011.ts";
import { PL031_REGISTERS } from "../../src/devices/pl031.ts";
import { PL061_REGISTERS } from "../../src/devices/pl061.ts";
import type { Register } from "../../src/devices/register-table.ts";
import { VIRTIO_MMIO_REGISTERS } from "../../src/devices/virtio/mmio-transport.ts";
import { VIRTIO_PCI_COMMON_REGISTERS } from "../../src/devices/virtio/pci-registers.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

/** A row of any device's register map, without what it does. */
type RegisterRow = Pick<Register<never>, "name" | "offset" | "count" | "unit"> & {
  readonly read?: unknown;
  readonly write?: unknown;
};

const MAPS: readonly { readonly title: string; readonly rows: readonly RegisterRow[] }[] = [
  { title: "PL011 (UART)", rows: PL011_REGISTERS },
  { title: "PL031 (real-time clock)", rows: PL031_REGISTERS },
  { title: "PL061 (GPIO)", rows: PL061_REGISTERS },
  { title: "GICv3 distributor", rows: DISTRIBUTOR_REGISTERS },
  { title: "GICv3 redistributor", rows: REDISTRIBUTOR_REGISTERS },
  { title: "GICv3 interrupt translation service", rows: ITS_REGISTERS },
  { title: "virtio-mmio", rows: VIRTIO_MMIO_REGISTERS },
  { title: "virtio-pci common configuration", rows: VIRTIO_PCI_COMMON_REGISTERS },
];

export function devicesPage(): Page {
  return {
    file: "devices.md",
    title: "Device registers",
    summary: "Registers of the memory-mapped devices and of the GIC's CPU interface.",
    body: join(
      "Offsets are from the device's base. Reading a write-only register gives zero, writing a read-only one does " +
        "nothing; what is not listed behaves as both and is reported to the access log.",
      ...MAPS.map(({ title, rows }) => join(`## ${title}`, registerTable(rows))),
      "## GICv3 CPU interface (ICC_*, ICV_*)",
      "“Virtual when” names the bits of HCR_EL2 under which EL1 reaches the virtual interface instead.",
      cpuInterfaceTable(),
      "## GICv3 hypervisor interface (ICH_*)",
      table(
        ["Register", "Access"],
        Object.entries(ICH_ROWS).map(([name, row]) => [name, access(row)]),
      ),
      "## fw_cfg",
      numberTable("Register", "Offset", FW_CFG_REGISTERS),
      numberTable("Item", "Selector", FW_CFG_ITEM),
    ),
  };
}

function registerTable(rows: readonly RegisterRow[]): string {
  return table(
    ["Offset", "Register", "Elements", "Bytes each", "Access"],
    rows
      .toSorted((a, b) => a.offset - b.offset)
      .map((row) => [
        code(hexadecimal(row.offset, 4)),
        code(row.name),
        String(row.count ?? 1),
        String(row.unit ?? 4),
        access(row),
      ]),
  );
}

function access({ read, write }: { readonly read?: unknown; readonly write?: unknown }): string {
  if (read === undefined) return write === undefined ? "none" : "WO";
  return write === undefined ? "RO" : "RW";
}

function cpuInterfaceTable(): string {
  return table(
    ["Register", "Access", "Only with", "Virtual when", "Virtual access"],
    Object.entries(ICC_ROWS).map(([name, row]) => [
      name,
      access(row),
      row.onlyWith ?? "",
      row.virtual === undefined ? "" : VIRTUAL_WHEN[row.virtual.when],
      row.virtual === undefined ? "" : access(row.virtual satisfies SystemRegisterRow),
    ]),
  );
}

const VIRTUAL_WHEN = { imo: "IMO", fmo: "FMO", either: "IMO or FMO" } as const;

function numberTable(name: string, number: string, entries: Readonly<Record<string, number>>): string {
  return table(
    [name, number],
    Object.entries(entries).map(([entry, value]) => [entry, code(hexadecimal(value, 2))]),
  );
}
