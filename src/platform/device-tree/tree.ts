/**
 * A device tree in memory, in the terms of the Devicetree Specification v0.4, chapter 2. Property values
 * stay bytes, as in the blob: only a property's name says what they mean.
 */

/** A region the blob asks the client program to leave alone (section 5.3). */
export interface MemoryReservation {
  address: bigint;
  size: bigint;
}

/** A device tree in memory. */
export interface DeviceTree {
  reservations: MemoryReservation[];
  /** Physical id of the processor that runs the client program, u32. */
  bootProcessor: number;
  root: DeviceTreeNode;
}

/** One node. Properties and children keep the order of the blob. */
export interface DeviceTreeNode {
  /** With its unit address ("pl011@9000000"); empty for the root. */
  name: string;
  properties: Map<string, Uint8Array>;
  children: DeviceTreeNode[];
}

/** A node without properties and children. */
export function createNode(name: string): DeviceTreeNode {
  return { name, properties: new Map(), children: [] };
}

/** The child of `parent` called `name`, or, as the specification allows, the only one so called before its "@". */
export function findChild(parent: DeviceTreeNode, name: string): DeviceTreeNode | undefined {
  const exact = parent.children.find((child) => child.name === name);
  if (exact !== undefined || name.includes("@")) return exact;
  const byBaseName = parent.children.filter((child) => baseName(child) === name);
  return byBaseName.length === 1 ? byBaseName[0] : undefined;
}

/** The node at an absolute path such as "/cpus/cpu@0". */
export function findNode(tree: DeviceTree, path: string): DeviceTreeNode | undefined {
  let node: DeviceTreeNode | undefined = tree.root;
  for (const name of path.split("/")) {
    if (name !== "" && node !== undefined) node = findChild(node, name);
  }
  return node;
}

/** A node's name without its unit address. */
export function baseName(node: DeviceTreeNode): string {
  return node.name.replace(/@.*$/, "");
}

/** Every node below and including the root, parents first, with its absolute path. */
export function* walkTree(tree: DeviceTree): Generator<{ node: DeviceTreeNode; path: string }> {
  const pending = [{ node: tree.root, path: "/" }];
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    yield item;
    const prefix = item.path === "/" ? "/" : `${item.path}/`;
    for (const child of item.node.children.toReversed()) {
      pending.push({ node: child, path: prefix + child.name });
    }
  }
}
