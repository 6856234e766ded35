import { memoryMap } from "../../src/platform/memory-map.ts";
import {
  type AddressRange,
  allDevices,
  FIRST_INTERRUPT_ID,
  interruptId,
  type PlatformSpec,
} from "../../src/platform/platform-spec.ts";
import { formatBytes, MEBIBYTE } from "../../src/platform/units.ts";
import { virtBoard } from "../../src/platform/virt-board.ts";
import { VIRT_GPIO, VIRT_MAP, VIRT_PPI, VIRT_SPI } from "../../src/platform/virt-map.ts";
import { code, hexadecimal, join, type Page, table } from "./markdown.ts";

/** The machine with everything that it can have; how much RAM and how many CPUs makes no difference here. */
const FULL_MACHINE: PlatformSpec = virtBoard({
  memoryBytes: 512 * MEBIBYTE,
  cpus: 1,
  secure: true,
  virtualization: true,
  psciConduit: "none",
});

export function memoryMapPage(): Page {
  return {
    file: "memory-map.md",
    title: "Memory map and interrupts",
    summary: "Guest-physical addresses, interrupt numbers and GPIO lines of the `virt` board.",
    body: join(
      "The map is that of QEMU's machine `virt` with a GICv3.",
      "## Windows",
      windowTable(),
      "## Devices",
      "With EL3 and EL2. Devices of the Secure world are there only with `--secure`; 512 MiB of RAM stand for " +
        "any amount.",
      deviceTable(),
      "## Interrupts of devices",
      interruptTable(),
      "## Reserved interrupt numbers",
      numberTable(),
      "## GPIO lines",
      table(
        ["Line", "Number"],
        Object.entries(VIRT_GPIO).map(([name, line]) => [name, String(line)]),
      ),
    ),
  };
}

/** Wide enough for every address on the board. */
const ADDRESS_DIGITS = 10;

function rangeCells({ base, size }: AddressRange): string[] {
  return [
    code(hexadecimal(base, ADDRESS_DIGITS)),
    code(hexadecimal(base + size - 1, ADDRESS_DIGITS)),
    formatBytes(size),
  ];
}

function windowTable(): string {
  return table(
    ["Window", "First byte", "Last byte", "Size"],
    Object.entries(VIRT_MAP)
      .toSorted(([, a], [, b]) => a.base - b.base)
      .map(([name, range]) => [name, ...rangeCells(range)]),
  );
}

function deviceTable(): string {
  return table(
    ["Device", "First byte", "Last byte", "Size", "What", "World"],
    memoryMap(FULL_MACHINE).map((row) => [row.name, ...rangeCells(row), row.what, row.world]),
  );
}

function interruptTable(): string {
  const wires = [...allDevices(FULL_MACHINE.devices)].flatMap(({ id, interrupts }) =>
    interrupts.map((interrupt) => ({ id, interrupt, intid: interruptId(interrupt) })),
  );
  return table(
    ["INTID", "Wire", "Device", "Trigger"],
    wires
      .toSorted((a, b) => a.intid - b.intid)
      .map(({ id, interrupt, intid }) => [
        String(intid),
        `${interrupt.type.toUpperCase()} ${interrupt.number}`,
        id,
        interrupt.trigger,
      ]),
  );
}

function numberTable(): string {
  const rows = (kind: "ppi" | "spi", numbers: Readonly<Record<string, number>>) =>
    Object.entries(numbers).map(([name, number]) => ({
      name,
      wire: `${kind.toUpperCase()} ${number}`,
      intid: FIRST_INTERRUPT_ID[kind] + number,
    }));
  return table(
    ["INTID", "Wire", "For"],
    [...rows("ppi", VIRT_PPI), ...rows("spi", VIRT_SPI)]
      .toSorted((a, b) => a.intid - b.intid)
      .map(({ name, wire, intid }) => [String(intid), wire, name]),
  );
}
