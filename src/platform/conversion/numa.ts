import type { SratInput } from "../acpi/numa.ts";
import type { Conversion } from "./context.ts";
import type { Processor } from "./processors.ts";
import type { TreeNode } from "./tree-index.ts";

/** What is near to what, if the tree says so. */
export interface NumaTables {
  readonly srat: SratInput;
  /** Distances from and to each domain. */
  readonly slit: readonly (readonly number[])[] | undefined;
}

const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;
const MOST_DOMAINS = 64;

export function isMemory(node: TreeNode): boolean {
  return (
    node.parent?.parent === undefined && node.parent !== undefined && node.text("device_type") === "memory"
  );
}

/** SRAT and SLIT; undefined where there are no domains. Memory itself is told by UEFI, not by ACPI. */
export function readNuma(conversion: Conversion, processors: readonly Processor[]): NumaTables | undefined {
  const { index, account, addresses } = conversion;
  const memories = index.nodes.filter(isMemory);
  for (const node of memories) {
    account.node(node, "left-out", "UEFI's memory map tells it, which firmware makes");
    account.properties(node, ["device_type", "reg"], "left-out", "UEFI's memory map tells it");
    account.property(node, "numa-node-id", "converted", "SRAT");
  }
  const domainOf = (node: TreeNode): number | undefined => node.cell("numa-node-id");
  const cpus = processors.flatMap(({ node, uid }) => {
    account.property(node, "numa-node-id", "converted", "SRAT");
    const domain = domainOf(node);
    return domain === undefined ? [] : [{ uid, domain }];
  });
  const memory = memories.flatMap((node) => {
    const domain = domainOf(node);
    if (domain === undefined) return [];
    return addresses.registers(node).map(({ base, size }) => ({ base, size, domain }));
  });
  if (cpus.length === 0 && memory.length === 0) return undefined;
  return { srat: { cpus, memory }, slit: readDistances(conversion) };
}

function readDistances({ index, account }: Conversion): number[][] | undefined {
  const map = index.nodes.find((node) => node.isCompatible("numa-distance-map-v1"));
  const cells = map?.cells("distance-matrix");
  if (map === undefined || cells === undefined) return undefined;
  if (cells.length > 3 * MOST_DOMAINS ** 2) {
    account.warn(map, "distance-matrix", `It has more rows than ${MOST_DOMAINS} domains need.`);
    return undefined;
  }
  account.node(map, "converted", "SLIT");
  account.properties(map, ["compatible", "distance-matrix"], "converted", "SLIT");
  const rows = Array.from({ length: Math.floor(cells.length / 3) }, (_, row) =>
    cells.slice(row * 3, row * 3 + 3),
  );
  const domains = Math.max(0, ...rows.map(([from = 0, to = 0]) => Math.max(from, to) + 1));
  if (
    domains > MOST_DOMAINS ||
    rows.some(([, , distance = 0]) => distance > 254 || distance < LOCAL_DISTANCE)
  ) {
    account.warn(
      map,
      "distance-matrix",
      `It has a distance out of range or more than ${MOST_DOMAINS} domains.`,
    );
    return undefined;
  }
  const distances = Array.from({ length: domains }, (_, from) =>
    Array.from({ length: domains }, (_unused, to): number =>
      from === to ? LOCAL_DISTANCE : REMOTE_DISTANCE,
    ),
  );
  for (const [from = 0, to = 0, distance = 0] of rows) {
    distances[from]![to] = distance;
    // The binding lets one direction stand for both.
    if (!rows.some(([otherFrom, otherTo]) => otherFrom === to && otherTo === from))
      distances[to]![from] = distance;
  }
  return distances;
}
