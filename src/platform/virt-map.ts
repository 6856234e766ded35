import { FIRST_PPI, PRIVATE_INTERRUPT } from "../base/interrupt-ids.ts";
import { DISTRIBUTOR_SIZE, ITS_SIZE, REDISTRIBUTOR_SIZE } from "../devices/gic/constants.ts";
import { VIRTIO_MMIO_SIZE } from "../devices/virtio/protocol.ts";
import type { AddressRange } from "./platform-spec.ts";
import { MEBIBYTE } from "./units.ts";

/** The physical address map of QEMU's `virt` machine (spec 2.4.1), each fact once. Sizes are windows, in bytes. */
export const VIRT_MAP = {
  flash0: { base: 0x0000_0000, size: 64 * MEBIBYTE },
  flash1: { base: 0x0400_0000, size: 64 * MEBIBYTE },
  gicDistributor: { base: 0x0800_0000, size: DISTRIBUTOR_SIZE },
  gicTranslationService: { base: 0x0808_0000, size: ITS_SIZE },
  gicRedistributors: { base: 0x080a_0000, size: 0xf6_0000 },
  pl011: { base: 0x0900_0000, size: 0x1000 },
  pl031: { base: 0x0901_0000, size: 0x1000 },
  fwCfg: { base: 0x0902_0000, size: 0x18 },
  pl061: { base: 0x0903_0000, size: 0x1000 },
  securePl011: { base: 0x0904_0000, size: 0x1000 },
  securePl061: { base: 0x090b_0000, size: 0x1000 },
  virtio: { base: 0x0a00_0000, size: 32 * VIRTIO_MMIO_SIZE },
  platformBus: { base: 0x0c00_0000, size: 32 * MEBIBYTE },
  secureRam: { base: 0x0e00_0000, size: 16 * MEBIBYTE },
  pcieMmio: { base: 0x1000_0000, size: 0x2eff_0000 },
  pciePio: { base: 0x3eff_0000, size: 0x1_0000 },
  ram: { base: 0x4000_0000, size: 255 * 1024 * MEBIBYTE },
  pcieEcam: { base: 0x40_1000_0000, size: 256 * MEBIBYTE },
  pcieHighMmio: { base: 0x80_0000_0000, size: 512 * 1024 * MEBIBYTE },
} as const satisfies Record<string, AddressRange>;

/** Bytes of one virtio-mmio slot. */
export const VIRTIO_SLOT_SIZE = VIRTIO_MMIO_SIZE;

/** SPI numbers. */
export const VIRT_SPI = {
  securePl061: 0,
  pl011: 1,
  pl031: 2,
  firstPci: 3,
  pl061: 7,
  securePl011: 8,
  firstVirtio: 16,
} as const;

/** Interrupt wires of the PCI bus: SPIs from `firstPci` on. */
export const PCI_WIRES = 4;
/** Bytes of configuration space of a PCI bus in the ECAM. */
export const ECAM_BUS_SIZE = MEBIBYTE;

/** PPI numbers. */
export const VIRT_PPI = {
  performanceMonitor: PRIVATE_INTERRUPT.performanceMonitor - FIRST_PPI,
  gicMaintenance: PRIVATE_INTERRUPT.gicMaintenance - FIRST_PPI,
  hypervisorTimer: PRIVATE_INTERRUPT.hypervisorTimer - FIRST_PPI,
  virtualTimer: PRIVATE_INTERRUPT.virtualTimer - FIRST_PPI,
  securePhysicalTimer: PRIVATE_INTERRUPT.securePhysicalTimer - FIRST_PPI,
  physicalTimer: PRIVATE_INTERRUPT.physicalTimer - FIRST_PPI,
} as const;

/** GPIO lines and what hangs on them. */
export const VIRT_GPIO = { powerButton: 3, securePowerOff: 0, secureRestart: 1 } as const;

/** Hertz of the clock that feeds the PrimeCell peripherals. */
export const PERIPHERAL_CLOCK_HERTZ = 24_000_000;

/** Processing elements that the redistributor window holds. */
export const MAXIMUM_CPUS = Math.floor(VIRT_MAP.gicRedistributors.size / REDISTRIBUTOR_SIZE);
