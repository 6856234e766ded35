/** What drivers need of a device at least: bytes of registers, and interrupts. */
interface Needs {
  readonly registers: number;
  readonly interrupts: number;
}

const PL011: Needs = { registers: 0x48, interrupts: 1 };
const PL061: Needs = { registers: 0x424, interrupts: 1 };
const VIRTIO_MMIO: Needs = { registers: 0x100, interrupts: 1 };

/** By the ids under which drivers are found (the devices' manuals; virtio 1.2, section 4.2.2). */
const NEEDS: Readonly<Record<string, Needs>> = {
  ARMH0011: PL011,
  "arm,pl011": PL011,
  ARMHB000: PL011,
  "arm,sbsa-uart": PL011,
  ARMH0061: PL061,
  "arm,pl061": PL061,
  LNRO0005: VIRTIO_MMIO,
  "virtio,mmio": VIRTIO_MMIO,
  PNP0501: { registers: 8, interrupts: 1 },
  QEMU0002: { registers: 0x18, interrupts: 0 },
};

/** Why a driver with this id cannot work with a device of these resources; undefined where it can. */
export function resourceFault(id: string, registers: number, interrupts: number): string | undefined {
  const needs = Object.hasOwn(NEEDS, id) ? NEEDS[id] : undefined;
  if (needs === undefined) return undefined;
  if (registers < needs.registers) {
    return `drivers for ${id} need ${needs.registers} bytes of registers, and it has ${registers}`;
  }
  if (interrupts < needs.interrupts) {
    return `drivers for ${id} need ${needs.interrupts} interrupt, and it has ${interrupts}`;
  }
  return undefined;
}
