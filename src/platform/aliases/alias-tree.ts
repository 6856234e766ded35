import { Account } from "../conversion/account.ts";
import { AddressReader } from "../conversion/addresses.ts";
import { hardwareId } from "../conversion/hardware-ids.ts";
import { InterruptReader } from "../conversion/interrupts.ts";
import { TreeIndex, type TreeNode } from "../conversion/tree-index.ts";
import { decodeStrings, encodeCells, encodeStrings } from "../device-tree/property-values.ts";
import { createNode, type DeviceTree, type DeviceTreeNode, findChild } from "../device-tree/tree.ts";
import { type AliasReading, checkedAliases } from "./alias-table.ts";
import {
  type AliasProblem,
  aliasFor,
  type DeviceAlias,
  isAcpiId,
  isCompatibleName,
  matchId,
} from "./device-aliases.ts";
import { resourceFault } from "./resource-needs.ts";

/** The device of a tree, with its alias. */
interface AliasedNode {
  readonly node: TreeNode;
  readonly alias: DeviceAlias;
}

/** Every node that an alias is for, by its names, or also by what it is called in ACPI. */
function aliasedNodes(
  index: TreeIndex,
  aliases: readonly DeviceAlias[],
  by: "compatible" | "any-id",
): AliasedNode[] {
  const counts = new Map<string, number>();
  return index.nodes.flatMap((node): AliasedNode[] => {
    const [first] = node.compatible;
    if (first === undefined) return [];
    const uid = counts.get(first) ?? 0;
    counts.set(first, uid + 1);
    const ids = by === "compatible" ? node.compatible : [hardwareId(node), ...node.compatible];
    const alias = aliasFor(aliases, { ids, uid });
    return alias === undefined ? [] : [{ node, alias }];
  });
}

/** Aliases by which a driver would be bound to a device that it cannot work with. */
export function checkAliasResources(tree: DeviceTree, aliases: readonly DeviceAlias[]): AliasProblem[] {
  const index = new TreeIndex(tree);
  const account = new Account();
  const addresses = new AddressReader(account);
  const interrupts = new InterruptReader(index, account);
  return aliasedNodes(index, aliases, "any-id").flatMap(({ node, alias }): AliasProblem[] => {
    const ranges = node.has("reg") && addresses.isMemoryMapped(node.parent) ? addresses.registers(node) : [];
    const bytes = ranges[0]?.size ?? 0;
    const wires = interrupts.wires(node).length;
    const fault = alias.as.map((id) => resourceFault(id, bytes, wires)).find((text) => text !== undefined);
    if (fault === undefined) return [];
    return [{ index: aliases.indexOf(alias), place: "as", text: `it is for ${node.path}; ${fault}` }];
  });
}

/**
 * The tree with aliases: the names are added to the end of `compatible`, properties to the nodes, and the table
 * itself as /chosen/device-aliases.
 */
export function withAliases(tree: DeviceTree, aliases: readonly DeviceAlias[]): DeviceTree {
  const index = new TreeIndex(tree);
  const changes = new Map(
    aliasedNodes(index, aliases, "compatible").map(({ node, alias }) => [node.path, alias]),
  );
  const copy = (node: DeviceTreeNode, path: string): DeviceTreeNode => {
    const alias = changes.get(path === "" ? "/" : path);
    const properties = new Map(node.properties);
    if (alias !== undefined) applyAlias(properties, alias);
    const children = node.children.map((child) => copy(child, `${path}/${child.name}`));
    return { name: node.name, properties, children };
  };
  const root = copy(tree.root, "");
  let chosen = findChild(root, "chosen");
  if (chosen === undefined) {
    chosen = createNode("chosen");
    root.children.push(chosen);
  }
  chosen.children = [...chosen.children.filter(({ name }) => name !== TABLE_NODE), tableNode(aliases)];
  return { ...tree, root };
}

const TABLE_NODE = "device-aliases";

/** The aliases that a tree holds below /chosen; none where it holds no table. */
export function readAliasNodes(index: TreeIndex): AliasReading {
  const table = index.byPath(`/chosen/${TABLE_NODE}`);
  if (table === undefined) return { status: "read", aliases: [] };
  return checkedAliases(
    table.children.map((node) => {
      const id = node.text("match") ?? "";
      const uid = node.cell("uid");
      const match = isAcpiId(id) ? { hid: id } : { compatible: id };
      return { match: { ...match, ...(uid !== undefined && { uid }) }, as: node.strings("as") };
    }),
  );
}

function applyAlias(properties: Map<string, Uint8Array>, { as, properties: more = {} }: DeviceAlias): void {
  const own = properties.get("compatible") ?? new Uint8Array(0);
  const known = decodeStrings(own) ?? [];
  const names = as.filter((name) => isCompatibleName(name) && !known.includes(name));
  const added = encodeStrings(...names);
  const compatible = new Uint8Array(own.length + added.length);
  compatible.set(own);
  compatible.set(added, own.length);
  properties.set("compatible", compatible);
  for (const [name, value] of Object.entries(more)) {
    if (value === false) properties.delete(name);
    else properties.set(name, encodeProperty(value));
  }
}

function encodeProperty(value: string | number | true): Uint8Array {
  if (value === true) return new Uint8Array(0);
  return typeof value === "number" ? encodeCells(value) : encodeStrings(value);
}

/** One node an alias: `match`, `uid` where it counts, `as`. */
function tableNode(aliases: readonly DeviceAlias[]): DeviceTreeNode {
  const table = createNode(TABLE_NODE);
  table.children = aliases.map((alias, index) => {
    const node = createNode(`alias-${index}`);
    node.properties.set("match", encodeStrings(matchId(alias)));
    if (alias.match.uid !== undefined) node.properties.set("uid", encodeCells(alias.match.uid));
    node.properties.set("as", encodeStrings(...alias.as));
    return node;
  });
  return table;
}
