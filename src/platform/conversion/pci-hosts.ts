import type { ConfigurationSpace } from "../acpi/mcfg.ts";
import { type PciHost, type PciRoute, type PciWindow, pciHostDevice } from "../acpi/pci-host-device.ts";
import type { Conversion } from "./context.ts";
import type { TreeNode } from "./tree-index.ts";

/** Host bridges whose configuration space is the standard's, without anything of their own. */
const GENERIC_HOSTS: readonly string[] = ["pci-host-ecam-generic"];
const MEGABYTE = 2 ** 20;
const SLOTS = 32;
const PINS = 4;

/** Kinds of space in the first cell of a PCI address (Open Firmware's PCI binding, section 2.2.1.1). */
const SPACE_SHIFT = 24;
const SPACE_BITS = 3;
const PREFETCHABLE = 1 << 30;

/** A host bridge and its configuration space. */
export interface HostTables {
  readonly node: TreeNode;
  readonly host: Omit<PciHost, "name" | "terms">;
  readonly configuration: ConfigurationSpace;
}

export function isGenericHost(node: TreeNode): boolean {
  return node.isCompatible(...GENERIC_HOSTS);
}

/** The host bridges that ACPI describes on its own. */
export function readPciHosts(conversion: Conversion): HostTables[] {
  const hosts: HostTables[] = [];
  for (const node of conversion.index.compatibleWith(...GENERIC_HOSTS)) {
    const tables = readHost(conversion, node, hosts.length);
    if (tables !== undefined) hosts.push(tables);
  }
  return hosts;
}

function readHost(conversion: Conversion, node: TreeNode, uid: number): HostTables | undefined {
  const { account, addresses } = conversion;
  const [registers] = addresses.registers(node);
  if (registers === undefined) return undefined;
  const [firstBus = 0, lastBus = Math.min(255, firstBus + registers.size / MEGABYTE - 1)] =
    node.cells("bus-range") ?? [];
  const segment = node.cell("linux,pci-domain") ?? uid;
  if (
    lastBus > 255 ||
    firstBus > lastBus ||
    segment > 0xffff ||
    (lastBus - firstBus + 1) * MEGABYTE > registers.size
  ) {
    account.warn(node, "bus-range", "It does not fit the configuration space.");
    return undefined;
  }
  account.node(node, "converted", "MCFG, and PNP0A08 in DSDT");
  account.properties(node, ["reg", "bus-range", "linux,pci-domain"], "converted", "MCFG");
  account.properties(node, ["compatible", "device_type", "status"], "converted", "PNP0A08");
  account.properties(node, ["ranges"], "converted", "_CRS");
  account.properties(node, ["interrupt-map", "interrupt-map-mask", "#interrupt-cells"], "converted", "_PRT");
  account.properties(
    node,
    ["msi-map", "msi-parent", "iommu-map", "iommu-map-mask", "msi-map-mask"],
    "converted",
    "IORT",
  );
  account.property(node, "linux,pci-probe-only", "left-out", "ACPI has no word for it");
  return {
    node,
    configuration: { base: registers.base, segment, startBus: firstBus, endBus: lastBus },
    host: {
      uid,
      segment,
      firstBus,
      lastBus,
      configuration: registers.base,
      coherent: isCoherent(node),
      windows: readWindows(conversion, node),
      routes: readRoutes(conversion, node),
    },
  };
}

/** The device, once the namespace has a name for it. */
export function writePciHost({ host }: HostTables, name: string, terms: readonly Uint8Array[]): Uint8Array {
  return pciHostDevice({ ...host, name, terms });
}

function readWindows({ addresses, account }: Conversion, node: TreeNode): PciWindow[] {
  const found: PciWindow[] = [];
  for (const { high, child, parent, size } of addresses.windows(node, "ranges") ?? []) {
    const space = (high >>> SPACE_SHIFT) & SPACE_BITS;
    const base = Number(child);
    const physical = addresses.translate(node.parent, parent, size);
    if (size === 0n) continue;
    if (physical === undefined || space === 0 || !Number.isSafeInteger(base + physical.size)) {
      account.warn(node, "ranges", `The window at 0x${child.toString(16)} cannot be described.`);
      continue;
    }
    const memory = (high & PREFETCHABLE) === 0 ? "memory" : "prefetchable";
    found.push({
      space: space === 1 ? "io" : memory,
      base,
      size: physical.size,
      translation: physical.base - base,
    });
  }
  return found;
}

/** The wires of every slot of the root bus. */
function readRoutes({ interrupts, account }: Conversion, node: TreeNode): PciRoute[] {
  if (!node.has("interrupt-map")) return [];
  const routes: PciRoute[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    for (let pin = 0; pin < PINS; pin++) {
      const row = interrupts.rowFor(node, [slot << 11, 0, 0], [pin + 1]);
      if (row === undefined) continue;
      const wire = interrupts.resolve(row, node);
      if (wire.kind === "gic") routes.push({ slot, pin, interrupt: wire.id, signal: wire.signal });
      else {
        const reason = wire.kind === "unknown" ? wire.reason : `It leads to ${wire.controller.path}.`;
        account.warn(node, "interrupt-map", reason);
        return routes;
      }
    }
  }
  return routes;
}

/** Whether a device's accesses are coherent: it, or the nearest bus above that says so. */
export function isCoherent(node: TreeNode): boolean {
  for (let at: TreeNode | undefined = node; at !== undefined; at = at.parent) {
    if (at.has("dma-coherent")) return true;
    if (at.has("dma-noncoherent")) return false;
  }
  return false;
}

/** True for what hangs on a PCI bus: it is found by asking the bus. */
export function isOnPci(node: TreeNode): boolean {
  return (
    node.parent !== undefined &&
    (node.parent.text("device_type") === "pci" || node.parent.cell("#address-cells") === 3)
  );
}

/** A PCI address (first cell of `reg`) as _ADR has it: slot in the upper half, function in the lower. */
export function pciAddress(node: TreeNode): number {
  const [high = 0] = node.cells("reg") ?? [];
  return ((high >>> 11) & 31) * 2 ** 16 + ((high >>> 8) & 7);
}
