import { UserError } from "../../base/errors.ts";
import { checkAliasResources, withAliases } from "../../platform/aliases/alias-tree.ts";
import { checkAliases, type DeviceAlias } from "../../platform/aliases/device-aliases.ts";
import { decodeCells } from "../../platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../platform/device-tree/reader.ts";
import { baseName, createNode, type DeviceTreeNode, findChild } from "../../platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../platform/device-tree/writer.ts";
import { memoryNode, psciNode, setChosen } from "../../platform/device-tree-generator.ts";
import type { AddressRange, PsciConduit } from "../../platform/platform-spec.ts";
import { GIBIBYTE } from "../../platform/units.ts";
import type { BootFile } from "./boot-file.ts";

/** Facts of this boot that a user's device tree cannot know. */
export interface BootFacts {
  readonly memory: readonly AddressRange[];
  readonly psciConduit: PsciConduit;
  readonly commandLine: string | undefined;
  readonly initrd: AddressRange | undefined;
}

/** Cell counts when a tree does not say (Devicetree Specification v0.4, section 2.3.5). */
const DEFAULT_ADDRESS_CELLS = 2;
const DEFAULT_SIZE_CELLS = 1;

/**
 * A user's device tree with the machine's memory, power control, kernel arguments and initrd put in their
 * places, as QEMU does with `-dtb`: memory nodes and /psci are replaced, /chosen is added to.
 */
export function patchDeviceTree(file: BootFile, facts: BootFacts): Uint8Array {
  const tree = readDeviceTree(file.bytes, file.name);
  const { root } = tree;
  const addressCells = cellCount(file.name, root, "#address-cells", DEFAULT_ADDRESS_CELLS);
  const sizeCells = cellCount(file.name, root, "#size-cells", DEFAULT_SIZE_CELLS);
  const needsTwo = facts.memory.some(({ base, size }) => base + size > 4 * GIBIBYTE);
  if (needsTwo && (addressCells < 2 || sizeCells < 2)) {
    throw new UserError(
      `The device tree ${file.name} counts addresses or sizes in 32 bits, too few for this much memory; ` +
        "give less than 3 GiB with --memory, or another tree.",
    );
  }
  const psci = psciNode(facts.psciConduit);
  const replaced = (node: DeviceTreeNode) =>
    baseName(node) === "memory" || (psci !== undefined && node.name === "psci");
  const chosen = findChild(root, "chosen") ?? createNode("chosen");
  setChosen(chosen, facts);
  root.children = [
    ...(psci === undefined ? [] : [psci]),
    ...(root.children.includes(chosen) ? [] : [chosen]),
    ...facts.memory.map((range) => memoryNode(range, addressCells, sizeCells)),
    ...root.children.filter((node) => !replaced(node)),
  ];
  return writeDeviceTree(tree);
}

/** The blob with aliases in it; those that cannot work on this board are the user's mistake. */
export function aliasDeviceTree(blob: Uint8Array, aliases: readonly DeviceAlias[]): Uint8Array {
  const tree = readDeviceTree(blob, "of this machine");
  const [problem] = [...checkAliases(aliases), ...checkAliasResources(tree, aliases)];
  if (problem !== undefined) {
    throw new UserError(
      `Alias ${problem.index + 1} cannot be used: ${problem.text}; mend it or leave it out.`,
    );
  }
  return writeDeviceTree(withAliases(tree, aliases));
}

function cellCount(name: string, root: DeviceTreeNode, property: string, byDefault: number): number {
  const value = root.properties.get(property);
  const count = value === undefined ? byDefault : decodeCells(value)?.[0];
  if (count === 1 || count === 2) return count;
  throw new UserError(
    `The device tree ${name} has a root node whose ${property} is ${count ?? "no number"}; it must be 1 or 2.`,
  );
}
