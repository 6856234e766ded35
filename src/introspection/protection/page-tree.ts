import { crc32 } from "../../firmware/efi/crc32.ts";

/**
 * The tree of monitored pages (row M7): each node is a 4 KiB page, leaves name pages and what to do when they are
 * written. Little-endian. The page's first 64 bytes are a header, then come 252 entries of 16 bytes.
 */
export const TREE_NODE = {
  SIZE: 4096,
  HEADER: 64,
  ENTRIES: 252,
  ENTRY: 16,
  /** "PTRE". */
  MAGIC: 0x4552_5450,
  VERSION: 1,
  /** Levels of a tree. */
  DEEPEST: 4,
  /** Fields of the header: u32 magic, u16 version, u16 level (0: a leaf), u32 count of entries. */
  MAGIC_AT: 0,
  VERSION_AT: 4,
  LEVEL_AT: 6,
  COUNT_AT: 8,
  /** u16, of the root: what is done when the tree itself is written. */
  ACTION_AT: 12,
  /** u64: guest-physical address of the node above, 0 for the root. */
  PARENT_AT: 16,
  /** u32: CRC-32 of the page with this field zero. */
  CRC_AT: 24,
  /** Fields of an entry: u64 guest-physical address, u16 action, u16 pages, u32 the owner's cookie. */
  ENTRY_ADDRESS: 0,
  ENTRY_ACTION: 8,
  ENTRY_SPAN: 10,
  ENTRY_COOKIE: 12,
} as const;

/** What is done about a write, by number in a tree. */
export const ACTIONS = [
  /** The write happens and is told. */
  "log",
  /** The write does not happen; the instruction goes on as if it had. */
  "deny",
  /** The write does not happen; the instruction takes a synchronous external abort. Devices: as "deny". */
  "inject",
  /** The write happens, and the machine stands still behind it until its owner lets it go on. */
  "pause",
  /** The write does not happen; the machine ends. */
  "kill",
  /** As "pause"; the owner's snapshot is taken behind the write first, where he wants one. */
  "snapshot+pause",
  /** The write happens, and a listener of the owner's is called with it. */
  "callback",
] as const;
export type ProtectionAction = (typeof ACTIONS)[number];

/** A tree is refused for one of these reasons, or found broken later. Guests see their numbers, from 1 on. */
export const TREE_MISTAKES = [
  "not a node",
  "checksum",
  "too deep",
  "cycle",
  "wrong parent",
  "outside memory",
  "no such action",
  "page twice",
  "node protects itself",
  "node is a translation table",
  "secret memory",
  "too many pages",
] as const;
export type TreeMistake = (typeof TREE_MISTAKES)[number];

/** The memory in which nodes lie: the guest's, or the host's own. */
export interface NodeMemory {
  /** The 4 KiB at a page number, or undefined where there is no memory. */
  read(page: number): Uint8Array | undefined;
}

/** A leaf's mapping. */
export interface TreeEntry {
  readonly first: number;
  readonly pages: number;
  readonly action: ProtectionAction;
  readonly cookie: number;
}

/** The trusted part of a tree: where it begins and what its nodes must be. Everything else is read from the nodes. */
export interface SealedTree {
  readonly root: number;
  /** Checksum of each node by its page number. */
  readonly nodes: ReadonlyMap<number, number>;
  /** What is done when a node is written. */
  readonly action: ProtectionAction;
  /** The nodes lie in the host's memory, which no guest writes. */
  readonly hostOwned: boolean;
}

/** Pages of one tree, nodes not counted. */
const MOST_PAGES = 1 << 20;
const PAGE = TREE_NODE.SIZE;
const LAST_ADDRESS = 2 ** 44;

/** Writes a node; entries of inner nodes are the addresses of their children. */
export function makeNode(node: {
  readonly level: number;
  readonly parent: number;
  readonly action: ProtectionAction;
  readonly entries: readonly TreeEntry[];
}): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  const view = new DataView(bytes.buffer);
  view.setUint32(TREE_NODE.MAGIC_AT, TREE_NODE.MAGIC, true);
  view.setUint16(TREE_NODE.VERSION_AT, TREE_NODE.VERSION, true);
  view.setUint16(TREE_NODE.LEVEL_AT, node.level, true);
  view.setUint32(TREE_NODE.COUNT_AT, node.entries.length, true);
  view.setUint16(TREE_NODE.ACTION_AT, ACTIONS.indexOf(node.action), true);
  view.setBigUint64(TREE_NODE.PARENT_AT, BigInt(node.parent) * BigInt(PAGE), true);
  node.entries.forEach((entry, index) => {
    setEntry(view, index, entry);
  });
  setChecksum(bytes);
  return bytes;
}

export function setEntry(view: DataView, index: number, entry: TreeEntry): void {
  const at = TREE_NODE.HEADER + index * TREE_NODE.ENTRY;
  view.setBigUint64(at + TREE_NODE.ENTRY_ADDRESS, BigInt(entry.first) * BigInt(PAGE), true);
  view.setUint16(at + TREE_NODE.ENTRY_ACTION, ACTIONS.indexOf(entry.action), true);
  view.setUint16(at + TREE_NODE.ENTRY_SPAN, entry.pages, true);
  view.setUint32(at + TREE_NODE.ENTRY_COOKIE, entry.cookie, true);
}

export function setChecksum(node: Uint8Array): void {
  new DataView(node.buffer, node.byteOffset).setUint32(TREE_NODE.CRC_AT, checksumOf(node), true);
}

export function checksumOf(node: Uint8Array): number {
  const copy = node.slice();
  copy.fill(0, TREE_NODE.CRC_AT, TREE_NODE.CRC_AT + 4);
  return crc32(copy);
}

/** A node whose form is right. */
export interface ParsedNode {
  readonly level: number;
  readonly parent: number;
  readonly action: ProtectionAction;
  readonly entries: readonly TreeEntry[];
  readonly checksum: number;
}

/** `trusted`: the host's own, whose checksum cannot be wrong. */
export function parseNode(bytes: Uint8Array, trusted = false): ParsedNode | TreeMistake {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint32(TREE_NODE.COUNT_AT, true);
  if (
    view.getUint32(TREE_NODE.MAGIC_AT, true) !== TREE_NODE.MAGIC ||
    view.getUint16(TREE_NODE.VERSION_AT, true) !== TREE_NODE.VERSION ||
    count > TREE_NODE.ENTRIES
  ) {
    return "not a node";
  }
  const level = view.getUint16(TREE_NODE.LEVEL_AT, true);
  if (level >= TREE_NODE.DEEPEST) return "too deep";
  const checksum = trusted ? view.getUint32(TREE_NODE.CRC_AT, true) : checksumOf(bytes);
  if (view.getUint32(TREE_NODE.CRC_AT, true) !== checksum) return "checksum";
  const action = ACTIONS[view.getUint16(TREE_NODE.ACTION_AT, true)];
  if (action === undefined) return "no such action";
  const entries: TreeEntry[] = [];
  for (let index = 0; index < count; index++) {
    const at = TREE_NODE.HEADER + index * TREE_NODE.ENTRY;
    const address = view.getBigUint64(at + TREE_NODE.ENTRY_ADDRESS, true);
    const pages = view.getUint16(at + TREE_NODE.ENTRY_SPAN, true);
    const entryAction = ACTIONS[view.getUint16(at + TREE_NODE.ENTRY_ACTION, true)];
    if (entryAction === undefined) return "no such action";
    if (address % BigInt(PAGE) !== 0n || address >= BigInt(LAST_ADDRESS)) return "outside memory";
    const cookie = view.getUint32(at + TREE_NODE.ENTRY_COOKIE, true);
    entries.push({ first: Number(address) / PAGE, pages, action: entryAction, cookie });
  }
  const parent = view.getBigUint64(TREE_NODE.PARENT_AT, true);
  if (parent >= BigInt(LAST_ADDRESS)) return "wrong parent";
  return { level, parent: Number(parent) / PAGE, action, entries, checksum };
}

/** What may not be a node or protected. */
export interface PageRules {
  /** Why a page cannot be protected, or hold a node. */
  mistakeOf(page: number, use: "node" | "protected"): TreeMistake | undefined;
}

/** Looks a whole tree through before it is trusted. */
export function sealTree(
  root: number,
  memory: NodeMemory,
  rules: PageRules,
  hostOwned = false,
): { tree: SealedTree; pages: readonly TreeEntry[] } | TreeMistake {
  const nodes = new Map<number, number>();
  const pages: TreeEntry[] = [];
  let action: ProtectionAction = "deny";
  const visit = (page: number, parent: number, level: number | undefined): TreeMistake | undefined => {
    if (nodes.has(page)) return "cycle";
    const refused = hostOwned ? undefined : rules.mistakeOf(page, "node");
    if (refused !== undefined) return refused;
    const bytes = memory.read(page);
    if (bytes === undefined) return "outside memory";
    const node = parseNode(bytes);
    if (typeof node === "string") return node;
    if (level !== undefined && node.level !== level) return "too deep";
    if (node.parent !== parent) return "wrong parent";
    nodes.set(page, node.checksum);
    if (level === undefined) action = node.action;
    for (const entry of node.entries) {
      if (node.level === 0) pages.push(entry);
      else {
        const mistake = visit(entry.first, page, node.level - 1);
        if (mistake !== undefined) return mistake;
      }
    }
    return undefined;
  };
  const mistake = visit(root, 0, undefined) ?? mistakeInPages(pages, hostOwned ? new Map() : nodes, rules);
  return mistake ?? { tree: { root, nodes, action, hostOwned }, pages };
}

function mistakeInPages(
  entries: readonly TreeEntry[],
  nodes: ReadonlyMap<number, number>,
  rules: PageRules,
): TreeMistake | undefined {
  const seen = new Set<number>();
  for (const { first, pages } of entries) {
    if (seen.size + pages > MOST_PAGES) return "too many pages";
    if (pages === 0) return "not a node";
    for (let page = first; page < first + pages; page++) {
      if (seen.has(page)) return "page twice";
      if (nodes.has(page)) return "node protects itself";
      seen.add(page);
      const mistake = rules.mistakeOf(page, "protected");
      if (mistake !== undefined) return mistake;
    }
  }
  return undefined;
}

/** What a tree says about a page: the structure comes first, then the leaves. Damage is a write to the structure. */
export function lookUp(
  tree: SealedTree,
  memory: NodeMemory,
  page: number,
): { readonly kind: "structure" } | { readonly kind: "page"; readonly entry: TreeEntry } | undefined {
  if (!tree.hostOwned && tree.nodes.has(page)) return { kind: "structure" };
  const visit = (at: number): TreeEntry | "broken" | undefined => {
    const bytes = memory.read(at);
    const node = bytes === undefined ? "outside memory" : parseNode(bytes, tree.hostOwned);
    if (typeof node === "string" || tree.nodes.get(at) !== node.checksum) return "broken";
    for (const entry of node.entries) {
      if (node.level === 0) {
        if (page >= entry.first && page < entry.first + entry.pages) return entry;
      } else {
        const found = visit(entry.first);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  };
  const found = visit(tree.root);
  if (found === undefined) return undefined;
  return found === "broken" ? { kind: "structure" } : { kind: "page", entry: found };
}

/** Nodes for pages of the host's choice, at page numbers from 1 on in memory of the host's own. */
export function buildTree(
  entries: readonly TreeEntry[],
  action: ProtectionAction,
): { readonly root: number; readonly memory: NodeMemory } {
  const nodes = new Map<number, Uint8Array>();
  let next = 1;
  const build = (part: readonly TreeEntry[], level: number, parent: number): number => {
    const page = next++;
    const each = TREE_NODE.ENTRIES ** level;
    const children: TreeEntry[] = [];
    if (level > 0) {
      for (let at = 0; at < part.length; at += each) {
        const first = build(part.slice(at, at + each), level - 1, page);
        children.push({ first, pages: 1, action, cookie: 0 });
      }
    }
    nodes.set(page, makeNode({ level, parent, action, entries: level > 0 ? children : part }));
    return page;
  };
  let level = 0;
  while (TREE_NODE.ENTRIES ** (level + 1) < entries.length) level++;
  const root = build(entries, level, 0);
  return { root, memory: { read: (page) => nodes.get(page) } };
}
