import { UserError } from "../base/errors.ts";
import { multiprocessorAffinity } from "../cpu/identification.ts";
import {
  type AddressRange,
  type ChosenSpec,
  type CpuSpec,
  type DeviceSpec,
  describeDevice,
  type HypervisorSpec,
  type InterruptSpec,
  type MemorySpec,
  type PlatformSpec,
  type PsciConduit,
} from "./platform-spec.ts";
import type { TimerInterruptName } from "./timer-interrupts.ts";
import { formatBytes, MEBIBYTE } from "./units.ts";
import {
  ECAM_BUS_SIZE,
  MAXIMUM_CPUS,
  PCI_WIRES,
  PERIPHERAL_CLOCK_HERTZ,
  VIRT_GPIO,
  VIRT_MAP,
  VIRT_PPI,
  VIRT_SPI,
  VIRTIO_SLOT_SIZE,
} from "./virt-map.ts";

/** The choices that the `virt` board leaves. */
export interface VirtBoardOptions {
  /** Bytes of RAM, a multiple of 4 KiB, at least 1 MiB. */
  readonly memoryBytes: number;
  /** Processing elements, 1 to {@link MAXIMUM_CPUS}. */
  readonly cpus: number;
  /** EL3 and the Secure devices exist. */
  readonly secure: boolean;
  /** EL2 exists. */
  readonly virtualization: boolean;
  /** See `psciConduit` in ./psci-conduit.ts. */
  readonly psciConduit: PsciConduit;
  /** Flash holds firmware; if Secure, it starts the CPUs itself. */
  readonly firmware?: boolean;
  /** virtio-mmio slots, 0 to 32. */
  readonly virtioSlots?: number;
  readonly commandLine?: string | undefined;
  readonly initrd?: AddressRange | undefined;
  /** 32 bytes for /chosen's rng-seed, and the kaslr-seed; left out, the tree has none. */
  readonly randomSeed?: Uint8Array | undefined;
  readonly addressSeed?: bigint | undefined;
  /** Seed of address randomisation for Secure software. */
  readonly secureRandomSeed?: Uint8Array | undefined;
  readonly secureAddressSeed?: bigint | undefined;
  /** NUMA domains, each with a part of the memory and of the processing elements; 1 unless given. */
  readonly numaDomains?: number | undefined;
  /** What the machine calls its hypervisor; nothing unless given. */
  readonly hypervisor?: HypervisorSpec | undefined;
  /** The description hides the virtual timer, so that guests use the physical one. */
  readonly maskVirtualTimer?: boolean;
  /** What CPU nodes call the processor. */
  readonly cpuCompatible?: string;
}

/** Bindings reserve this name for processors that exist only as software. */
const SOFTWARE_CPU = "arm,armv8";

/** virtio-mmio slots of the board. */
export const VIRTIO_MMIO_SLOTS: number = VIRT_MAP.virtio.size / VIRTIO_SLOT_SIZE;
const MINIMUM_MEMORY = 1 * MEBIBYTE;
const PAGE = 4096;

/**
 * QEMU's machine `virt,gic-version=3` as data. The order of the devices is the order of QEMU's nodes, so
 * that guests that probe in tree order find the same devices under the same names.
 */
export function virtBoard(options: VirtBoardOptions): PlatformSpec {
  checkBoardOptions(options);
  const { secure } = options;
  return {
    model: "linux,dummy-virt",
    compatible: ["linux,dummy-virt"],
    interruptController: "gic",
    memory: describeMemory(options),
    cpus: describeCpus(options),
    distances: describeDistances(options.numaDomains ?? 1),
    cpusStartByPsci: options.cpus > 1 && !(secure && options.firmware === true),
    psciConduit: options.psciConduit,
    devices: [
      PLATFORM_BUS,
      FW_CFG,
      ...Array.from({ length: options.virtioSlots ?? VIRTIO_MMIO_SLOTS }, (_, slot) => virtioSlot(slot)),
      ...(secure ? SECURE_GPIO : []),
      ...GPIO,
      PCI_HOST,
      PL031,
      ...(secure ? [SECURE_PL011, SECURE_RAM] : []),
      PL011,
      PERFORMANCE_MONITOR,
      interruptController(options.virtualization),
      ...(secure ? SPLIT_FLASH : [SHARED_FLASH]),
      options.maskVirtualTimer === true ? MASKED_TIMER : TIMER,
      PERIPHERAL_CLOCK,
    ],
    hypervisor: options.hypervisor,
    chosen: {
      stdout: "pl011",
      commandLine: options.commandLine,
      initrd: options.initrd,
      randomSeed: options.randomSeed,
      addressSeed: options.addressSeed,
    },
    secureChosen: secure ? describeSecureChosen(options) : undefined,
  };
}

/** Aff2, Aff1 and Aff0 of MPIDR_EL1. Aff3 is always 0 here. */
const AFFINITY_MASK = 0xff_ffffn;

/** MPIDR_EL1 affinity fields of the processing element with this index. */
export function cpuAffinity(index: number): number {
  return Number(multiprocessorAffinity(index) & AFFINITY_MASK);
}

/** Fails with a {@link UserError} for a machine that cannot be. */
export function checkBoardOptions({
  memoryBytes,
  cpus,
  virtioSlots = VIRTIO_MMIO_SLOTS,
  numaDomains = 1,
}: Pick<VirtBoardOptions, "memoryBytes" | "cpus" | "virtioSlots" | "numaDomains">): void {
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > MAXIMUM_CPUS) {
    throw new UserError(`This machine cannot have ${cpus} CPUs; give a number from 1 to ${MAXIMUM_CPUS}.`, {
      exitStatus: 2,
    });
  }
  const fits = memoryBytes >= MINIMUM_MEMORY && memoryBytes <= VIRT_MAP.ram.size && memoryBytes % PAGE === 0;
  if (!fits) {
    throw new UserError(
      `This machine cannot have ${formatBytes(memoryBytes)} of memory; give a multiple of 4 KiB from ` +
        `${formatBytes(MINIMUM_MEMORY)} to ${formatBytes(VIRT_MAP.ram.size)}, such as 512M.`,
      { exitStatus: 2 },
    );
  }
  const most = Math.max(1, Math.min(cpus, Math.floor(memoryBytes / DOMAIN_ALIGNMENT)));
  if (!Number.isInteger(numaDomains) || numaDomains < 1 || numaDomains > most) {
    throw new UserError(
      `This machine cannot have ${numaDomains} NUMA domains: each needs a CPU and ` +
        `${formatBytes(DOMAIN_ALIGNMENT)} of memory; give a number from 1 to ${most}.`,
      { exitStatus: 2 },
    );
  }
  if (!Number.isInteger(virtioSlots) || virtioSlots < 0 || virtioSlots > VIRTIO_MMIO_SLOTS) {
    throw new UserError(
      `This machine cannot have ${virtioSlots} virtio slots; give a number from 0 to ${VIRTIO_MMIO_SLOTS}.`,
      { exitStatus: 2 },
    );
  }
}

function describeCpus({
  cpus,
  cpuCompatible = SOFTWARE_CPU,
  numaDomains = 1,
}: Pick<VirtBoardOptions, "cpus" | "cpuCompatible" | "numaDomains">): CpuSpec[] {
  return Array.from({ length: cpus }, (_, index) => ({
    affinity: cpuAffinity(index),
    compatible: [cpuCompatible],
    ...(numaDomains > 1 && { domain: Math.floor((index * numaDomains) / cpus) }),
  }));
}

/** Where memory is divided into domains, as QEMU does it: at multiples of this, the last one takes the rest. */
const DOMAIN_ALIGNMENT = 8 * MEBIBYTE;

function describeMemory({
  memoryBytes,
  numaDomains = 1,
}: Pick<VirtBoardOptions, "memoryBytes" | "numaDomains">): MemorySpec[] {
  const { base } = VIRT_MAP.ram;
  if (numaDomains === 1) return [{ base, size: memoryBytes }];
  const share = memoryBytes / numaDomains;
  const part = share - (share % DOMAIN_ALIGNMENT);
  return Array.from({ length: numaDomains }, (_, domain) => ({
    base: base + domain * part,
    size: domain === numaDomains - 1 ? memoryBytes - domain * part : part,
    domain,
  }));
}

/** A domain's own memory, and any other's (ACPI 6.4, section 5.2.17). */
const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;

function describeDistances(domains: number): number[][] | undefined {
  if (domains === 1) return undefined;
  const every = Array.from({ length: domains }, (_, domain) => domain);
  return every.map((from) => every.map((to) => (from === to ? LOCAL_DISTANCE : REMOTE_DISTANCE)));
}

function describeSecureChosen(options: VirtBoardOptions): ChosenSpec {
  return {
    stdout: "secure-pl011",
    commandLine: undefined,
    initrd: undefined,
    randomSeed: options.secureRandomSeed,
    addressSeed: options.secureAddressSeed,
  };
}

function levelSpi(number: number): InterruptSpec {
  return { type: "spi", number, trigger: "level-high" };
}

function levelPpi(number: number): InterruptSpec {
  return { type: "ppi", number, trigger: "level-high" };
}

const PERIPHERAL_CLOCK = describeDevice({
  id: "apb-pclk",
  kind: "fixed-clock",
  nodeName: "apb-pclk",
  compatible: ["fixed-clock"],
  properties: {
    "#clock-cells": 0,
    "clock-frequency": PERIPHERAL_CLOCK_HERTZ,
    "clock-output-names": "clk24mhz",
  },
});

const BUS_CLOCK = { name: "apb_pclk", source: PERIPHERAL_CLOCK.id } as const;

const TIMER = describeDevice({
  id: "timer",
  kind: "timer",
  nodeName: "timer",
  compatible: ["arm,armv8-timer", "arm,armv7-timer"],
  interrupts: [
    levelPpi(VIRT_PPI.securePhysicalTimer),
    levelPpi(VIRT_PPI.physicalTimer),
    levelPpi(VIRT_PPI.virtualTimer),
    levelPpi(VIRT_PPI.hypervisorTimer),
  ],
  properties: { "always-on": true },
});

/** The timers without the virtual one: the others need their names then. */
const MASKED_TIMER = describeDevice({
  ...TIMER,
  interrupts: [
    levelPpi(VIRT_PPI.securePhysicalTimer),
    levelPpi(VIRT_PPI.physicalTimer),
    levelPpi(VIRT_PPI.hypervisorTimer),
  ],
  properties: {
    ...TIMER.properties,
    "interrupt-names": ["sec-phys", "phys", "hyp-phys"] satisfies TimerInterruptName[],
  },
});

const PERFORMANCE_MONITOR = describeDevice({
  id: "pmu",
  kind: "performance-monitor",
  nodeName: "pmu",
  compatible: ["arm,armv8-pmuv3"],
  interrupts: [levelPpi(VIRT_PPI.performanceMonitor)],
});

function interruptController(virtualization: boolean): DeviceSpec {
  return describeDevice({
    id: "gic",
    kind: "gic-v3",
    nodeName: "intc",
    compatible: ["arm,gic-v3"],
    registers: [VIRT_MAP.gicDistributor, VIRT_MAP.gicRedistributors],
    interrupts: virtualization ? [levelPpi(VIRT_PPI.gicMaintenance)] : [],
    properties: {
      "interrupt-controller": true,
      "#interrupt-cells": 3,
      "#address-cells": 2,
      "#size-cells": 2,
      ranges: true,
      "#redistributor-regions": 1,
    },
    children: [TRANSLATION_SERVICE],
  });
}

const TRANSLATION_SERVICE = describeDevice({
  id: "its",
  kind: "gic-its",
  nodeName: "its",
  compatible: ["arm,gic-v3-its"],
  registers: [VIRT_MAP.gicTranslationService],
  properties: { "msi-controller": true, "#msi-cells": 1 },
});

const PCI_HOST = describeDevice({
  id: "pcie",
  kind: "pci-host",
  nodeName: "pcie",
  compatible: ["pci-host-ecam-generic"],
  registers: [VIRT_MAP.pcieEcam],
  properties: { "dma-coherent": true },
  pciHost: {
    segment: 0,
    firstBus: 0,
    lastBus: VIRT_MAP.pcieEcam.size / ECAM_BUS_SIZE - 1,
    windows: [
      { space: "io", range: VIRT_MAP.pciePio, busAddress: 0 },
      { space: "memory32", range: VIRT_MAP.pcieMmio, busAddress: VIRT_MAP.pcieMmio.base },
      { space: "memory64", range: VIRT_MAP.pcieHighMmio, busAddress: VIRT_MAP.pcieHighMmio.base },
    ],
    interrupts: Array.from({ length: PCI_WIRES }, (_, wire) => levelSpi(VIRT_SPI.firstPci + wire)),
    messageController: TRANSLATION_SERVICE.id,
  },
});

function flash(
  id: string,
  facts: Pick<DeviceSpec, "nodeName" | "registers"> & Partial<DeviceSpec>,
): DeviceSpec {
  return describeDevice({
    id,
    kind: "cfi-flash",
    compatible: ["cfi-flash"],
    properties: { "bank-width": 4 },
    ...facts,
  });
}

/** Without a Secure world one node describes both flash devices; with one, the first is Secure. */
const SHARED_FLASH = flash("flash", { nodeName: "flash", registers: [VIRT_MAP.flash0, VIRT_MAP.flash1] });
const SPLIT_FLASH = [
  flash("flash", { nodeName: "flash", registers: [VIRT_MAP.flash1] }),
  flash("secure-flash", { nodeName: "secflash", registers: [VIRT_MAP.flash0], world: "secure" }),
];

function pl011(id: string, facts: Partial<DeviceSpec>): DeviceSpec {
  return describeDevice({
    id,
    kind: "pl011",
    nodeName: "pl011",
    compatible: ["arm,pl011", "arm,primecell"],
    clocks: [{ name: "uartclk", source: PERIPHERAL_CLOCK.id }, BUS_CLOCK],
    ...facts,
  });
}

const PL011 = pl011("pl011", { registers: [VIRT_MAP.pl011], interrupts: [levelSpi(VIRT_SPI.pl011)] });
const SECURE_PL011 = pl011("secure-pl011", {
  registers: [VIRT_MAP.securePl011],
  interrupts: [levelSpi(VIRT_SPI.securePl011)],
  world: "secure",
});

const SECURE_RAM = describeDevice({
  id: "secure-ram",
  kind: "secure-ram",
  nodeName: "secram",
  registers: [VIRT_MAP.secureRam],
  properties: { device_type: "memory" },
  world: "secure",
});

const PL031 = describeDevice({
  id: "pl031",
  kind: "pl031",
  nodeName: "pl031",
  compatible: ["arm,pl031", "arm,primecell"],
  registers: [VIRT_MAP.pl031],
  interrupts: [levelSpi(VIRT_SPI.pl031)],
  clocks: [BUS_CLOCK],
});

function pl061(id: string, facts: Partial<DeviceSpec>): DeviceSpec {
  return describeDevice({
    id,
    kind: "pl061",
    nodeName: "pl061",
    compatible: ["arm,pl061", "arm,primecell"],
    clocks: [BUS_CLOCK],
    properties: { "#gpio-cells": 2, "gpio-controller": true },
    ...facts,
  });
}

/** Linux's input event code KEY_POWER. */
const KEY_POWER = 116;

const GPIO: readonly DeviceSpec[] = [
  describeDevice({
    id: "gpio-keys",
    kind: "gpio-keys",
    nodeName: "gpio-keys",
    compatible: ["gpio-keys"],
    children: [
      describeDevice({
        id: "power-button",
        kind: "key",
        nodeName: "poweroff",
        gpios: [{ controller: "pl061", line: VIRT_GPIO.powerButton }],
        properties: { "linux,code": KEY_POWER, label: "GPIO Key Poweroff" },
      }),
    ],
  }),
  pl061("pl061", { registers: [VIRT_MAP.pl061], interrupts: [levelSpi(VIRT_SPI.pl061)] }),
];

const SECURE_GPIO: readonly DeviceSpec[] = [
  describeDevice({
    id: "secure-restart",
    kind: "gpio-restart",
    nodeName: "gpio-restart",
    compatible: ["gpio-restart"],
    gpios: [{ controller: "secure-pl061", line: VIRT_GPIO.secureRestart }],
    world: "secure",
  }),
  describeDevice({
    id: "secure-poweroff",
    kind: "gpio-poweroff",
    nodeName: "gpio-poweroff",
    compatible: ["gpio-poweroff"],
    gpios: [{ controller: "secure-pl061", line: VIRT_GPIO.securePowerOff }],
    world: "secure",
  }),
  pl061("secure-pl061", {
    registers: [VIRT_MAP.securePl061],
    interrupts: [levelSpi(VIRT_SPI.securePl061)],
    world: "secure",
  }),
];

const FW_CFG = describeDevice({
  id: "fw-cfg",
  kind: "fw-cfg",
  nodeName: "fw-cfg",
  compatible: ["qemu,fw-cfg-mmio"],
  registers: [VIRT_MAP.fwCfg],
  properties: { "dma-coherent": true },
});

/** Where machine-specific devices would hang; its children see addresses relative to it. */
const PLATFORM_BUS = describeDevice({
  id: "platform-bus",
  kind: "platform-bus",
  nodeName: "platform-bus",
  compatible: ["qemu,platform", "simple-bus"],
  registers: [VIRT_MAP.platformBus],
  properties: {
    "#address-cells": 1,
    "#size-cells": 1,
  },
});

function virtioSlot(slot: number): DeviceSpec {
  return describeDevice({
    id: `virtio${slot}`,
    kind: "virtio-mmio",
    nodeName: "virtio_mmio",
    compatible: ["virtio,mmio"],
    registers: [{ base: VIRT_MAP.virtio.base + slot * VIRTIO_SLOT_SIZE, size: VIRTIO_SLOT_SIZE }],
    interrupts: [{ type: "spi", number: VIRT_SPI.firstVirtio + slot, trigger: "edge-rising" }],
    properties: { "dma-coherent": true },
  });
}
