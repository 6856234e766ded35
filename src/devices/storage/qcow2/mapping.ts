import type { ByteStore } from "../byte-store.ts";
import { damaged, hex, type Qcow2Header } from "./header.ts";
import { ENTRY_HIGH, OFFSET_HIGH_MASK, OFFSET_LOW_MASK, ZERO_FLAG } from "./layout.ts";
import type { MetadataMap } from "./metadata-map.ts";
import { type Table, TableCache } from "./table-cache.ts";

/** Bytes of memory for L2 tables: enough for 128 GiB of disk at clusters of 64 KiB. */
const CACHE_BYTES = 16 << 20;

/** What a cluster of the guest's disk is. Offsets are in the file, bytes. */
export type Mapping =
  /** Nothing here: the backing file's, or zeros. */
  | { readonly kind: "unallocated" }
  /** Zeros; `offset` is the cluster kept for it, or 0. */
  | { readonly kind: "zero"; readonly offset: number; readonly exclusive: boolean }
  /** `exclusive`: nobody else refers to the cluster, so it may be written in place. */
  | { readonly kind: "data"; readonly offset: number; readonly exclusive: boolean }
  /** `length` bytes hold the compressed cluster and perhaps something after it. */
  | { readonly kind: "compressed"; readonly offset: number; readonly length: number };

const UNALLOCATED: Mapping = { kind: "unallocated" };

/** The L1 table and the L2 tables of an image's active state. */
export class ClusterMap {
  readonly clusterSize: number;
  /** Clusters that one L2 table maps. */
  readonly perTable: number;
  /** Changed tables wait here until they are written. */
  readonly tables: TableCache;
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #metadata: MetadataMap;
  readonly #l1: DataView;
  readonly #dirtyL1 = new Set<number>();

  private constructor(store: ByteStore, header: Qcow2Header, metadata: MetadataMap, l1: Uint8Array) {
    this.#store = store;
    this.#header = header;
    this.#metadata = metadata;
    this.#l1 = new DataView(l1.buffer);
    this.clusterSize = 2 ** header.clusterBits;
    this.perTable = this.clusterSize / 8;
    this.tables = new TableCache(store, this.clusterSize, CACHE_BYTES);
  }

  /** Reads the L1 table and claims its clusters and those of the L2 tables. */
  static async open(store: ByteStore, header: Qcow2Header, metadata: MetadataMap): Promise<ClusterMap> {
    const bytes = new Uint8Array(header.l1Entries * 8);
    await store.read(header.l1Offset, bytes);
    if (bytes.length > 0) metadata.add(header.l1Offset, bytes.length, "the L1 table");
    const map = new ClusterMap(store, header, metadata, bytes);
    for (let index = 0; index < header.l1Entries; index++) {
      const { offset } = map.l1Entry(index);
      if (offset === 0) continue;
      if (offset % map.clusterSize !== 0 || offset >= store.size)
        throw damaged(store.name, `entry ${index} of its L1 table points to ${hex(offset)}`);
      metadata.add(offset, map.clusterSize, `L2 table ${index}`);
    }
    return map;
  }

  get l1Entries(): number {
    return this.#header.l1Entries;
  }

  l1Entry(index: number): { readonly offset: number; readonly exclusive: boolean } {
    const high = this.#l1.getUint32(index * 8);
    const low = this.#l1.getUint32(index * 8 + 4);
    return { offset: offsetOf(high, low), exclusive: high >>> 31 === 1 };
  }

  /** Names another L2 table, of which this image is the only user. */
  setL1Entry(index: number, offset: number): void {
    const before = this.l1Entry(index).offset;
    if (before !== 0) this.#metadata.remove(before, this.clusterSize);
    this.#metadata.add(offset, this.clusterSize, `L2 table ${index}`);
    this.#l1.setUint32(index * 8, (Math.floor(offset / 2 ** 32) | ENTRY_HIGH.COPIED) >>> 0);
    this.#l1.setUint32(index * 8 + 4, offset >>> 0);
    this.#dirtyL1.add(index);
  }

  get hasDirty(): boolean {
    return this.#dirtyL1.size > 0 || this.tables.hasDirty;
  }

  get hasDirtyL1(): boolean {
    return this.#dirtyL1.size > 0;
  }

  /** Writes changed L1 entries; the tables they name must be durable. */
  async writeL1(): Promise<void> {
    for (const index of [...this.#dirtyL1]) {
      this.#dirtyL1.delete(index);
      try {
        const bytes = new Uint8Array(this.#l1.buffer, index * 8, 8);
        await this.#store.write(this.#header.l1Offset + index * 8, bytes);
      } catch (error) {
        this.#dirtyL1.add(index);
        throw error;
      }
    }
  }

  /**
   * What guest cluster `cluster` is, without waiting: undefined when its L2 table has to be read first. Throws a
   * UserError where the entry is damaged.
   */
  peek(cluster: number): Mapping | undefined {
    const { offset } = this.l1Entry(Math.floor(cluster / this.perTable));
    if (offset === 0) return UNALLOCATED;
    const table = this.tables.get(offset);
    return table === undefined ? undefined : this.entry(table, cluster);
  }

  async lookUp(cluster: number): Promise<Mapping> {
    const { offset } = this.l1Entry(Math.floor(cluster / this.perTable));
    return offset === 0 ? UNALLOCATED : this.entry(await this.tables.load(offset), cluster);
  }

  entry(table: Table, cluster: number): Mapping {
    const at = (cluster % this.perTable) * 8;
    const high = table.view.getUint32(at);
    const low = table.view.getUint32(at + 4);
    if (high === 0 && low === 0) return UNALLOCATED;
    if (high & ENTRY_HIGH.COMPRESSED) return this.#compressed(high, low, cluster);
    const offset = offsetOf(high, low);
    const exclusive = high >>> 31 === 1;
    const isZero = this.#header.version === 3 && (low & ZERO_FLAG) !== 0;
    if (offset === 0) return isZero ? { kind: "zero", offset: 0, exclusive: false } : UNALLOCATED;
    this.#check(offset, cluster);
    return { kind: isZero ? "zero" : "data", offset, exclusive };
  }

  /** Changes the entry of `cluster` in its table, which must be exclusive. `offset` 0 and no flag: unallocated. */
  setEntry(table: Table, cluster: number, offset: number, zero = false): void {
    const at = (cluster % this.perTable) * 8;
    const copied = offset === 0 ? 0 : ENTRY_HIGH.COPIED;
    table.view.setUint32(at, (Math.floor(offset / 2 ** 32) | copied) >>> 0);
    table.view.setUint32(at + 4, ((offset >>> 0) | (zero ? ZERO_FLAG : 0)) >>> 0);
    table.touch(at, at + 8);
  }

  #compressed(high: number, low: number, cluster: number): Mapping {
    const offsetBits = BigInt(62 - (this.#header.clusterBits - 8));
    const bits = (BigInt(high & 0x3fff_ffff) << 32n) | BigInt(low);
    const offset = Number(bits & ((1n << offsetBits) - 1n));
    const length = (Number(bits >> offsetBits) + 1) * 512 - (offset % 512);
    if (offset < this.clusterSize || offset >= this.#store.size)
      throw damaged(this.#store.name, `guest cluster ${cluster} is said to be compressed at ${hex(offset)}`);
    return { kind: "compressed", offset, length };
  }

  #check(offset: number, cluster: number): void {
    const owner = this.#metadata.ownerOf(offset / this.clusterSize);
    // A cluster that was allocated after the file's last write is not in the file yet.
    if (offset % this.clusterSize === 0 && owner === undefined && offset < this.#store.size) return;
    const where = owner === undefined ? "" : `, where ${owner} is`;
    throw damaged(this.#store.name, `guest cluster ${cluster} is said to be at ${hex(offset)}${where}`);
  }
}

function offsetOf(high: number, low: number): number {
  return (high & OFFSET_HIGH_MASK) * 2 ** 32 + ((low & OFFSET_LOW_MASK) >>> 0);
}
