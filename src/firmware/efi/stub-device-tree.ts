import { encodeCells, wideCells } from "../../platform/device-tree/property-values.ts";
import { createNode } from "../../platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../platform/device-tree/writer.ts";
import { setChosen, setSeeds } from "../../platform/device-tree-generator.ts";
import type { ChosenSpec } from "../../platform/platform-spec.ts";
import { EFI_DESCRIPTOR } from "./memory-map.ts";
import type { EfiImage } from "./system-table.ts";

/** Linux's efi_secureboot_mode_disabled. */
const SECURE_BOOT_DISABLED = 2;

/**
 * The device tree that tells a kernel of its EFI tables and of nothing else, as Linux's own EFI stub hands it on
 * (Linux, "UEFI kernel support on ARM"): with any other node the kernel would take its devices from the tree.
 */
export function stubDeviceTree(
  chosen: ChosenSpec,
  { systemTable, memoryMap }: Pick<EfiImage, "systemTable" | "memoryMap">,
): Uint8Array {
  const root = createNode("");
  root.properties.set("#address-cells", encodeCells(2));
  root.properties.set("#size-cells", encodeCells(2));
  const node = createNode("chosen");
  setChosen(node, chosen);
  setSeeds(node, chosen);
  node.properties.set("linux,uefi-system-table", encodeCells(...wideCells(systemTable, 2)));
  node.properties.set("linux,uefi-mmap-start", encodeCells(...wideCells(memoryMap.base, 2)));
  node.properties.set("linux,uefi-mmap-size", encodeCells(memoryMap.size));
  node.properties.set("linux,uefi-mmap-desc-size", encodeCells(EFI_DESCRIPTOR.size));
  node.properties.set("linux,uefi-mmap-desc-ver", encodeCells(EFI_DESCRIPTOR.version));
  // Debian's kernels do without EFI when this one is missing.
  node.properties.set("linux,uefi-secure-boot", encodeCells(SECURE_BOOT_DISABLED));
  root.children.push(node);
  return writeDeviceTree({ reservations: [], bootProcessor: 0, root });
}
