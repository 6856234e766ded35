import { readAliasNodes } from "../../platform/aliases/alias-tree.ts";
import { Account } from "../../platform/conversion/account.ts";
import { AddressReader } from "../../platform/conversion/addresses.ts";
import { InterruptReader } from "../../platform/conversion/interrupts.ts";
import { TreeIndex } from "../../platform/conversion/tree-index.ts";
import type { DeviceTree } from "../../platform/device-tree/tree.ts";
import { DeviceCounter, type DeviceStructure, type Enumeration } from "./device-structure.ts";

/** The devices of a device tree, and the aliases below its /chosen. */
export function readTreeDevices(tree: DeviceTree): Enumeration {
  const index = new TreeIndex(tree);
  const account = new Account();
  const addresses = new AddressReader(account);
  const interrupts = new InterruptReader(index, account);
  const counter = new DeviceCounter();
  const devices = index.nodes.flatMap((node): DeviceStructure[] => {
    const [id, ...compatibleIds] = node.compatible;
    if (id === undefined || node.parent === undefined) return [];
    const number = counter.next(id);
    if (!node.enabled) return [];
    const mapped = node.has("reg") && addresses.isMemoryMapped(node.parent);
    return [
      {
        ...{ path: node.path, id, compatibleIds, number },
        registers: mapped ? addresses.registers(node) : [],
        interrupts: interrupts.wires(node).flatMap((wire) => (wire.kind === "gic" ? [wire.id] : [])),
      },
    ];
  });
  const read = readAliasNodes(index);
  const problems = account.warnings.map(({ path, text }) => `${path}: ${text}`);
  if (read.status === "ignored") problems.push(`/chosen/device-aliases is not used: ${read.reason}.`);
  return { source: "device tree", devices, aliases: read.status === "read" ? read.aliases : [], problems };
}
