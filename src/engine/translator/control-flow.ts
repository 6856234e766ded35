import { type Region, successors } from "./region.ts";

/**
 * The shape of a region for structured emission (Ramsey, "Beyond Relooper", ICFP 2022): reverse postorder,
 * dominator tree, loop headers and merge points. Edges that would make the graph irreducible are cut: they
 * leave the region.
 */
export interface ControlFlow {
  /** Blocks reachable from the entry, in reverse postorder; the entry is first. */
  readonly order: readonly number[];
  /** Position in `order`. */
  readonly position: ReadonlyMap<number, number>;
  /** Children in the dominator tree, in reverse postorder. */
  readonly children: ReadonlyMap<number, readonly number[]>;
  readonly loopHeaders: ReadonlySet<number>;
  /** Blocks that two or more forward edges reach. */
  readonly mergePoints: ReadonlySet<number>;
  /** True for edges inside the region; false for those that leave it. */
  isInside(from: number, to: number): boolean;
}

export function analyse(region: Region): ControlFlow {
  const order = reversePostorder(region);
  const position = new Map(order.map((block, index) => [block, index]));
  const at = (block: number): number => position.get(block) ?? -1;
  const edges = order.flatMap((from) => insideSuccessors(region, from).map((to) => ({ from, to })));
  const dominator = immediateDominators(order, at, edges);
  const dominates = (a: number, b: number): boolean => {
    let block = b;
    while (at(block) > at(a)) block = dominator.get(block) ?? region.entry;
    return block === a;
  };
  const isCut = (from: number, to: number): boolean => at(to) <= at(from) && !dominates(to, from);
  const kept = edges.filter(({ from, to }) => !isCut(from, to));
  const loopHeaders = new Set(kept.filter(({ from, to }) => at(to) <= at(from)).map(({ to }) => to));
  const forwardCount = new Map<number, number>();
  for (const { from, to } of kept) {
    if (at(to) > at(from)) forwardCount.set(to, (forwardCount.get(to) ?? 0) + 1);
  }
  const children = new Map<number, number[]>();
  for (const block of order) {
    const parent = dominator.get(block);
    if (block === region.entry || parent === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), block]);
  }
  return {
    order,
    position,
    children,
    loopHeaders,
    mergePoints: new Set([...forwardCount].filter(([, count]) => count > 1).map(([block]) => block)),
    isInside: (from, to) => position.has(to) && !isCut(from, to),
  };
}

/** All edges that stay in the region. */
export function insideEdges(region: Region, flow: ControlFlow): { from: number; to: number }[] {
  return flow.order.flatMap((from) =>
    insideSuccessors(region, from)
      .filter((to) => flow.isInside(from, to))
      .map((to) => ({ from, to })),
  );
}

function insideSuccessors(region: Region, block: number): readonly number[] {
  const { terminator } = region.blocks.get(block) ?? {};
  return terminator === undefined
    ? []
    : [...new Set(successors(terminator))].filter((to) => region.blocks.has(to));
}

function reversePostorder(region: Region): number[] {
  const seen = new Set<number>();
  const postorder: number[] = [];
  const visit = (block: number): void => {
    if (seen.has(block)) return;
    seen.add(block);
    for (const next of insideSuccessors(region, block)) visit(next);
    postorder.push(block);
  };
  visit(region.entry);
  return postorder.reverse();
}

/** Cooper, Harvey and Kennedy's iteration; regions are small. */
function immediateDominators(
  order: readonly number[],
  at: (block: number) => number,
  edges: readonly { from: number; to: number }[],
): ReadonlyMap<number, number> {
  const [entry = 0] = order;
  const dominator = new Map<number, number>([[entry, entry]]);
  const meet = (a: number, b: number): number => {
    let [x, y] = [a, b];
    while (x !== y) {
      while (at(x) > at(y)) x = dominator.get(x) ?? entry;
      while (at(y) > at(x)) y = dominator.get(y) ?? entry;
    }
    return x;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const block of order.slice(1)) {
      let best: number | undefined;
      for (const { from, to } of edges) {
        if (to !== block || !dominator.has(from)) continue;
        best = best === undefined ? from : meet(best, from);
      }
      if (best !== undefined && dominator.get(block) !== best) {
        dominator.set(block, best);
        changed = true;
      }
    }
  }
  return dominator;
}
