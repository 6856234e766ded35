import { UserError } from "../base/errors.ts";
import { SLOTS } from "../devices/pci/constants.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VIRTIO_MMIO_SLOTS } from "../platform/virt-board.ts";
import type { VirtBoard } from "./board.ts";
import type { VirtioBus } from "./virtual-machine-interface.ts";

/** Slots of the PCI bus besides the host bridge's. */
const PCI_SLOTS = SLOTS - 1;

/** The virtio devices of a machine, on the buses where they are wanted, in the order in which they were added. */
export class VirtioBuses {
  readonly #usual: VirtioBus;
  readonly #devices: Record<VirtioBus, VirtioDevice[]> = { mmio: [], pci: [] };

  /** `usual` is where a device goes for which nothing else is said. */
  constructor(usual: VirtioBus = "mmio") {
    this.#usual = usual;
  }

  add(device: VirtioDevice, bus: VirtioBus = this.#usual): void {
    this.#devices[bus].push(device);
  }

  get devices(): readonly VirtioDevice[] {
    return [...this.#devices.mmio, ...this.#devices.pci];
  }

  /** To be called once, when all devices have been added. */
  connect(board: VirtBoard): void {
    const { mmio, pci } = this.#devices;
    check(mmio.length, VIRTIO_MMIO_SLOTS, "virtio-mmio", "bus=pci");
    check(pci.length, PCI_SLOTS, "PCI", "bus=mmio");
    board.connectVirtio(mmio, pci);
  }
}

function check(devices: number, slots: number, name: string, remedy: string): void {
  if (devices <= slots) return;
  throw new UserError(
    `The machine has ${slots} ${name} slots, but ${devices} devices for them; give fewer drives, or some with ${remedy}.`,
    { exitStatus: 2 },
  );
}
