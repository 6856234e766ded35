import { wideCells } from "./device-tree/property-values.ts";
import type { AddressRange, Cell, PciHostSpec, PciWindowSpec, PropertyValue } from "./platform-spec.ts";

/**
 * The device-tree form of a PCI host bridge (IEEE 1275 PCI bus binding, and "pci-host-ecam-generic"): an address has
 * three cells, of which the first says which space and, for configuration, which function.
 */

const SPACE = { io: 0x0100_0000, memory32: 0x0200_0000, memory64: 0x0300_0000 } as const;
/** Bits of the first cell that hold the device number. */
const DEVICE_SHIFT = 11;
const PINS = 4;

/** The wires repeat every four devices, so the interrupt map has four times four lines. */
const DEVICES_TOLD_APART = 4;

/** `interruptCells` gives the cells of a wire as the interrupt controller counts them. */
export function pciHostProperties(
  host: PciHostSpec,
  interruptController: string,
  interruptCells: (wire: number) => number[],
): Record<string, PropertyValue> {
  const requesters = (host.lastBus - host.firstBus + 1) * 256;
  return {
    device_type: "pci",
    "#address-cells": 3,
    "#size-cells": 2,
    "linux,pci-domain": host.segment,
    "bus-range": { cells: [host.firstBus, host.lastBus] },
    "msi-map": { cells: [0, { reference: host.messageController }, 0, requesters] },
    ranges: { cells: host.windows.flatMap(windowCells) },
    "#interrupt-cells": 1,
    "interrupt-map": { cells: interruptMap(host, interruptController, interruptCells) },
    "interrupt-map-mask": { cells: [(DEVICES_TOLD_APART - 1) << DEVICE_SHIFT, 0, 0, 7] },
  };
}

/** The node is named after its 32-bit window, as QEMU's is, although `reg` is the ECAM. */
export function pciHostUnitAddress({ windows }: PciHostSpec): AddressRange | undefined {
  return windows.find(({ space }) => space === "memory32")?.range;
}

function windowCells({ space, range, busAddress }: PciWindowSpec): number[] {
  return [
    SPACE[space],
    ...wideCells(busAddress, 2),
    ...wideCells(range.base, 2),
    ...wideCells(range.size, 2),
  ];
}

function interruptMap(
  host: PciHostSpec,
  interruptController: string,
  interruptCells: (wire: number) => number[],
): Cell[] {
  const cells: Cell[] = [];
  for (let device = 0; device < DEVICES_TOLD_APART; device++) {
    for (let pin = 0; pin < PINS; pin++) {
      const wire = (device + pin) % host.interrupts.length;
      // The controller counts its children's addresses in two cells.
      const parent: Cell[] = [{ reference: interruptController }, 0, 0, ...interruptCells(wire)];
      cells.push(device << DEVICE_SHIFT, 0, 0, pin + 1, ...parent);
    }
  }
  return cells;
}
