import { Bug } from "../../base/errors.ts";
import {
  allDevices,
  type DeviceKind,
  type DeviceSpec,
  interruptId,
  type PlatformSpec,
} from "../platform-spec.ts";
import { TIMER_INTERRUPT_NAMES } from "../timer-interrupts.ts";
import { writeFadt } from "./fadt.ts";
import { type TimerInterrupt, writeGtdt } from "./gtdt.ts";
import { writeIort } from "./iort.ts";
import { writeMadt } from "./madt.ts";
import { writeMcfg } from "./mcfg.ts";
import { writeSlit, writeSrat } from "./numa.ts";
import { devicePath, platformDsdt } from "./platform-dsdt.ts";
import { writePptt } from "./pptt.ts";
import { writeDbg2, writeSpcr } from "./serial-console.ts";
import type { AcpiTables } from "./table-layout.ts";

/** What the FADT calls this hypervisor where the platform says nothing else. */
const HYPERVISOR = "ELVISOR";

/** All ACPI tables for a platform, for software in the Normal world. */
export function platformTables(platform: PlatformSpec): AcpiTables {
  return {
    dsdt: platformDsdt(platform),
    fadt: fadt(platform),
    others: [
      madt(platform),
      topology(platform),
      timers(platform),
      ...pciConfiguration(platform),
      ...consoles(platform),
      ...remapping(platform),
      ...proximity(platform),
    ],
  };
}

function fadt({ psciConduit, hypervisor }: PlatformSpec): Uint8Array {
  const psci = psciConduit === "none" ? undefined : psciConduit;
  return writeFadt({ dsdt: 0, psci, hypervisor: hypervisor?.vendor ?? HYPERVISOR });
}

/** Devices of a kind that the Normal world may use. */
function devicesOf(platform: PlatformSpec, kind: DeviceKind): DeviceSpec[] {
  return [...allDevices(platform.devices)].filter((device) => device.kind === kind && device.world === "any");
}

/** The device of a kind of which a board has one; undefined where it has none. */
function only(platform: PlatformSpec, kind: DeviceKind): DeviceSpec | undefined {
  return devicesOf(platform, kind)[0];
}

function madt(platform: PlatformSpec): Uint8Array {
  const gic = only(platform, "gic-v3");
  const [distributor, ...redistributors] = gic?.registers ?? [];
  if (gic === undefined || distributor === undefined) throw new Bug("the platform has no GICv3");
  const [maintenance] = gic.interrupts;
  const [performance] = only(platform, "performance-monitor")?.interrupts ?? [];
  return writeMadt({
    distributor: { base: distributor.base, version: 3 },
    redistributors,
    translationServices: devicesOf(platform, "gic-its").map(({ registers: [frame] }, id) => ({
      id,
      base: frame!.base,
    })),
    cpus: platform.cpus.map(({ affinity }, uid) => ({
      uid,
      affinity,
      performanceInterrupt: performance && { id: interruptId(performance), trigger: "level" },
      maintenanceInterrupt: maintenance && { id: interruptId(maintenance), trigger: "level" },
    })),
  });
}

/** One socket with one cluster, as in the device tree. */
function topology(platform: PlatformSpec): Uint8Array {
  const cores = platform.cpus.map((_, uid) => ({ uid }));
  return writePptt([{ package: true, children: [{ children: cores }] }]);
}

function timers(platform: PlatformSpec): Uint8Array {
  const timer = only(platform, "timer");
  if (timer === undefined) throw new Bug("the platform has no generic timer");
  const alwaysOn = timer.properties["always-on"] === true;
  const given = timer.properties["interrupt-names"];
  const names: readonly string[] = Array.isArray(given) ? given : TIMER_INTERRUPT_NAMES;
  const [secureEl1, nonSecureEl1, virtualEl1, el2] = TIMER_INTERRUPT_NAMES.map((name) => {
    const interrupt = timer.interrupts[names.indexOf(name)];
    if (interrupt === undefined) return undefined;
    const described: TimerInterrupt = {
      id: interruptId(interrupt),
      trigger: interrupt.trigger === "level-high" ? "level" : "edge",
      polarity: "high",
      alwaysOn,
    };
    return described;
  });
  return writeGtdt({ secureEl1, nonSecureEl1, virtualEl1, el2 });
}

function pciConfiguration(platform: PlatformSpec): Uint8Array[] {
  const hosts = devicesOf(platform, "pci-host");
  if (hosts.length === 0) return [];
  return [
    writeMcfg(
      hosts.map(({ registers: [configuration], pciHost }) => ({
        base: configuration!.base,
        segment: pciHost!.segment,
        startBus: pciHost!.firstBus,
        endBus: pciHost!.lastBus,
      })),
    ),
  ];
}

/** Functions of a PCI bus: requester ids count them. */
const FUNCTIONS_PER_BUS = 256;

/** Where devices' messages go: a group for each translation service, then the hosts whose requester ids it takes. */
function remapping(platform: PlatformSpec): Uint8Array[] {
  const services = devicesOf(platform, "gic-its");
  const hosts = devicesOf(platform, "pci-host");
  if (services.length === 0 || hosts.length === 0) return [];
  return [
    writeIort([
      ...services.map(({ id }, index) => ({ id, kind: "its-group", translationServices: [index] }) as const),
      ...hosts.map(({ id, properties, pciHost }) => {
        const { segment, firstBus, lastBus, messageController } = pciHost!;
        const requesters = (lastBus - firstBus + 1) * FUNCTIONS_PER_BUS;
        return {
          id,
          kind: "root-complex",
          segment,
          access: { coherent: properties["dma-coherent"] === true, addressBits: 64 },
          mappings: [{ inputBase: 0, count: requesters, outputBase: 0, output: messageController }],
        } as const;
      }),
    ]),
  ];
}

/** SRAT and SLIT, where there are several domains. */
function proximity({ cpus, memory, distances }: PlatformSpec): Uint8Array[] {
  if (distances === undefined) return [];
  return [
    writeSrat({
      cpus: cpus.map(({ domain = 0 }, uid) => ({ uid, domain })),
      memory: memory.map(({ base, size, domain = 0 }) => ({ base, size, domain })),
    }),
    writeSlit(distances),
  ];
}

/** SPCR and DBG2 for the port where the device tree has standard output. */
function consoles(platform: PlatformSpec): Uint8Array[] {
  const port = platform.devices.find(({ id }) => id === platform.chosen.stdout);
  const [registers] = port?.registers ?? [];
  if (port?.kind !== "pl011" || registers === undefined) return [];
  const [interrupt] = port.interrupts;
  const address = { space: "memory", bitWidth: 8, accessBytes: 1, address: registers.base } as const;
  const path = devicePath(platform, port.id) ?? ".";
  return [
    writeSpcr({
      interface: "pl011",
      address,
      interrupt: interrupt && interruptId(interrupt),
      baud: 9600,
      flowControl: "rts-cts",
    }),
    writeDbg2([{ interface: "pl011", registers: [{ address, size: registers.size }], path }]),
  ];
}
