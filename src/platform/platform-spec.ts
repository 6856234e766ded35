/**
 * The one description of a machine (spec S6): the bus is wired from it and every table a guest reads is
 * generated from it. It is plain data; nothing in it is a function.
 */

import { FIRST_PPI, FIRST_SPI } from "../base/interrupt-ids.ts";

/** A range of guest-physical addresses, in bytes. */
export interface AddressRange {
  readonly base: number;
  readonly size: number;
}

/** RAM, and the NUMA domain that it belongs to where there are several. */
export interface MemorySpec extends AddressRange {
  readonly domain?: number | undefined;
}

/** The two kinds of wired GIC interrupts: shared (SPI) and private to one processing element (PPI). */
export type InterruptType = "spi" | "ppi";

/** How a wire tells of an interrupt: by its rising edge, or by being high for as long as it pends. */
export type InterruptTrigger = "edge-rising" | "level-high";

/** A wire into the interrupt controller. `number` counts from 0 within its type. */
export interface InterruptSpec {
  readonly type: InterruptType;
  readonly number: number;
  readonly trigger: InterruptTrigger;
}

/** A clock input: its name at the device and the id of the device that makes it. */
export interface ClockInput {
  readonly name: string;
  readonly source: string;
}

/** One line of a GPIO controller. */
export interface GpioLine {
  /** Device id of the controller. */
  readonly controller: string;
  readonly line: number;
}

/** A reference to another device, by its id; a device tree turns it into a phandle. */
export interface DeviceReference {
  readonly reference: string;
}

/** A device-specific fact: a flag, a u32, strings, or cells some of which are references. */
export type PropertyValue = true | number | string | readonly string[] | { readonly cells: readonly Cell[] };

/** One 32-bit cell of a property, or the device whose phandle it holds. */
export type Cell = number | DeviceReference;

/** A part of the system bus behind which there are PCI addresses. */
export interface PciWindowSpec {
  /** I/O space, or memory space with 32-bit or 64-bit addresses. */
  readonly space: "io" | "memory32" | "memory64";
  /** Where it is on the system bus. */
  readonly range: AddressRange;
  /** PCI address of its first byte. */
  readonly busAddress: number;
}

/** What a generic PCI host bridge (kind "pci-host") says beyond its ECAM, which is its first register range. */
export interface PciHostSpec {
  readonly segment: number;
  readonly firstBus: number;
  readonly lastBus: number;
  readonly windows: readonly PciWindowSpec[];
  /** Wires of INTA to INTD of device 0; each further device begins one wire later. */
  readonly interrupts: readonly InterruptSpec[];
  /** Device id of the controller of message-signalled interrupts; its device ids are requester ids. */
  readonly messageController: string;
}

/** What stands behind a description, so that a board can build it. */
export type DeviceKind =
  | "cfi-flash"
  | "fixed-clock"
  | "fw-cfg"
  | "gic-its"
  | "gic-v3"
  | "gpio-keys"
  | "gpio-poweroff"
  | "gpio-restart"
  | "key"
  | "pci-host"
  | "performance-monitor"
  | "pl011"
  | "pl031"
  | "pl061"
  | "platform-bus"
  | "secure-ram"
  | "timer"
  | "virtio-mmio";

/** Who may use a device: everybody, or only Secure state (then Normal-world software is told it is disabled). */
export type World = "any" | "secure";

/** One device, as bus and device tree see it. */
export interface DeviceSpec {
  /** Unique in the platform; what references name. */
  readonly id: string;
  readonly kind: DeviceKind;
  readonly world: World;
  /** Name of its node, without the unit address. */
  readonly nodeName: string;
  readonly compatible: readonly string[];
  readonly registers: readonly AddressRange[];
  readonly interrupts: readonly InterruptSpec[];
  readonly clocks: readonly ClockInput[];
  readonly gpios: readonly GpioLine[];
  /** Facts of this kind of device, under their device-tree names. */
  readonly properties: Readonly<Record<string, PropertyValue>>;
  readonly children: readonly DeviceSpec[];
  /** Only of kind "pci-host". */
  readonly pciHost?: PciHostSpec;
}

/** One processing element. */
export interface CpuSpec {
  /** Affinity fields of MPIDR_EL1: Aff3 in bits 39:32, Aff2, Aff1, Aff0 in bits 23:0. */
  readonly affinity: number;
  /** The NUMA domain whose memory is nearest, where there are several. */
  readonly domain?: number | undefined;
  readonly compatible: readonly string[];
}

/** A hypervisor's name: the node /hypervisor, and at most 8 characters for ACPI's FADT. */
export interface HypervisorSpec {
  readonly compatible: readonly string[];
  readonly vendor: string;
}

/** How software reaches the power controller. */
export type PsciConduit = "hvc" | "smc" | "none";

/** What software is told at its start (the node /chosen). */
export interface ChosenSpec {
  /** Device id of the console. */
  readonly stdout: string;
  readonly commandLine: string | undefined;
  readonly initrd: AddressRange | undefined;
  /** Seeds for the kernel's random pool and its address randomisation. */
  readonly randomSeed: Uint8Array | undefined;
  readonly addressSeed: bigint | undefined;
}

/** A whole machine. */
export interface PlatformSpec {
  readonly model: string;
  readonly compatible: readonly string[];
  /** Device id of the root interrupt controller. */
  readonly interruptController: string;
  readonly memory: readonly MemorySpec[];
  /**
   * `distances[from][to]` between NUMA domains, where there are several: 10 stands for a domain's own memory, 20 for
   * memory that takes twice as long.
   */
  readonly distances?: readonly (readonly number[])[] | undefined;
  readonly cpus: readonly CpuSpec[];
  /** True when the CPUs' nodes say that PSCI starts them. */
  readonly cpusStartByPsci: boolean;
  readonly psciConduit: PsciConduit;
  readonly devices: readonly DeviceSpec[];
  /** Which hypervisor the machine says it is, where guests ask. */
  readonly hypervisor?: HypervisorSpec | undefined;
  readonly chosen: ChosenSpec;
  /** What Secure software finds in /secure-chosen. */
  readonly secureChosen: ChosenSpec | undefined;
}

/** First INTID of each interrupt type (GIC architecture, "INTIDs"). */
export const FIRST_INTERRUPT_ID = { ppi: FIRST_PPI, spi: FIRST_SPI } as const;

/** The INTID by which the interrupt controller knows a wire. */
export function interruptId(interrupt: InterruptSpec): number {
  return FIRST_INTERRUPT_ID[interrupt.type] + interrupt.number;
}

/** All devices, parents before their children. */
export function* allDevices(devices: readonly DeviceSpec[]): Generator<DeviceSpec> {
  for (const device of devices) {
    yield device;
    yield* allDevices(device.children);
  }
}

/** The part of a {@link DeviceSpec} that most devices leave empty. */
const BLANK_DEVICE = {
  world: "any",
  compatible: [],
  registers: [],
  interrupts: [],
  clocks: [],
  gpios: [],
  properties: {},
  children: [],
} as const;

/** A device from the facts that are not empty. */
export function describeDevice(
  facts: Pick<DeviceSpec, "id" | "kind" | "nodeName"> & Partial<DeviceSpec>,
): DeviceSpec {
  return { ...BLANK_DEVICE, ...facts };
}
