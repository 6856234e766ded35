import { hex } from "../../base/bits.ts";
import { printValue } from "./printer.ts";
import { phandlePaths, resolvePhandles } from "./references.ts";
import { type DeviceTree, walkTree } from "./tree.ts";

/** One difference between two trees; `ours` and `theirs` are printed values, undefined where absent. */
export interface TreeDifference {
  path: string;
  /** Undefined when the node itself is only in one tree. */
  property?: string;
  ours: string | undefined;
  theirs: string | undefined;
}

/**
 * What differs between two trees apart from the numbering of phandles and the order of properties. A node
 * that only one tree has is reported once, without what is below it. Different order of the nodes that
 * both have counts as one difference, at the first path out of order.
 */
export function compareTrees(ours: DeviceTree, theirs: DeviceTree): TreeDifference[] {
  const ourNodes = describe(ours);
  const theirNodes = describe(theirs);
  return [
    ...missingNodes(ourNodes, theirNodes).map((path) => ({ path, ours: "node", theirs: undefined })),
    ...missingNodes(theirNodes, ourNodes).map((path) => ({ path, ours: undefined, theirs: "node" })),
    ...[...ourNodes].flatMap(([path, properties]) =>
      compareProperties(path, properties, theirNodes.get(path) ?? properties),
    ),
    ...compareOrder(ourNodes, theirNodes),
  ];
}

type Properties = ReadonlyMap<string, string>;

function describe(tree: DeviceTree): Map<string, Properties> {
  const paths = phandlePaths(tree);
  const nodes = new Map<string, Properties>();
  for (const { node, path } of walkTree(tree)) {
    const properties = [...node.properties].map(([name, value]) => {
      const resolved = resolvePhandles(name, value, paths);
      const text = resolved?.map((cell) => (typeof cell === "number" ? hex(cell, 2) : `&{${cell}}`));
      return [name, text === undefined ? printValue(value) : `<${text.join(" ")}>`] as const;
    });
    nodes.set(path, new Map(properties));
  }
  return nodes;
}

/** Paths of `nodes` that `others` lacks, without those below a lacking one. */
function missingNodes(
  nodes: ReadonlyMap<string, Properties>,
  others: ReadonlyMap<string, Properties>,
): string[] {
  const missing: string[] = [];
  for (const path of nodes.keys()) {
    if (!others.has(path) && !missing.some((above) => path.startsWith(`${above}/`))) missing.push(path);
  }
  return missing;
}

function compareProperties(path: string, ours: Properties, theirs: Properties): TreeDifference[] {
  const names = new Set([...ours.keys(), ...theirs.keys()]);
  return [...names]
    .filter((property) => ours.get(property) !== theirs.get(property))
    .map((property) => ({ path, property, ours: ours.get(property), theirs: theirs.get(property) }));
}

function compareOrder(
  ours: ReadonlyMap<string, Properties>,
  theirs: ReadonlyMap<string, Properties>,
): TreeDifference[] {
  const ourOrder = [...ours.keys()].filter((path) => theirs.has(path));
  const theirOrder = [...theirs.keys()].filter((path) => ours.has(path));
  const first = ourOrder.findIndex((path, index) => path !== theirOrder[index]);
  const path = ourOrder[first];
  return path === undefined ? [] : [{ path: "/", property: "order", ours: path, theirs: theirOrder[first] }];
}
