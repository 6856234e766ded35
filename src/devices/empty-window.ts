import type { AccessWidth, MmioDevice } from "../memory/mmio-device.ts";

/**
 * A window to a bus on which nothing answers: reads give ones, writes are lost. PCI configuration space looks
 * so to software that searches it for devices (PCI Local Bus Specification 3.0, section 6.1).
 */
export class EmptyWindow implements MmioDevice {
  readonly name: string;
  readonly size: number;

  /** `size` in bytes. */
  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
  }

  read(_offset: number, width: AccessWidth): number {
    return 2 ** (8 * width) - 1;
  }

  write(): void {}

  reset(): void {}
}
