import { PciHost } from "../../src/devices/pci/host-bridge.ts";
import type { VirtioDevice } from "../../src/devices/virtio/device.ts";
import { VirtioPci } from "../../src/devices/virtio/pci-transport.ts";
import type { AccessWidth, MmioDevice } from "../../src/memory/mmio-device.ts";
import { FlatMemory } from "./flat-memory.ts";
import { BASE } from "./virtio-machine.ts";

/** Where the test's windows are, and where it places the BARs. */
export const LOW_WINDOW = 0x1000_0000;
export const HIGH_WINDOW = 0x80_0000_0000;
export const MSIX_BAR = LOW_WINDOW + 0x5000;
export const STRUCTURES_BAR = HIGH_WINDOW + 0x10_0000;
const SLOT = 3;
const FUNCTION = SLOT << 15;

/** A message that a device sent. */
export interface Message {
  readonly requester: number;
  readonly address: number;
  readonly data: number;
}

/** A PCI host with a virtio device in slot 3, whose BARs are placed and which is a bus master. */
export function pciMachine(device: VirtioDevice, bytes = 1 << 20) {
  const memory = new FlatMemory(BASE, bytes);
  const messages: Message[] = [];
  const reports: string[] = [];
  const wires = [0, 1, 2, 3].map(() => ({ level: false, rises: 0 }));
  const host = new PciHost({
    ecamSize: 1 << 28,
    windows: [
      { name: "pci-memory", space: "memory", busAddress: LOW_WINDOW, size: 1 << 20 },
      { name: "pci-high-memory", space: "memory", busAddress: HIGH_WINDOW, size: 2 ** 39 },
      { name: "pci-io", space: "io", busAddress: 0, size: 1 << 16 },
    ],
    interrupts: wires.map((wire) => ({
      set: (level) => {
        if (level && !wire.level) wire.rises++;
        wire.level = level;
      },
    })),
    sendMessage: (requester, address, data) => messages.push({ requester, address, data }),
  });
  const log = { report: (name: string, what: string) => reports.push(`${name}: ${what}`) };
  host.plug(SLOT, (slot) => new VirtioPci({ memory, device, log }, slot));
  const configuration = {
    read: (offset: number, width: AccessWidth) => host.ecam.read(FUNCTION + offset, width),
    write: (offset: number, width: AccessWidth, value: number) =>
      host.ecam.write(FUNCTION + offset, width, value),
  };
  const [low, high] = [host.windows[0]!, host.windows[1]!];
  configuration.write(0x14, 4, MSIX_BAR);
  configuration.write(0x20, 4, STRUCTURES_BAR % 2 ** 32);
  configuration.write(0x24, 4, Math.floor(STRUCTURES_BAR / 2 ** 32));
  configuration.write(0x04, 2, 6);
  const structures = {
    read: (offset: number, width: AccessWidth) => high.read(STRUCTURES_BAR - HIGH_WINDOW + offset, width),
    write: (offset: number, width: AccessWidth, value: number) =>
      high.write(STRUCTURES_BAR - HIGH_WINDOW + offset, width, value),
  };
  const table = {
    read: (offset: number, width: AccessWidth) => low.read(MSIX_BAR - LOW_WINDOW + offset, width),
    write: (offset: number, width: AccessWidth, value: number) =>
      low.write(MSIX_BAR - LOW_WINDOW + offset, width, value),
  };
  // INTA of slot 3 is the fourth wire.
  return { memory, host, configuration, structures, table, messages, reports, wires, line: wires[3]! };
}

/** By offset of the MMIO transport's register: offset and width in the common configuration. */
const COMMON: Readonly<Record<number, readonly [number, AccessWidth]>> = {
  16: [0x04, 4],
  20: [0x00, 4],
  32: [0x0c, 4],
  36: [0x08, 4],
  48: [0x16, 2],
  52: [0x18, 2],
  56: [0x18, 2],
  68: [0x1c, 2],
  112: [0x14, 1],
  128: [0x20, 4],
  132: [0x24, 4],
  144: [0x28, 4],
  148: [0x2c, 4],
  160: [0x30, 4],
  164: [0x34, 4],
  192: [0x3a, 2],
  252: [0x15, 1],
};

/**
 * The same with the MMIO transport's registers in front, so that drivers and tests written for those run over PCI. The
 * interrupt status is kept here until it is acknowledged, since PCI's is cleared by reading.
 */
export function attachPci(device: VirtioDevice, bytes?: number) {
  const machine = pciMachine(device, bytes);
  const { structures } = machine;
  let status = 0;
  const mmio: MmioDevice = {
    name: "virtio over PCI",
    size: 0x200,
    read: (offset, width) => {
      const common = COMMON[offset];
      if (common !== undefined) return structures.read(common[0], common[1]);
      if (offset >= 0x100) return structures.read(0x2000 + offset - 0x100, width);
      if (offset === 0x60) {
        status |= structures.read(0x1000, 1);
        return status;
      }
      return 0;
    },
    write: (offset, width, value) => {
      const common = COMMON[offset];
      if (common !== undefined) structures.write(common[0], common[1], value);
      else if (offset >= 0x100) structures.write(0x2000 + offset - 0x100, width, value);
      else if (offset === 0x50) structures.write(0x3000 + 4 * value, 2, value);
      else if (offset === 0x64) status &= ~value;
      if (offset === 0x70 && value === 0) status = 0;
    },
    reset: () => machine.host.reset(),
  };
  return { ...machine, mmio };
}
