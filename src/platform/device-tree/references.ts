import { decodeCells } from "./property-values.ts";
import { type DeviceTree, walkTree } from "./tree.ts";

/**
 * Which cells of which properties are phandles. A blob does not say, so whoever compares trees whose
 * phandles are numbered differently must know. `every: 3` with `at: 0` means cells 0, 3, 6, ...
 */
const PHANDLE_CELLS: Readonly<Record<string, { every: number; at: number }>> = {
  "interrupt-parent": { every: 1, at: 0 },
  phandle: { every: 1, at: 0 },
  clocks: { every: 1, at: 0 },
  cpu: { every: 1, at: 0 },
  gpios: { every: 3, at: 0 },
  "msi-map": { every: 4, at: 1 },
  "interrupt-map": { every: 10, at: 4 },
};

/** Path of the node that owns each phandle. */
export function phandlePaths(tree: DeviceTree): Map<number, string> {
  const paths = new Map<number, string>();
  for (const { node, path } of walkTree(tree)) {
    const phandle = decodeCells(node.properties.get("phandle") ?? new Uint8Array(0))?.[0];
    if (phandle !== undefined) paths.set(phandle, path);
  }
  return paths;
}

/** The cells of a property with each phandle replaced by the path it points to; undefined if it has none. */
export function resolvePhandles(
  property: string,
  value: Uint8Array,
  paths: ReadonlyMap<number, string>,
): (number | string)[] | undefined {
  const shape = PHANDLE_CELLS[property];
  const cells = shape === undefined ? undefined : decodeCells(value);
  if (shape === undefined || cells === undefined) return undefined;
  return cells.map((cell, index) =>
    index % shape.every === shape.at ? (paths.get(cell) ?? `no node has phandle ${cell}`) : cell,
  );
}
