import { DISPATCH, MAXIMUM_ENTRIES, type Region, successors } from "./region.ts";

/**
 * The shape of a region for structured emission (Ramsey, "Beyond Relooper", ICFP 2022): reverse postorder,
 * dominator tree, loop headers and merge points. Edges that would make the graph irreducible are cut: they go by way
 * of DISPATCH, or leave the region where that has one entry.
 */
export interface ControlFlow {
  /** Blocks reachable from the entry, in reverse postorder; the entry, or DISPATCH, is first. */
  readonly order: readonly number[];
  /** Where control arrives that comes from outside or from a computed branch; empty where that is the entry alone. */
  readonly entries: readonly number[];
  /** Position in `order`. */
  readonly position: ReadonlyMap<number, number>;
  /** Children in the dominator tree, in reverse postorder. */
  readonly children: ReadonlyMap<number, readonly number[]>;
  readonly loopHeaders: ReadonlySet<number>;
  /** Blocks that two or more forward edges reach, and all entries. */
  readonly mergePoints: ReadonlySet<number>;
  /** True for edges inside the region; false for those that leave it, or go by way of DISPATCH to an entry. */
  isInside(from: number, to: number): boolean;
}

/** A region with several entries has DISPATCH at its root, and edges that would make it irreducible go there. */
export function analyse(region: Region): ControlFlow {
  const entries = region.entries.length > 1 ? [...region.entries] : [];
  for (;;) {
    const { flow, cut } = shapeOf(region, entries);
    const more = [...new Set(cut)].filter((block) => !entries.includes(block));
    if (entries.length === 0 || more.length === 0 || entries.length + more.length > MAXIMUM_ENTRIES)
      return flow;
    entries.push(...more);
  }
}

function shapeOf(region: Region, entries: readonly number[]): { flow: ControlFlow; cut: readonly number[] } {
  const graph: Graph = { region, entries, root: entries.length > 0 ? DISPATCH : region.entry };
  const order = reversePostorder(graph);
  const position = new Map(order.map((block, index) => [block, index]));
  const at = (block: number): number => position.get(block) ?? -1;
  const edges = order.flatMap((from) => insideSuccessors(graph, from).map((to) => ({ from, to })));
  const dominator = immediateDominators(order, at, edges);
  const dominates = (a: number, b: number): boolean => {
    let block = b;
    while (at(block) > at(a)) block = dominator.get(block) ?? graph.root;
    return block === a;
  };
  const isCut = (from: number, to: number): boolean => at(to) <= at(from) && !dominates(to, from);
  const kept = edges.filter(({ from, to }) => !isCut(from, to));
  const loopHeaders = new Set(kept.filter(({ from, to }) => at(to) <= at(from)).map(({ to }) => to));
  if (entries.length > 0) loopHeaders.add(DISPATCH);
  const forwardCount = new Map<number, number>();
  for (const { from, to } of kept) {
    if (at(to) > at(from)) forwardCount.set(to, (forwardCount.get(to) ?? 0) + 1);
  }
  const children = new Map<number, number[]>();
  for (const block of order) {
    const parent = dominator.get(block);
    if (block === graph.root || parent === undefined) continue;
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [block]);
    else known.push(block);
  }
  const merges = [...forwardCount].filter(([, count]) => count > 1).map(([block]) => block);
  return {
    flow: {
      order,
      entries,
      position,
      children,
      loopHeaders,
      mergePoints: new Set([...merges, ...entries]),
      isInside: (from, to) => position.has(to) && !isCut(from, to),
    },
    cut: edges.filter(({ from, to }) => isCut(from, to)).map(({ to }) => to),
  };
}

/** All edges that stay in the region. */
export function insideEdges(region: Region, flow: ControlFlow): { from: number; to: number }[] {
  const { entries } = flow;
  return flow.order.flatMap((from) =>
    insideSuccessors({ region, entries }, from)
      .filter((to) => flow.isInside(from, to))
      .map((to) => ({ from, to })),
  );
}

interface Graph {
  readonly region: Region;
  readonly entries: readonly number[];
  readonly root: number;
}

function insideSuccessors(
  { region, entries }: Pick<Graph, "region" | "entries">,
  block: number,
): readonly number[] {
  if (block === DISPATCH) return entries;
  const { terminator } = region.blocks.get(block) ?? {};
  if (terminator === undefined) return [];
  if (terminator.kind === "indirect") return entries.length > 0 ? [DISPATCH] : [];
  return [...new Set(successors(terminator))].filter((to) => region.blocks.has(to));
}

function reversePostorder(graph: Graph): number[] {
  const seen = new Set<number>();
  const postorder: number[] = [];
  const visit = (block: number): void => {
    if (seen.has(block)) return;
    seen.add(block);
    for (const next of insideSuccessors(graph, block)) visit(next);
    postorder.push(block);
  };
  visit(graph.root);
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
  const predecessors = new Map<number, number[]>(order.map((block) => [block, []]));
  for (const { from, to } of edges) predecessors.get(to)?.push(from);
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
      for (const from of predecessors.get(block) ?? []) {
        if (!dominator.has(from)) continue;
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
