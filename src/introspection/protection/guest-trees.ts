import { listField, type StateField, u64Field } from "../../base/state-fields.ts";
import {
  type IntegrityServices,
  SERVICE_STATUS,
  type ServiceResult,
} from "../../hypervisor/services/service-table.ts";
import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { ProtectionMonitor } from "./monitor.ts";
import {
  ACTIONS,
  makeNode,
  type NodeMemory,
  parseNode,
  setChecksum,
  setEntry,
  TREE_MISTAKES,
  TREE_NODE,
  type TreeMistake,
} from "./page-tree.ts";

const PAGE = TREE_NODE.SIZE;
const { SUCCESS, INVALID, NOT_FOUND, TOO_MUCH, DENIED } = SERVICE_STATUS;
const MOST_OPEN = 16;
const LAST_ADDRESS = 1n << 44n;

/**
 * Trees that guests register (row M7). They lie in pages of the guest's; here are only where each begins and, once it
 * is sealed, what its nodes must be.
 */
export class GuestTrees implements IntegrityServices {
  readonly #memory: GuestMemory;
  readonly #monitor: ProtectionMonitor;
  /** Root page and, once sealed, the monitor's handle, by the guest's handle. */
  readonly #trees = new Map<bigint, { readonly root: number; sealed: number | undefined }>();
  #handles = 0n;

  constructor(memory: GuestMemory, monitor: ProtectionMonitor) {
    this.#memory = memory;
    this.#monitor = monitor;
  }

  create(root: bigint): ServiceResult {
    if (this.#trees.size >= MOST_OPEN) return { status: TOO_MUCH };
    if (root % BigInt(PAGE) !== 0n || root >= LAST_ADDRESS) return refuse("outside memory");
    const page = Number(root) / PAGE;
    const bytes = this.#nodes.read(page);
    if (bytes === undefined) return refuse("outside memory");
    if (bytes.every((byte) => byte === 0)) {
      this.#memory.write(Number(root), makeNode({ level: 0, parent: 0, action: "deny", entries: [] }));
    } else {
      const node = parseNode(bytes);
      if (typeof node === "string") return refuse(node);
    }
    this.#trees.set(++this.#handles, { root: page, sealed: undefined });
    return { status: SUCCESS, numbers: [this.#handles] };
  }

  add(handle: bigint, address: bigint, pagesAndAction: bigint, cookie: bigint): ServiceResult {
    const tree = this.#trees.get(handle);
    if (tree === undefined) return { status: NOT_FOUND };
    if (tree.sealed !== undefined) return { status: DENIED };
    const pages = Number(pagesAndAction & 0xffff_ffffn);
    const action = ACTIONS[Number((pagesAndAction >> 32n) & 0xffffn)];
    if (action === undefined) return refuse("no such action");
    if (address % BigInt(PAGE) !== 0n || address >= LAST_ADDRESS) return refuse("outside memory");
    if (pages < 1 || pages > 0xffff) return refuse("too many pages");
    const leaf = this.#leafWithRoom(tree.root, 0);
    if (leaf === undefined) return { status: TOO_MUCH };
    if (typeof leaf === "string") return refuse(leaf);
    const { page, bytes, count } = leaf;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const first = Number(address) / PAGE;
    setEntry(view, count, { first, pages, action, cookie: Number(cookie & 0xffff_ffffn) });
    view.setUint32(TREE_NODE.COUNT_AT, count + 1, true);
    setChecksum(bytes);
    this.#memory.write(page * PAGE, bytes);
    return { status: SUCCESS };
  }

  seal(handle: bigint): ServiceResult {
    const tree = this.#trees.get(handle);
    if (tree === undefined) return { status: NOT_FOUND };
    if (tree.sealed !== undefined) return { status: DENIED };
    const result = this.#monitor.protect("guest", tree.root, this.#nodes);
    if (result === "too many trees") return { status: TOO_MUCH };
    if (typeof result === "string") return refuse(result);
    tree.sealed = result.handle;
    return { status: SUCCESS, numbers: [BigInt(result.pages)] };
  }

  remove(handle: bigint): ServiceResult {
    const tree = this.#trees.get(handle);
    if (tree === undefined) return { status: NOT_FOUND };
    if (tree.sealed !== undefined) return { status: DENIED };
    this.#trees.delete(handle);
    return { status: SUCCESS };
  }

  query(handle: bigint): ServiceResult {
    const tree = this.#trees.get(handle);
    if (tree === undefined) return { status: NOT_FOUND };
    const writes = this.#monitor.writes().filter((write) => write.tree === tree.sealed).length;
    return { status: SUCCESS, numbers: [tree.sealed === undefined ? 0n : 1n, BigInt(writes)] };
  }

  /** Three numbers for each: its handle, its root page, and the monitor's handle where it is sealed, else 0. */
  stateFields(): readonly StateField[] {
    return [
      u64Field(
        "handles",
        () => this.#handles,
        (value) => {
          this.#handles = value;
        },
      ),
      listField(
        "trees",
        { longest: 3 * MOST_OPEN, most: Number.MAX_SAFE_INTEGER },
        () => [...this.#trees].flatMap(([handle, { root, sealed }]) => [Number(handle), root, sealed ?? 0]),
        (numbers) => {
          this.#trees.clear();
          for (let at = 0; at + 3 <= numbers.length; at += 3) {
            const [handle = 0, root = 0, sealed = 0] = numbers.slice(at, at + 3);
            this.#trees.set(BigInt(handle), { root, sealed: sealed === 0 ? undefined : sealed });
          }
        },
      ),
    ];
  }

  /** Seals again what was sealed. */
  stateRestored(): void {
    for (const { root, sealed } of this.#trees.values())
      if (sealed !== undefined) this.#monitor.protectAgain(sealed, "guest", root, this.#nodes);
  }

  /** The machine starts again. */
  reset(): void {
    this.#trees.clear();
  }

  readonly #nodes: NodeMemory = {
    read: (page) => {
      const bytes = new Uint8Array(PAGE);
      return this.#memory.readInto(page * PAGE, bytes) ? bytes : undefined;
    },
  };

  /** The first leaf under a node that has room for an entry. Deeper than trees may be, nothing is looked at. */
  #leafWithRoom(
    page: number,
    depth: number,
  ): { page: number; bytes: Uint8Array; count: number } | TreeMistake | undefined {
    const bytes = this.#nodes.read(page);
    if (bytes === undefined) return "outside memory";
    const node = parseNode(bytes);
    if (typeof node === "string") return node;
    const count = node.entries.length;
    if (node.level === 0) return count < TREE_NODE.ENTRIES ? { page, bytes, count } : undefined;
    if (depth + 1 >= TREE_NODE.DEEPEST) return "too deep";
    for (const { first } of node.entries) {
      const found = this.#leafWithRoom(first, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** INVALID, and the mistake's number. */
function refuse(mistake: TreeMistake): ServiceResult {
  return { status: INVALID, numbers: [BigInt(TREE_MISTAKES.indexOf(mistake) + 1)] };
}
