import { assertNever, UserError } from "../../base/errors.ts";
import { bytesField, numberField, type StateField } from "../../base/state-fields.ts";
import { FRAME_FLAGS } from "../../memory/frame-table.ts";
import { FRAME_SHIFT, FRAME_SIZE } from "../../memory/machine-memory.ts";
import type { PhysicalMap } from "../../memory/physical-map.ts";
import { MAP_ENTRY } from "../../memory/physical-map.ts";
import type { FrameWrite, MonitorVerdict, TracedStore } from "../../memory/traced-store.ts";
import {
  lookUp,
  type NodeMemory,
  type PageRules,
  type ProtectionAction,
  type SealedTree,
  sealTree,
  type TreeEntry,
  type TreeMistake,
} from "./page-tree.ts";
import { decodeTrees, encodeTrees, LONGEST_TREES } from "./tree-state.ts";

/** Code that may write what is monitored without being told of. */
export interface AllowedCode {
  /** Virtual addresses: the first, and the one after the last. */
  readonly first: bigint;
  readonly end: bigint;
}

/** A write to a monitored page. */
export interface MonitoredWrite {
  /** Counts all writes told of since the machine was made. */
  readonly sequence: number;
  readonly seconds: number;
  /** "structure": a node of the tree was meant, or is damaged. "summary": so many more were not told of one by one. */
  readonly kind: "page" | "structure" | "summary";
  readonly tree: number;
  readonly cookie: number;
  readonly action: ProtectionAction;
  /** Guest-physical address of the first byte, and the bytes there before and those to be written. */
  readonly address: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** The instruction, or undefined where a device wrote. */
  readonly writer: WriterPlace | undefined;
  /** Of a summary: writes that it stands for. */
  readonly count: number;
}

export interface WriterPlace {
  readonly element: number;
  readonly pc: bigint;
}

/** What the monitor wants of its machine. */
export interface MonitorHost {
  /** Seconds of the guest's clock. */
  seconds(): number;
  /** The element whose instruction is under way. */
  writer(): WriterPlace | undefined;
  /** The machine must stand still, or end, behind this instruction. */
  stop(how: "pause" | "snapshot" | "kill"): void;
  /** A page that holds translation tables in use. */
  isTable(page: number): boolean;
}

/** One protected set of pages. */
export interface MonitoredTree {
  readonly handle: number;
  readonly owner: "host" | "guest";
  readonly sealed: SealedTree;
  readonly memory: NodeMemory;
  /** Pages that it protects. */
  readonly pages: number;
  readonly allowed: readonly AllowedCode[];
}

/** Writes kept for those who ask later. */
const MOST_KEPT = 8192;
/** Writes to one page in one second that are told one by one. */
const MOST_TOLD = 2048;
const MOST_TREES = 64;

/** Decides about every write to monitored pages before it happens (row M7), whoever writes. */
export class ProtectionMonitor {
  readonly #map: PhysicalMap;
  readonly #store: TracedStore;
  readonly #host: MonitorHost;
  readonly #trees = new Map<number, MonitoredTree>();
  readonly #rates = new Map<number, { second: number; told: number; untold: number; last: MonitoredWrite }>();
  #kept: MonitoredWrite[] = [];
  #handles = 0;
  #sequence = 0;
  /** Of a state stream, until all parts have come. */
  #restored: Uint8Array = new Uint8Array(0);
  /** When pages were last looked at for summaries. */
  #second = 0;
  /** Called with each write that is told of. */
  onWrite: (write: MonitoredWrite) => void = () => {};

  constructor(map: PhysicalMap, store: TracedStore, host: MonitorHost) {
    this.#map = map;
    this.#store = store;
    this.#host = host;
    store.hooks.beforeMonitoredWrite = (write, bytes) => this.#decide(write, bytes);
  }

  get trees(): readonly MonitoredTree[] {
    return [...this.#trees.values()];
  }

  /** Writes told of, the oldest first, from `sequence` on as far as they are kept. */
  writes(sequence = 0): readonly MonitoredWrite[] {
    this.#summarise(true);
    return this.#kept.filter((write) => write.sequence >= sequence);
  }

  /** Looks the tree through and protects its pages and, where the guest has them, its nodes. */
  protect(
    owner: "host" | "guest",
    root: number,
    memory: NodeMemory,
    allowed: readonly AllowedCode[] = [],
  ): { handle: number; pages: number } | TreeMistake | "too many trees" {
    if (this.#trees.size >= MOST_TREES) return "too many trees";
    const sealed = sealTree(root, memory, this.#rules(), owner === "host");
    if (typeof sealed === "string") return sealed;
    const { tree, pages } = sealed;
    const handle = ++this.#handles;
    const count = pages.reduce((sum, entry) => sum + entry.pages, 0);
    this.#trees.set(handle, { handle, owner, sealed: tree, memory, pages: count, allowed });
    this.#trace([...pages, ...nodesOf(tree)], true);
    return { handle, pages: count };
  }

  /** Host-owned trees with their nodes. What was told of writes stays where it was told. */
  stateFields(): readonly StateField[] {
    return [
      numberField(
        "handles",
        0xffff_ffff,
        () => this.#handles,
        (value) => {
          this.#handles = value;
        },
      ),
      bytesField(
        "trees",
        LONGEST_TREES,
        () => encodeTrees(this.trees),
        (bytes) => {
          this.#restored = bytes;
        },
      ),
    ];
  }

  stateRestored(): void {
    const handles = this.#handles;
    for (const { handle, root, nodes, allowed } of decodeTrees(this.#restored))
      this.protectAgain(handle, "host", root, { read: (page) => nodes.get(page) }, allowed);
    this.#handles = handles;
    this.#restored = new Uint8Array(0);
  }

  /** As {@link protect}, under a number that the tree had before. */
  protectAgain(
    handle: number,
    ...[owner, root, memory, allowed]: Parameters<ProtectionMonitor["protect"]>
  ): void {
    const handles = this.#handles;
    this.#handles = handle - 1;
    const result = this.protect(owner, root, memory, allowed);
    this.#handles = handles;
    if (typeof result === "string")
      throw new UserError(`The snapshot's tree ${handle} of protected pages is wrong: ${result}.`);
  }

  /** False where there is no such tree. */
  remove(handle: number): boolean {
    const tree = this.#trees.get(handle);
    if (tree === undefined) return false;
    this.#trees.delete(handle);
    this.#traceTree(tree, false);
    // What others protect too stays protected.
    for (const other of this.#trees.values()) this.#traceTree(other, true);
    return true;
  }

  /** The machine starts again: nothing is protected any more. */
  reset(): void {
    for (const handle of [...this.#trees.keys()]) this.remove(handle);
    this.#rates.clear();
  }

  #traceTree({ sealed, memory, owner }: MonitoredTree, add: boolean): void {
    const found = sealTree(sealed.root, memory, NO_RULES, owner === "host");
    // A guest's tree that is damaged says nothing any more; its pages stay traced, which is slower, but right.
    if (typeof found !== "string") this.#trace([...found.pages, ...nodesOf(sealed)], add);
  }

  #rules(): PageRules {
    return {
      mistakeOf: (page, use) => {
        const entry = this.#map.entryAt(page * FRAME_SIZE, false);
        if ((entry & MAP_ENTRY.KIND_MASK) !== MAP_ENTRY.RAM) return "outside memory";
        const flags = this.#map.frames.flags((entry >>> FRAME_SHIFT) >>> 0);
        if ((flags & FRAME_FLAGS.SECRET) !== 0) return "secret memory";
        return use === "node" && this.#host.isTable(page) ? "node is a translation table" : undefined;
      },
    };
  }

  #trace(entries: readonly Pick<TreeEntry, "first" | "pages">[], add: boolean): void {
    const { trace } = this.#store;
    for (const { first, pages } of entries) {
      for (let page = first; page < first + pages; ) {
        const entry = this.#map.entryAt(page * FRAME_SIZE, false);
        const frame = entry >>> FRAME_SHIFT;
        // Neighbours in the guest are neighbours here, but at the ends of its banks.
        let run = 1;
        while (page + run < first + pages && this.#map.frames.page(frame + run) === page + run) run++;
        if ((entry & MAP_ENTRY.KIND_MASK) === MAP_ENTRY.RAM) {
          if (add) trace.addRange(frame, run, "TR_MON");
          else for (let at = frame; at < frame + run; at++) trace.remove(at, "TR_MON");
        }
        page += run;
      }
    }
  }

  #decide({ frame, first, length }: FrameWrite, bytes: Uint8Array): MonitorVerdict {
    const page = this.#map.frames.page(frame);
    const writer = this.#store.byInstruction ? this.#host.writer() : undefined;
    let verdict: MonitorVerdict = "allow";
    for (const tree of this.#trees.values()) {
      const found = lookUp(tree.sealed, tree.memory, page);
      if (found === undefined) continue;
      const isAllowed = tree.allowed.some(
        ({ first: from, end }) => writer !== undefined && writer.pc >= from && writer.pc < end,
      );
      if (isAllowed && found.kind === "page") continue;
      const action = found.kind === "structure" ? tree.sealed.action : found.entry.action;
      const host = frame * FRAME_SIZE + first;
      this.#tell({
        ...{ sequence: ++this.#sequence, seconds: this.#host.seconds(), kind: found.kind, writer, action },
        ...{ tree: tree.handle, cookie: found.kind === "structure" ? 0 : found.entry.cookie },
        address: page * FRAME_SIZE + first,
        before: this.#map.memory.bytes.slice(host, host + length),
        after: bytes.slice(),
        count: 1,
      });
      verdict = worse(verdict, this.#act(action));
    }
    return verdict;
  }

  #act(action: ProtectionAction): MonitorVerdict {
    switch (action) {
      case "log":
        return "allow";
      case "deny":
        return "drop";
      case "inject":
        return "abort";
      case "pause":
        this.#host.stop("pause");
        return "allow";
      case "snapshot+pause":
        this.#host.stop("snapshot");
        return "allow";
      case "callback":
        return "allow";
      case "kill":
        this.#host.stop("kill");
        return "drop";
      default:
        return assertNever(action, "a protection action");
    }
  }

  /** Keeps the write and tells of it, unless its page has had too many in this second. */
  #tell(write: MonitoredWrite): void {
    this.#summarise(false);
    const page = Math.floor(write.address / FRAME_SIZE);
    const second = Math.floor(write.seconds);
    const rate = this.#rates.get(page);
    if (rate?.second === second) {
      if (++rate.told > MOST_TOLD) {
        rate.untold++;
        rate.last = write;
        return;
      }
    } else this.#rates.set(page, { second, told: 1, untold: 0, last: write });
    this.#keep(write);
  }

  /** Tells how many writes were not told of, for pages whose second is over, or for all. */
  #summarise(all: boolean): void {
    const now = Math.floor(this.#host.seconds());
    if (!all && now === this.#second) return;
    this.#second = now;
    for (const [page, rate] of this.#rates) {
      if (!all && rate.second === now) continue;
      if (rate.untold > 0) {
        this.#keep({ ...rate.last, kind: "summary", count: rate.untold, sequence: ++this.#sequence });
      }
      rate.untold = 0;
      if (rate.second !== now) this.#rates.delete(page);
    }
  }

  #keep(write: MonitoredWrite): void {
    if (this.#kept.length >= MOST_KEPT) this.#kept = this.#kept.slice(MOST_KEPT / 4);
    this.#kept.push(write);
    this.onWrite(write);
  }
}

const NO_RULES: PageRules = { mistakeOf: () => undefined };

function nodesOf({ nodes, hostOwned }: SealedTree): { first: number; pages: number }[] {
  return hostOwned ? [] : [...nodes.keys()].map((first) => ({ first, pages: 1 }));
}

function worse(one: MonitorVerdict, other: MonitorVerdict): MonitorVerdict {
  const order: readonly MonitorVerdict[] = ["allow", "drop", "abort"];
  return order.indexOf(one) >= order.indexOf(other) ? one : other;
}
