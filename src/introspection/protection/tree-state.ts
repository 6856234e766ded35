import { concatenate } from "../../base/bytes.ts";
import type { AllowedCode, MonitoredTree } from "./monitor.ts";
import { TREE_NODE } from "./page-tree.ts";

/** Bytes of all trees in a state stream at most. */
export const LONGEST_TREES = 1 << 24;

/** Handle, root page, number of nodes, number of ranges of code: u64 each, before each tree. */
const HEADER = 32;
/** A node after its page number; a range of code. */
const NODE = 8 + TREE_NODE.SIZE;
const RANGE = 16;

interface KeptTree {
  readonly handle: number;
  readonly root: number;
  readonly nodes: ReadonlyMap<number, Uint8Array>;
  readonly allowed: readonly AllowedCode[];
}

/** The host's trees for a state stream. Guests' trees lie in their memory. */
export function encodeTrees(trees: readonly MonitoredTree[]): Uint8Array {
  return concatenate(trees.filter(({ owner }) => owner === "host").map(encodeTree));
}

function encodeTree({ handle, sealed, memory, allowed }: MonitoredTree): Uint8Array {
  const bytes = new Uint8Array(HEADER + sealed.nodes.size * NODE + allowed.length * RANGE);
  const view = new DataView(bytes.buffer);
  [handle, sealed.root, sealed.nodes.size, allowed.length].forEach((value, index) => {
    view.setBigUint64(8 * index, BigInt(value), true);
  });
  let at = HEADER;
  for (const page of sealed.nodes.keys()) {
    view.setBigUint64(at, BigInt(page), true);
    bytes.set(memory.read(page) ?? new Uint8Array(0), at + 8);
    at += NODE;
  }
  for (const { first, end } of allowed) {
    view.setBigUint64(at, first, true);
    view.setBigUint64(at + 8, end, true);
    at += RANGE;
  }
  return bytes;
}

/** What {@link encodeTrees} made. Where the bytes are something else, a tree's own checks find that. */
export function decodeTrees(bytes: Uint8Array): KeptTree[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = (at: number): number => Number(view.getBigUint64(at, true));
  const trees: KeptTree[] = [];
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const [handle, root, nodeCount, rangeCount] = [
      number(at),
      number(at + 8),
      number(at + 16),
      number(at + 24),
    ];
    const end = at + HEADER + nodeCount * NODE + rangeCount * RANGE;
    if (end > bytes.length) break;
    at += HEADER;
    const nodes = new Map<number, Uint8Array>();
    for (let node = 0; node < nodeCount; node++, at += NODE)
      nodes.set(number(at), bytes.slice(at + 8, at + NODE));
    const allowed: AllowedCode[] = [];
    for (let range = 0; range < rangeCount; range++, at += RANGE)
      allowed.push({ first: view.getBigUint64(at, true), end: view.getBigUint64(at + 8, true) });
    trees.push({ handle, root, nodes, allowed });
  }
  return trees;
}
