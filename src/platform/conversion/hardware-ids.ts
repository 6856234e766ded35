import { isAcpiId } from "../aliases/device-aliases.ts";
import type { TreeNode } from "./tree-index.ts";

/** A device that ACPI, or a vendor, has given an id of its own. */
interface KnownDevice {
  readonly id: string;
  /** Further condition on the node. */
  readonly only?: (node: TreeNode) => boolean;
}

/** A 16550 as PCs have it: byte registers, one after the other. */
function isPlain16550(node: TreeNode): boolean {
  return (node.cell("reg-shift") ?? 0) === 0 && (node.cell("reg-io-width") ?? 1) === 1;
}

/** Ids by `compatible` names: Arm DEN 0093 and Linux's drivers (acpi_amba, ARM CoreSight), ACPI's own, QEMU's. */
const KNOWN: Readonly<Record<string, KnownDevice>> = {
  "arm,pl011": { id: "ARMH0011" },
  "arm,sbsa-uart": { id: "ARMHB000" },
  "arm,pl061": { id: "ARMH0061" },
  "virtio,mmio": { id: "LNRO0005" },
  "qemu,fw-cfg-mmio": { id: "QEMU0002" },
  ns16550a: { id: "PNP0501", only: isPlain16550 },
  "generic-xhci": { id: "PNP0D10" },
  "generic-ehci": { id: "PNP0D20" },
  // Their drivers in Linux reach for a node of a device tree and would crash where _DSD stands in for it.
  "fixed-clock": { id: "ACPI0004" },
  "fixed-factor-clock": { id: "ACPI0004" },
  "arm,coresight-stm": { id: "ARMHC502" },
  "arm,coresight-cpu-debug": { id: "ARMHC503" },
  "arm,coresight-tpiu": { id: "ARMHC979" },
  "arm,coresight-dynamic-replicator": { id: "ARMHC98D" },
  "arm,coresight-catu": { id: "ARMHC9CA" },
  "arm,coresight-static-funnel": { id: "ARMHC9FE" },
  "arm,coresight-dynamic-funnel": { id: "ARMHC9FF" },
  "arm,coresight-etm4x": { id: "ARMHC500" },
};

/** A bus without a driver: ACPI's module device. */
export const CONTAINER = "ACPI0004";
export const PROCESSOR = "ACPI0007";
export const PROCESSOR_CONTAINER = "ACPI0010";
/** "Look at `compatible` in _DSD." */
export const DEVICE_TREE_DEVICE = "PRP0001";

/**
 * Devices whose drivers in Linux take for granted that there is a device tree, and crash without one; in ACPI,
 * clocks are the firmware's business. What refers to them still can.
 */
const TREE_ONLY: readonly string[] = ["fixed-clock", "fixed-factor-clock"];

/** The hardware id for a node with `compatible`. */
export function hardwareId(node: TreeNode): string {
  const [first] = node.compatible;
  if (node.isCompatible("simple-bus", ...TREE_ONLY)) return CONTAINER;
  // Some makers write their ACPI id where a name belongs.
  if (first !== undefined && isAcpiId(first)) return first;
  for (const compatible of node.compatible) {
    const known = Object.hasOwn(KNOWN, compatible) ? KNOWN[compatible] : undefined;
    if (known !== undefined && known.only?.(node) !== false) return known.id;
  }
  return DEVICE_TREE_DEVICE;
}
