import { Bug } from "../../base/errors.ts";
import { type DeviceKind, type DeviceSpec, interruptId, type PlatformSpec } from "../platform-spec.ts";
import { writeFadt } from "./fadt.ts";
import { type TimerInterrupt, writeGtdt } from "./gtdt.ts";
import { writeMadt } from "./madt.ts";
import { devicePath, platformDsdt } from "./platform-dsdt.ts";
import { writePptt } from "./pptt.ts";
import { writeDbg2, writeSpcr } from "./serial-console.ts";
import type { AcpiTables } from "./table-layout.ts";

/** What the FADT calls this hypervisor. */
const HYPERVISOR = "ELVISOR";

/** All ACPI tables for a platform, for software in the Normal world. */
export function platformTables(platform: PlatformSpec): AcpiTables {
  return {
    dsdt: platformDsdt(platform),
    fadt: fadt(platform),
    others: [madt(platform), topology(platform), timers(platform), ...consoles(platform)],
  };
}

function fadt({ psciConduit }: PlatformSpec): Uint8Array {
  const psci = psciConduit === "none" ? undefined : psciConduit;
  return writeFadt({ dsdt: 0, psci, hypervisor: HYPERVISOR });
}

/** The device of a kind of which a board has one; undefined where it has none. */
function only(platform: PlatformSpec, kind: DeviceKind): DeviceSpec | undefined {
  return platform.devices.find((device) => device.kind === kind && device.world === "any");
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
  const [secureEl1, nonSecureEl1, virtualEl1, el2] = timer.interrupts.map(
    (interrupt): TimerInterrupt => ({
      id: interruptId(interrupt),
      trigger: interrupt.trigger === "level-high" ? "level" : "edge",
      polarity: "high",
      alwaysOn,
    }),
  );
  return writeGtdt({ secureEl1, nonSecureEl1, virtualEl1, el2 });
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
