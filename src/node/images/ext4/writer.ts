import { Bug, UserError } from "../../../base/errors.ts";
import { BlockAllocator, type Run } from "./allocator.ts";
import { type DirectoryEntry, encodeDirectory } from "./directory.ts";
import {
  type Attributes,
  type Content,
  EXTENTS_PER_BLOCK,
  encodeInode,
  extentNode,
  FILE_TYPE,
  type FileType,
  INLINE_EXTENTS,
  SHORT_LINK,
} from "./inode.ts";
import { BLOCK_SIZE, INODE, INODE_SIZE, INODES_PER_GROUP, type Layout, layOut } from "./layout.ts";
import {
  encodeDescriptors,
  encodeJournalSuperblock,
  encodeSuperblock,
  type GroupUsage,
  type Identity,
  randomUuid,
} from "./superblock.ts";

/** Where the file system goes: a file of which what was not written reads as zeros. */
export interface BlockTarget {
  write(offset: number, bytes: Uint8Array): Promise<void>;
}

/** A node that has been put into the tree. */
interface Node {
  readonly type: FileType;
  attributes: Attributes;
  size: number;
  content: Content;
  links: number;
  /** Of a directory. */
  readonly children: Map<string, Node> | undefined;
  inode: number;
}

const ROOT_ATTRIBUTES: Attributes = { mode: 0o755, user: 0, group: 0, time: 0 };
const JOURNAL_BLOCKS = 8192;
/** Below this the journal takes a smaller part. */
const SMALL_FILE_SYSTEM = 262_144;
const SMALL_JOURNAL_BLOCKS = 1024;
const LOST_AND_FOUND_BLOCKS = 4;

/**
 * Makes an ext4 file system: nodes are put in by path, in any order in which directories come first, and
 * their content is written at once; {@link finish} writes everything else. Symbolic links on the way to a
 * path are followed, as they are in a system whose /bin is a link to usr/bin.
 */
export class Ext4Writer {
  readonly #target: BlockTarget;
  readonly #layout: Layout;
  readonly #allocator: BlockAllocator;
  readonly #identity: Identity;
  readonly #root: Node = makeDirectory(ROOT_ATTRIBUTES);

  /** A file system of `bytes` bytes at most. */
  constructor(target: BlockTarget, bytes: number, identity: Partial<Identity> = {}) {
    this.#target = target;
    this.#layout = layOut(bytes);
    this.#allocator = new BlockAllocator(this.#layout);
    this.#identity = { uuid: randomUuid(), label: "", time: Math.floor(Date.now() / 1000), ...identity };
  }

  /** A directory; where there is one, it gets these attributes. A link to a directory stays a link. */
  directory(path: string, attributes: Attributes): void {
    const { parent, name } = this.#place(path);
    if (name === "") {
      this.#root.attributes = attributes;
      return;
    }
    const present = parent.children!.get(name);
    if (present?.type === "directory") present.attributes = attributes;
    else if (present === undefined) parent.children!.set(name, makeDirectory(attributes));
    else if (present.type !== "link" || this.#find(path) === undefined) throw misplaced(path, "a directory");
  }

  async file(path: string, attributes: Attributes, bytes: Uint8Array): Promise<void> {
    const content = await this.#store(bytes);
    this.#put(path, { type: "file", attributes, size: bytes.length, content, ...LEAF });
  }

  async link(path: string, attributes: Attributes, target: string): Promise<void> {
    const bytes = Buffer.from(target);
    const content: Content =
      bytes.length <= SHORT_LINK ? { kind: "inline", bytes } : await this.#store(bytes);
    this.#put(path, { type: "link", attributes, size: bytes.length, content, ...LEAF });
  }

  /** A second name for what lies at `existing`. */
  hardLink(path: string, existing: string): void {
    const { parent, name } = this.#place(existing);
    const node = parent.children!.get(name);
    if (node === undefined || node.type === "directory")
      throw misplaced(existing, "a file with another name");
    node.links++;
    this.#put(path, node);
  }

  device(
    path: string,
    type: "character-device" | "block-device" | "fifo",
    attributes: Attributes,
    major = 0,
    minor = 0,
  ): void {
    this.#put(path, { type, attributes, size: 0, content: { kind: "device", major, minor }, ...LEAF });
  }

  /** What kind of node lies at `path`, links followed; undefined where there is none. */
  typeOf(path: string): FileType | undefined {
    return this.#find(path)?.type;
  }

  /** Writes directories, inodes, bitmaps and superblocks. The writer is of no use after that. */
  async finish(): Promise<void> {
    const journal = await this.#makeJournal();
    const nodes = this.#number();
    for (const [node, parent] of nodes) {
      if (node.children !== undefined) await this.#storeDirectory(node, parent);
    }
    const usage = await this.#writeInodes([...nodes.keys()], journal);
    await this.#writeBitmaps(usage);
    const descriptors = encodeDescriptors(this.#layout, this.#allocator, usage);
    for (const [index, group] of this.#layout.groups.entries()) {
      if (!group.hasCopy) continue;
      const block = encodeSuperblock(this.#layout, this.#allocator, usage, this.#identity, index);
      // The first one has room for a boot sector before it.
      await this.#target.write(index === 0 ? 1024 : group.first * BLOCK_SIZE, block);
      await this.#target.write((group.first + 1) * BLOCK_SIZE, descriptors);
    }
    // The file is as long as the file system.
    await this.#target.write(this.#layout.blocks * BLOCK_SIZE - 1, new Uint8Array(1));
  }

  #put(path: string, node: Node): void {
    const { parent, name } = this.#place(path);
    const present = parent.children!.get(name);
    if (name === "" || present?.type === "directory") throw misplaced(path, "a file");
    if (present !== undefined && --present.links === 0 && present.content.kind === "runs") {
      this.#allocator.release(present.content.runs);
      this.#allocator.release(present.content.tree);
    }
    parent.children!.set(name, node);
  }

  /** The directory in which `path` lies, with missing ones made, and its name there ("" for the root). */
  #place(path: string): { parent: Node; name: string } {
    const names = namesOf(path);
    const name = names.pop() ?? "";
    return { parent: this.#walk(names, path), name };
  }

  #walk(names: readonly string[], path: string, depth = 0): Node {
    if (depth > 20) throw misplaced(path, "reached through so many links");
    let current = this.#root;
    const walked: string[] = [];
    for (const [index, name] of names.entries()) {
      let next = current.children!.get(name);
      if (next === undefined) {
        next = makeDirectory({ ...ROOT_ATTRIBUTES, time: this.#identity.time });
        current.children!.set(name, next);
      }
      if (next.type === "link") {
        const target = targetOf(next);
        const base = target.startsWith("/") ? [] : walked;
        const rest = [...namesOf([...base, target].join("/")), ...names.slice(index + 1)];
        return this.#walk(rest, path, depth + 1);
      }
      if (next.children === undefined) throw misplaced(path, "below a file");
      current = next;
      walked.push(name);
    }
    return current;
  }

  #find(path: string): Node | undefined {
    let current: Node = this.#root;
    let names = namesOf(path);
    let walked: string[] = [];
    for (let links = 0; names.length > 0; ) {
      const name = names.shift()!;
      const next: Node | undefined = current.children?.get(name);
      if (next === undefined) return undefined;
      if (next.type === "link") {
        if (++links > 20) return undefined;
        const target = targetOf(next);
        names = [...namesOf([...(target.startsWith("/") ? [] : walked), target].join("/")), ...names];
        current = this.#root;
        walked = [];
        continue;
      }
      walked.push(name);
      current = next;
    }
    return current;
  }

  async #store(bytes: Uint8Array): Promise<Extract<Content, { kind: "runs" }>> {
    const runs = this.#allocator.allocate(Math.ceil(bytes.length / BLOCK_SIZE));
    let done = 0;
    for (const { start, count } of runs) {
      const end = Math.min(done + count * BLOCK_SIZE, bytes.length);
      await this.#target.write(start * BLOCK_SIZE, bytes.subarray(done, end));
      done = end;
    }
    return { kind: "runs", runs, tree: await this.#storeTree(runs) };
  }

  /** The blocks of extents of a file whose inode cannot hold them all. */
  async #storeTree(runs: readonly Run[]): Promise<Run[]> {
    if (runs.length <= INLINE_EXTENTS) return [];
    const leaves = Math.ceil(runs.length / EXTENTS_PER_BLOCK);
    if (leaves > INLINE_EXTENTS) throw new UserError("A file lies in too many pieces for this file system.");
    const tree: Run[] = [];
    let logical = 0;
    for (let leaf = 0; leaf < leaves; leaf++) {
      const part = runs.slice(leaf * EXTENTS_PER_BLOCK, (leaf + 1) * EXTENTS_PER_BLOCK);
      const [block] = this.#allocator.allocate(1);
      await this.#target.write(block!.start * BLOCK_SIZE, extentNode(part, logical, EXTENTS_PER_BLOCK));
      tree.push(block!);
      logical += part.reduce((sum, run) => sum + run.count, 0);
    }
    return tree;
  }

  async #makeJournal(): Promise<Node> {
    const blocks = this.#layout.blocks < SMALL_FILE_SYSTEM ? SMALL_JOURNAL_BLOCKS : JOURNAL_BLOCKS;
    const runs = this.#allocator.allocate(blocks);
    const first = encodeJournalSuperblock(blocks, this.#identity.uuid);
    await this.#target.write(runs[0]!.start * BLOCK_SIZE, first);
    const content: Content = { kind: "runs", runs, tree: await this.#storeTree(runs) };
    const attributes = { mode: 0o600, user: 0, group: 0, time: this.#identity.time };
    return { type: "file", attributes, size: blocks * BLOCK_SIZE, content, ...LEAF, inode: INODE.JOURNAL };
  }

  /** Gives every node its inode, the root and lost+found those that are theirs; with each node's parent. */
  #number(): Map<Node, Node> {
    const { children } = this.#root;
    // e2fsck makes it where it is missing, which a fresh file system should not need.
    const lost = makeDirectory({ ...ROOT_ATTRIBUTES, mode: 0o700, time: this.#identity.time });
    if (!children!.has("lost+found")) children!.set("lost+found", lost);
    const parents = new Map<Node, Node>([[this.#root, this.#root]]);
    this.#root.inode = INODE.ROOT;
    let next: number = INODE.FIRST_FREE;
    const walk = (directory: Node): void => {
      for (const node of directory.children!.values()) {
        if (parents.has(node)) continue;
        parents.set(node, directory);
        node.inode = next++;
        if (node.children !== undefined) {
          directory.links++;
          walk(node);
        }
      }
    };
    walk(this.#root);
    if (next > this.#layout.groups.length * INODES_PER_GROUP) {
      throw new UserError("The disk is too small for so many files; give a larger one.");
    }
    return parents;
  }

  async #storeDirectory(node: Node, parent: Node): Promise<void> {
    const type = FILE_TYPE.directory.entry;
    const entries: DirectoryEntry[] = [
      { name: ".", inode: node.inode, type },
      { name: "..", inode: parent.inode, type },
    ];
    for (const [name, child] of node.children!) {
      entries.push({ name, inode: child.inode, type: FILE_TYPE[child.type].entry });
    }
    const isLost = this.#root.children!.get("lost+found") === node;
    const bytes = encodeDirectory(entries, isLost ? LOST_AND_FOUND_BLOCKS : 1);
    node.content = await this.#store(bytes);
    node.size = bytes.length;
  }

  async #writeInodes(nodes: readonly Node[], journal: Node): Promise<GroupUsage[]> {
    const usage = this.#layout.groups.map((_, index) => ({
      // The special ones count as used.
      inodes: index === 0 ? INODE.FIRST_FREE - 1 : 0,
      directories: 0,
    }));
    const tables = new Map<number, Uint8Array>();
    for (const node of [...nodes, journal]) {
      const index = node.inode - 1;
      const group = Math.floor(index / INODES_PER_GROUP);
      const table = tables.get(group) ?? new Uint8Array(INODES_PER_GROUP * INODE_SIZE);
      tables.set(group, table);
      const bytes = encodeInode(node.type, node.attributes, node.links, node.size, node.content);
      table.set(bytes, (index % INODES_PER_GROUP) * INODE_SIZE);
      const used = usage[group]!;
      used.inodes = Math.max(used.inodes, (index % INODES_PER_GROUP) + 1);
      if (node.type === "directory") used.directories++;
    }
    for (const [group, table] of tables) {
      const length = usage[group]!.inodes * INODE_SIZE;
      await this.#target.write(
        this.#layout.groups[group]!.inodeTable * BLOCK_SIZE,
        table.subarray(0, length),
      );
    }
    return usage;
  }

  async #writeBitmaps(usage: readonly GroupUsage[]): Promise<void> {
    for (const [index, group] of this.#layout.groups.entries()) {
      await this.#target.write(group.blockBitmap * BLOCK_SIZE, this.#allocator.bitmap(index));
      // What lies behind the inodes of a group counts as used.
      const inodes = new Uint8Array(BLOCK_SIZE).fill(0xff, INODES_PER_GROUP / 8);
      for (let bit = 0; bit < usage[index]!.inodes; bit++) inodes[bit >> 3]! |= 1 << (bit & 7);
      await this.#target.write(group.inodeBitmap * BLOCK_SIZE, inodes);
    }
  }
}

const LEAF = { links: 1, children: undefined, inode: 0 } as const;

function makeDirectory(attributes: Attributes): Node {
  return {
    type: "directory",
    attributes,
    size: 0,
    content: { kind: "runs", runs: [], tree: [] },
    links: 2,
    children: new Map(),
    inode: 0,
  };
}

function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names;
}

function targetOf(link: Node): string {
  if (link.content.kind !== "inline") throw new Bug("a link to a directory has a long target");
  return Buffer.from(link.content.bytes).toString();
}

function misplaced(path: string, what: string): UserError {
  return new UserError(`"${path}" cannot be ${what}; something else has its place.`);
}
