import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, TABLE_HEADER_SIZE, type TableIdentity } from "./table.ts";

/** A cache (ACPI 6.4, section 5.2.29.2). The same object under several nodes is one cache in the table. */
export interface CacheDescription {
  readonly kind: "data" | "instruction" | "unified";
  /** Bytes. */
  readonly size?: number | undefined;
  readonly sets?: number | undefined;
  readonly ways?: number | undefined;
  /** Bytes. */
  readonly lineSize?: number | undefined;
  readonly writePolicy?: "write-back" | "write-through" | undefined;
  /** The next cache on the way to memory that is private to the same node. */
  readonly next?: CacheDescription | undefined;
}

/** Part of a machine's hierarchy: a package, a cluster, a core or a thread. */
export interface TopologyNode {
  /** It is the boundary of what is plugged in: a socket. */
  readonly package?: boolean;
  /** It is a thread that shares its core with others. */
  readonly thread?: boolean;
  /** The UID of its processor, or of its processor container, in the DSDT. */
  readonly uid?: number | undefined;
  /** Caches that all its processing elements share, those nearest to them. */
  readonly caches?: readonly CacheDescription[];
  readonly children?: readonly TopologyNode[];
}

const NODE = { type: 0, length: 20 } as const;
const CACHE = { type: 1, length: 24 } as const;
const FLAG = { package: 1 << 0, uidValid: 1 << 1, thread: 1 << 2, leaf: 1 << 3 } as const;
const CACHE_VALID = {
  size: 1 << 0,
  sets: 1 << 1,
  ways: 1 << 2,
  type: 1 << 4,
  policy: 1 << 5,
  line: 1 << 6,
} as const;
const CACHE_KIND = { data: 0, instruction: 1, unified: 2 } as const;

/** The Processor Properties Topology Table, revision 2 (section 5.2.29): parents before their children. */
export function writePptt(roots: readonly TopologyNode[], identity?: TableIdentity): Uint8Array {
  const table = new TopologyWriter();
  for (const root of roots) table.node(root, 0);
  return acpiTable("PPTT", 2, table.body.finish(), identity);
}

class TopologyWriter {
  readonly body = new ByteWriter();
  readonly #caches = new Map<CacheDescription, number>();

  /** `parent` is that node's offset in the table. */
  node(node: TopologyNode, parent: number): void {
    const { caches = [], children = [] } = node;
    const resources = caches.map((cache) => this.#cache(cache));
    const place = this.#place();
    const flags =
      (node.package === true ? FLAG.package : 0) |
      (node.uid === undefined ? 0 : FLAG.uidValid) |
      (node.thread === true ? FLAG.thread : 0) |
      (children.length === 0 ? FLAG.leaf : 0);
    this.body.u8(NODE.type).u8(NODE.length + 4 * resources.length);
    this.body.u16(0).u32(flags).u32(parent);
    this.body.u32(node.uid ?? 0).u32(resources.length);
    for (const resource of resources) this.body.u32(resource);
    for (const child of children) this.node(child, place);
  }

  /** The offset of a cache in the table; writes it, and those behind it, when it is met first. */
  #cache(cache: CacheDescription): number {
    const known = this.#caches.get(cache);
    if (known !== undefined) return known;
    const next = cache.next === undefined ? 0 : this.#cache(cache.next);
    const place = this.#place();
    this.#caches.set(cache, place);
    const { size, sets, ways, lineSize, writePolicy } = cache;
    const flags =
      CACHE_VALID.type |
      (size === undefined ? 0 : CACHE_VALID.size) |
      (sets === undefined ? 0 : CACHE_VALID.sets) |
      (ways === undefined ? 0 : CACHE_VALID.ways) |
      (writePolicy === undefined ? 0 : CACHE_VALID.policy) |
      (lineSize === undefined ? 0 : CACHE_VALID.line);
    const attributes = (CACHE_KIND[cache.kind] << 2) | (writePolicy === "write-through" ? 1 << 4 : 0);
    this.body.u8(CACHE.type).u8(CACHE.length).u16(0).u32(flags).u32(next);
    this.body.u32(size ?? 0).u32(sets ?? 0);
    this.body
      .u8(ways ?? 0)
      .u8(attributes)
      .u16(lineSize ?? 0);
    return place;
  }

  #place(): number {
    return TABLE_HEADER_SIZE + this.body.length;
  }
}
