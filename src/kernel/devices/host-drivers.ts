import { hex } from "../../base/bits.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";
import type { DeviceStructure } from "./device-structure.ts";

/** Device registers, by physical address. */
export interface RegisterAccess {
  /** Undefined where nothing answers. */
  read(address: number, width: 1 | 2 | 4): number | undefined;
  /** False where nothing answers. */
  write(address: number, width: 1 | 2 | 4, value: number): boolean;
}

/** What a driver makes of its device. */
export type DriverInstance =
  | { readonly kind: "console"; write(text: string): void }
  | { readonly kind: "gpio" /** Bit N is the level of line N. */; levels(): number }
  /** `type` is virtio's number of the kind of device: 2 for a disk. */
  | { readonly kind: "virtio"; readonly type: number }
  | { readonly kind: "configuration"; readonly signature: string };

/** A driver of the hypervisor's own. */
export interface HostDriver {
  readonly name: string;
  /** Ids of the devices that it drives: ACPI's and device trees'. */
  readonly ids: readonly string[];
  /** The driver at work, or why the device is not what its id says. */
  attach(device: DeviceStructure, bus: RegisterAccess): DriverInstance | string;
}

/** Numbers by which PrimeCells say what they are, a byte in each of eight words (their manuals). */
const IDENTIFICATION = { part: 0xfe0, cell: 0xff0, cellBytes: [0x0d, 0xf0, 0x05, 0xb1] } as const;

/** Undefined where the device at `base` is the PrimeCell with this part number. */
function primeCellFault(bus: RegisterAccess, { base, size }: AddressRange, part: number): string | undefined {
  if (size < IDENTIFICATION.cell + 16) return `its ${size} bytes of registers have no identification`;
  const byte = (offset: number): number => (bus.read(base + offset, 4) ?? 0) & 0xff;
  const cell = IDENTIFICATION.cellBytes.every(
    (value, index) => byte(IDENTIFICATION.cell + 4 * index) === value,
  );
  const found = byte(IDENTIFICATION.part) | ((byte(IDENTIFICATION.part + 4) & 0xf) << 8);
  if (!cell) return `what is at ${hex(base)} is no PrimeCell`;
  return found === part
    ? undefined
    : `the PrimeCell at ${hex(base)} is a PL${found.toString(16).padStart(3, "0")}`;
}

const PL011 = {
  part: 0x011,
  data: 0x000,
  flags: 0x018,
  control: 0x030,
  full: 1 << 5,
  enabled: 0x301,
} as const;

const serialPort: HostDriver = {
  name: "pl011",
  ids: ["ARMH0011", "arm,pl011"],
  attach({ registers: [registers] }, bus) {
    if (registers === undefined) return "it has no registers";
    const fault = primeCellFault(bus, registers, PL011.part);
    if (fault !== undefined) return fault;
    const { base } = registers;
    return {
      kind: "console",
      write(text) {
        bus.write(base + PL011.control, 4, PL011.enabled);
        for (const byte of new TextEncoder().encode(text)) {
          // A port that stays full loses the rest: a log must not hang its writer.
          for (let tries = 0; tries < 1000 && ((bus.read(base + PL011.flags, 4) ?? 0) & PL011.full) !== 0; )
            tries++;
          bus.write(base + PL011.data, 4, byte);
        }
      },
    };
  },
};

const PL061 = { part: 0x061, allLines: 0x3fc } as const;

const gpioController: HostDriver = {
  name: "pl061",
  ids: ["ARMH0061", "arm,pl061"],
  attach({ registers: [registers] }, bus) {
    if (registers === undefined) return "it has no registers";
    const fault = primeCellFault(bus, registers, PL061.part);
    if (fault !== undefined) return fault;
    return { kind: "gpio", levels: () => (bus.read(registers.base + PL061.allLines, 4) ?? 0) & 0xff };
  },
};

/** Virtio 1.2, section 4.2.2: "virt", and the kind of device. */
const VIRTIO = { magic: 0x7472_6976, type: 0x008 } as const;

const virtioTransport: HostDriver = {
  name: "virtio-mmio",
  ids: ["LNRO0005", "virtio,mmio"],
  attach({ registers: [registers] }, bus) {
    if (registers === undefined) return "it has no registers";
    if (bus.read(registers.base, 4) !== VIRTIO.magic) return `what is at ${hex(registers.base)} is no virtio`;
    const type = bus.read(registers.base + VIRTIO.type, 4) ?? 0;
    return type === 0 ? "the slot is empty" : { kind: "virtio", type };
  },
};

/** QEMU's firmware configuration device: data at 0, selector at 8; item 0 is its signature. */
const FIRMWARE = { data: 0, selector: 8, signature: "QEMU" } as const;

const firmwareConfiguration: HostDriver = {
  name: "fw-cfg",
  ids: ["QEMU0002", "qemu,fw-cfg-mmio"],
  attach({ registers: [registers] }, bus) {
    if (registers === undefined) return "it has no registers";
    const { base } = registers;
    bus.write(base + FIRMWARE.selector, 2, 0);
    const bytes = Array.from(
      { length: FIRMWARE.signature.length },
      () => bus.read(base + FIRMWARE.data, 1) ?? 0,
    );
    const signature = String.fromCharCode(...bytes);
    return signature === FIRMWARE.signature ? { kind: "configuration", signature } : "it does not answer";
  },
};

/** Every driver that the hypervisor has. */
export const HOST_DRIVERS: readonly HostDriver[] = [
  serialPort,
  gpioController,
  virtioTransport,
  firmwareConfiguration,
];
