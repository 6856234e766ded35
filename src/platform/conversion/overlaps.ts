import type { Account } from "./account.ts";
import type { PhysicalRange } from "./addresses.ts";
import type { TreeNode } from "./tree-index.ts";

/**
 * The registers that may be given to devices. Ranges may equal or contain others, as those of a bus or of a
 * multi-function device do; where two devices in use cross, the system could give them to neither, so the one
 * that begins later loses it, with a warning.
 */
export function withoutCrossings(
  registers: ReadonlyMap<TreeNode, readonly PhysicalRange[]>,
  account: Account,
): Map<TreeNode, readonly PhysicalRange[]> {
  const all = [...registers].flatMap(([node, ranges]) =>
    node.enabled ? ranges.map((range) => ({ node, range, end: range.base + range.size })) : [],
  );
  all.sort((one, other) => one.range.base - other.range.base || other.end - one.end);
  const rejected = new Map<TreeNode, Set<PhysicalRange>>();
  const open: typeof all = [];
  for (const item of all) {
    while (open.length > 0 && open.at(-1)!.end <= item.range.base) open.pop();
    const around = open.at(-1);
    if (around !== undefined && item.end > around.end && item.node !== around.node) {
      const set = rejected.get(item.node) ?? new Set();
      rejected.set(item.node, set.add(item.range));
      account.warn(
        item.node,
        "reg",
        `0x${item.range.base.toString(16)} to 0x${(item.end - 1).toString(16)} crosses the registers of ${around.node.path}; it is left out.`,
      );
    } else open.push(item);
  }
  return new Map(
    [...registers].map(([node, ranges]) => [
      node,
      ranges.filter((range) => rejected.get(node)?.has(range) !== true),
    ]),
  );
}
