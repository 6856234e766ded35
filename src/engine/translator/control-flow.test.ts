import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { analyse, type ControlFlow } from "./control-flow.ts";
import { type BasicBlock, DISPATCH, type Edge, type Region, successors, type Terminator } from "./region.ts";

/** A region of empty blocks: the targets of block `n` are element `n`, at most two. Block 0 is the entry. */
function graph(edges: readonly (readonly number[])[], entries: readonly number[] = [0]): Region {
  const blocks = new Map<number, BasicBlock>();
  edges.forEach((targets, start) => {
    const [taken, next] = targets;
    const terminator: Terminator =
      taken === undefined
        ? { kind: "indirect" }
        : next === undefined
          ? { kind: "goto", to: edge(taken) }
          : { kind: "conditional", taken: edge(taken), next: edge(next) };
    blocks.set(start, { name: start, start: start * 4, page: PAGE, instructions: [], terminator });
  });
  return { entry: 0, entries, blocks };
}

const PAGE = { delta: 0, frame: 1, records: 0 };
const edge = (block: number): Edge => ({ block, offset: block * 4 });

const sorted = (blocks: Iterable<number>): number[] => [...blocks].sort((a, b) => a - b);

/** Every edge of a region as pairs. */
function edgesOf(region: Region): { from: number; to: number }[] {
  return [...region.blocks.values()].flatMap(({ name, terminator }) =>
    successors(terminator).map((to) => ({ from: name, to })),
  );
}

function cutEdges(region: Region, flow: ControlFlow): string[] {
  return edgesOf(region)
    .filter(({ from, to }) => !flow.isInside(from, to))
    .map(({ from, to }) => `${from}>${to}`);
}

describe("analyse", () => {
  test("a diamond has one merge point, dominated by its top", () => {
    const flow = analyse(graph([[1, 2], [3], [3], []]));
    expect(sorted(flow.mergePoints)).toEqual([3]);
    expect(sorted(flow.children.get(0) ?? [])).toEqual([1, 2, 3]);
    expect(sorted(flow.loopHeaders)).toEqual([]);
  });

  test("children come in reverse postorder", () => {
    const flow = analyse(graph([[1, 2], [3], [3], [4, 5], [6], [6], []]));
    for (const children of flow.children.values()) {
      const positions = children.map((child) => flow.position.get(child) ?? -1);
      expect(positions).toEqual(sorted(positions));
    }
  });

  test("a loop's header is neither a merge point nor its own child", () => {
    const flow = analyse(graph([[1], [2, 3], [1], []]));
    expect(sorted(flow.loopHeaders)).toEqual([1]);
    expect(sorted(flow.mergePoints)).toEqual([]);
    expect(sorted(flow.children.get(1) ?? [])).toEqual([2, 3]);
  });

  test("the entry may be a loop's header, and a block its own loop", () => {
    expect(sorted(analyse(graph([[0, 1], [0]])).loopHeaders)).toEqual([0]);
    expect(sorted(analyse(graph([[0]])).loopHeaders)).toEqual([0]);
  });

  test("a loop with two ways in is cut", () => {
    const region = graph([[1, 2], [2, 3], [1, 3], []]);
    const flow = analyse(region);
    expect(cutEdges(region, flow).length).toBe(1);
    expect(sorted(flow.loopHeaders)).toEqual([]);
  });

  test("nested loops keep all their edges", () => {
    const region = graph([[1], [2], [2, 3], [1, 4], []]);
    const flow = analyse(region);
    expect(cutEdges(region, flow)).toEqual([]);
    expect(sorted(flow.loopHeaders)).toEqual([1, 2]);
  });

  test("blocks that nothing reaches are left out, and edges to blocks that are missing leave", () => {
    const region = graph([[9], [0]]);
    const flow = analyse(region);
    expect(flow.order).toEqual([0]);
    expect(flow.isInside(0, 9)).toBe(false);
  });

  test("holds what structured emission needs, in random graphs", () => {
    const random = Random.ofThisRun();
    for (let count = 0; count < 500; count++) {
      const size = 1 + random.below(20);
      const region = graph(
        Array.from({ length: size }, () => Array.from({ length: random.below(3) }, () => random.below(size))),
      );
      check(region, `graph ${count} of seed ${random.seed}`);
    }
  });

  test("a computed branch may go to any entry", () => {
    const region = graph([[1], [], [1]], [0, 2]);
    const flow = analyse(region);
    expect(flow.order[0]).toBe(DISPATCH);
    expect(flow.entries).toEqual([0, 2]);
    expect(flow.isInside(1, DISPATCH)).toBe(true);
    expect(sorted(flow.mergePoints)).toEqual([0, 1, 2]);
    expect(sorted(flow.loopHeaders)).toEqual([DISPATCH]);
    expect(sorted(flow.children.get(DISPATCH) ?? [])).toEqual([0, 1, 2]);
  });

  test("what would be a second way into a loop goes by way of an entry", () => {
    const flow = analyse(graph([[1], [2], [1]], [0, 2]));
    expect(flow.entries).toEqual([0, 2, 1]);
    expect(flow.isInside(2, 1)).toBe(false);
    expect(flow.isInside(0, 1)).toBe(true);
  });

  test("in random graphs with several entries every edge stays, at least by way of an entry", () => {
    const random = Random.ofThisRun();
    for (let count = 0; count < 500; count++) {
      const size = 2 + random.below(20);
      const entries = [
        0,
        ...new Set(Array.from({ length: 1 + random.below(4) }, () => 1 + random.below(size - 1))),
      ];
      const region = graph(
        Array.from({ length: size }, () => Array.from({ length: random.below(3) }, () => random.below(size))),
        entries,
      );
      const where = `graph ${count} of seed ${random.seed}`;
      const flow = analyse(region);
      const at = (block: number): number => flow.position.get(block) ?? -1;
      expect(flow.entries.slice(0, entries.length), where).toEqual(entries);
      for (const entry of flow.entries) expect(flow.mergePoints.has(entry), where).toBe(true);
      for (const { from, to } of edgesOf(region)) {
        if (at(from) < 0) continue;
        if (!flow.isInside(from, to)) expect(flow.entries, `${where}: ${from}>${to}`).toContain(to);
        else if (at(to) <= at(from)) expect(flow.loopHeaders.has(to), `${where}: ${from}>${to}`).toBe(true);
      }
    }
  });
});

/** Dominators by their definition: a dominates b when b cannot be reached without a. */
function dominates(region: Region, a: number, b: number): boolean {
  const seen = new Set<number>();
  const visit = (block: number): void => {
    if (block === a || seen.has(block)) return;
    seen.add(block);
    for (const next of successors(region.blocks.get(block)!.terminator)) visit(next);
  };
  visit(region.entry);
  return !seen.has(b);
}

function check(region: Region, where: string): void {
  const flow = analyse(region);
  const at = (block: number) => flow.position.get(block) ?? -1;
  expect(flow.order[0], where).toBe(region.entry);
  const parents = new Map<number, number>();
  for (const [parent, children] of flow.children) for (const child of children) parents.set(child, parent);
  for (const block of flow.order) {
    if (block === region.entry) continue;
    const parent = parents.get(block);
    expect(parent, `${where}: parent of ${block}`).toBeDefined();
    expect(dominates(region, parent!, block), `${where}: ${parent} over ${block}`).toBe(true);
    // The closest one: every other dominator dominates the parent too.
    for (const other of flow.order) {
      if (other === block || !dominates(region, other, block)) continue;
      expect(dominates(region, other, parent!), `${where}: ${other} over ${parent}`).toBe(true);
    }
  }
  const forward = new Map<number, Set<number>>();
  for (const { from, to } of edgesOf(region)) {
    if (at(from) < 0) continue;
    const isBack = at(to) <= at(from);
    expect(flow.isInside(from, to), `${where}: ${from}>${to}`).toBe(!isBack || dominates(region, to, from));
    if (!flow.isInside(from, to)) continue;
    if (isBack) expect(flow.loopHeaders.has(to), `${where}: header ${to}`).toBe(true);
    else forward.set(to, (forward.get(to) ?? new Set()).add(from));
  }
  for (const [block, sources] of forward) {
    expect(flow.mergePoints.has(block), `${where}: merge ${block}`).toBe(sources.size > 1);
  }
}
