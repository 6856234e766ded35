import type { ByteStore } from "../byte-store.ts";
import { damaged, hex, type Qcow2Header, wide } from "./header.ts";
import { HEADER, LIMIT } from "./layout.ts";
import type { MetadataMap } from "./metadata-map.ts";
import { greatestCount, readCount, writeCount } from "./refcount-entry.ts";
import { TableCache } from "./table-cache.ts";

/** Bytes of memory for blocks of counts. */
const CACHE_BYTES = 4 << 20;

/** Clusters that belong together, by number. */
export interface ClusterRun {
  readonly first: number;
  readonly count: number;
}

/**
 * The reference counts of an image's clusters. Changes stay in memory until {@link write}. The caller sees to it
 * that only one of the changing methods runs at a time.
 */
export class Refcounts {
  readonly #store: ByteStore;
  readonly #metadata: MetadataMap;
  readonly #clusterSize: number;
  readonly #order: number;
  /** Counts in a block. */
  readonly #perBlock: number;
  readonly #blocks: TableCache;
  #table: DataView;
  #tableOffset: number;
  /** Entries of the table that the file does not have yet. */
  readonly #dirtyEntries = new Set<number>();
  /** No cluster below is free. */
  #hint = 1;
  /** No cluster from here on was ever used, so the file reads as zeros there. */
  #untouched: number;

  private constructor(store: ByteStore, header: Qcow2Header, metadata: MetadataMap, table: Uint8Array) {
    this.#store = store;
    this.#metadata = metadata;
    this.#clusterSize = 2 ** header.clusterBits;
    this.#order = header.refcountOrder;
    this.#perBlock = (this.#clusterSize * 8) / 2 ** header.refcountOrder;
    this.#blocks = new TableCache(store, this.#clusterSize, CACHE_BYTES);
    this.#table = new DataView(table.buffer);
    this.#tableOffset = header.refcountTableOffset;
    this.#untouched = Math.ceil(store.size / this.#clusterSize);
  }

  /** Reads the table and claims its clusters and those of its blocks. */
  static async open(store: ByteStore, header: Qcow2Header, metadata: MetadataMap): Promise<Refcounts> {
    const clusterSize = 2 ** header.clusterBits;
    const bytes = new Uint8Array(header.refcountTableClusters * clusterSize);
    await store.read(header.refcountTableOffset, bytes);
    metadata.add(header.refcountTableOffset, bytes.length, "the refcount table");
    const refcounts = new Refcounts(store, header, metadata, bytes);
    for (let index = 0; index < bytes.length / 8; index++) {
      const offset = refcounts.#blockOffset(index);
      if (offset === 0) continue;
      if (offset % clusterSize !== 0 || offset >= store.size)
        throw damaged(store.name, `entry ${index} of its refcount table points to ${hex(offset)}`);
      metadata.add(offset, clusterSize, `refcount block ${index}`);
    }
    return refcounts;
  }

  get hasDirty(): boolean {
    return this.#blocks.hasDirty || this.#dirtyEntries.size > 0;
  }

  get isCrowded(): boolean {
    return this.#blocks.isCrowded;
  }

  async get(cluster: number): Promise<number> {
    const offset = this.#blockOffset(Math.floor(cluster / this.#perBlock));
    if (offset === 0) return 0;
    const block = await this.#blocks.load(offset);
    return readCount(block.view, this.#order, cluster % this.#perBlock);
  }

  /** Takes up to `want` free clusters that follow one another. `fresh`: they read as zeros. */
  async allocate(want: number): Promise<ClusterRun & { readonly fresh: boolean }> {
    for (;;) {
      const at = this.#hint;
      const index = Math.floor(at / this.#perBlock);
      const offset = this.#blockOffset(index);
      if (offset === 0) {
        await this.#addBlock(index);
        continue;
      }
      const block = await this.#blocks.load(offset);
      const isFree = (cluster: number): boolean =>
        readCount(block.view, this.#order, cluster % this.#perBlock) === 0;
      const end = (index + 1) * this.#perBlock;
      let first = at;
      while (first < end && !isFree(first)) first++;
      let count = 0;
      while (count < want && first + count < end && isFree(first + count)) count++;
      this.#hint = first + count;
      if (count === 0) continue;
      // Only what is all fresh, or all used before, in one run.
      const fresh = first >= this.#untouched;
      if (!fresh) count = Math.min(count, this.#untouched - first);
      for (let cluster = first; cluster < first + count; cluster++) {
        this.#refuseMetadata(cluster);
        this.#set(block.view, cluster, 1);
      }
      this.#hint = first + count;
      this.#touch(block, first, count);
      this.#untouched = Math.max(this.#untouched, first + count);
      return { first, count, fresh };
    }
  }

  /** Changes one count; below zero, or more than fits, is damage. */
  async add(cluster: number, change: number): Promise<void> {
    const offset = this.#blockOffset(Math.floor(cluster / this.#perBlock));
    if (offset === 0) throw this.#wrong(cluster, "is in use and has no reference count");
    const block = await this.#blocks.load(offset);
    const count = readCount(block.view, this.#order, cluster % this.#perBlock) + change;
    if (count < 0) throw this.#wrong(cluster, "is in use and has a reference count of 0");
    if (count > greatestCount(this.#order))
      throw this.#wrong(cluster, "has more references than can be counted");
    this.#set(block.view, cluster, count);
    this.#touch(block, cluster, 1);
    if (count === 0) this.#hint = Math.min(this.#hint, cluster);
  }

  /** Sets a count whatever it was; for repairs. Makes the block where there is none. */
  async assign(cluster: number, count: number): Promise<void> {
    const index = Math.floor(cluster / this.#perBlock);
    if (this.#blockOffset(index) === 0) {
      if (count === 0) return;
      throw this.#wrong(cluster, "is in use, and no refcount block counts it");
    }
    const block = await this.#blocks.load(this.#blockOffset(index));
    if (readCount(block.view, this.#order, cluster % this.#perBlock) === count) return;
    this.#set(block.view, cluster, Math.min(count, greatestCount(this.#order)));
    this.#touch(block, cluster, 1);
    if (count === 0) this.#hint = Math.min(this.#hint, cluster);
  }

  /** Calls back with the place of the table and of each block, in bytes. */
  eachOwnCluster(act: (offset: number, length: number) => void): void {
    act(this.#tableOffset, this.#table.byteLength);
    for (let index = 0; index < this.#table.byteLength / 8; index++) {
      const offset = this.#blockOffset(index);
      if (offset !== 0) act(offset, this.#clusterSize);
    }
  }

  /** Writes blocks, then the entries that name new ones; durable only after the caller's flush. */
  async write(): Promise<void> {
    await this.#blocks.write();
    if (this.#dirtyEntries.size === 0) return;
    await this.#store.flush();
    for (const index of [...this.#dirtyEntries]) {
      await this.#store.write(
        this.#tableOffset + index * 8,
        new Uint8Array(this.#table.buffer, index * 8, 8),
      );
      this.#dirtyEntries.delete(index);
    }
  }

  #blockOffset(index: number): number {
    if ((index + 1) * 8 > this.#table.byteLength) return 0;
    return wide(this.#table, index * 8);
  }

  #set(view: DataView, cluster: number, count: number): void {
    writeCount(view, this.#order, cluster % this.#perBlock, count);
  }

  #touch(block: { touch(from: number, to: number): void }, first: number, count: number): void {
    const index = first % this.#perBlock;
    const bits = 2 ** this.#order;
    block.touch(Math.floor((index * bits) / 8), Math.ceil(((index + count) * bits) / 8));
  }

  #wrong(cluster: number, what: string): Error {
    return damaged(this.#store.name, `the cluster at ${hex(cluster * this.#clusterSize)} ${what}`);
  }

  #refuseMetadata(cluster: number): void {
    const owner = this.#metadata.ownerOf(cluster);
    if (owner !== undefined) throw this.#wrong(cluster, `holds ${owner} and is counted as free`);
  }

  /** A block for clusters that none counts yet. It lies in the first of them and counts itself. */
  async #addBlock(index: number): Promise<void> {
    if ((index + 1) * 8 > this.#table.byteLength) {
      await this.#growTable(index + 1);
      return;
    }
    const cluster = index * this.#perBlock;
    this.#refuseMetadata(cluster);
    this.#placeBlock(index, cluster, 1);
    this.#hint = Math.max(this.#hint, cluster + 1);
  }

  /** A new block at `cluster`, which counts the first `used` of its clusters as in use. */
  #placeBlock(index: number, cluster: number, used: number): void {
    const bytes = new Uint8Array(this.#clusterSize);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < used; i++) writeCount(view, this.#order, i, 1);
    const offset = cluster * this.#clusterSize;
    this.#metadata.add(offset, this.#clusterSize, `refcount block ${index}`);
    this.#blocks.add(offset, bytes);
    this.#table.setUint32(index * 8, Math.floor(offset / 2 ** 32));
    this.#table.setUint32(index * 8 + 4, offset >>> 0);
    this.#dirtyEntries.add(index);
    this.#untouched = Math.max(this.#untouched, cluster + 1);
  }

  /**
   * A larger table. It lies, with the blocks that count it, in the clusters behind all that the old one could
   * count; so nothing that exists moves. The header names it only once it is durable.
   */
  async #growTable(entries: number): Promise<void> {
    const old = { offset: this.#tableOffset, length: this.#table.byteLength };
    const oldEntries = old.length / 8;
    const perTableCluster = this.#clusterSize / 8;
    let tableClusters = Math.ceil(Math.max(entries + 1, oldEntries * 1.5) / perTableCluster);
    let blocks = 1;
    // The blocks count themselves and the table, which must have entries for them.
    for (;;) {
      const neededBlocks = Math.ceil((tableClusters + blocks) / this.#perBlock);
      const neededTable = Math.max(tableClusters, Math.ceil((oldEntries + neededBlocks) / perTableCluster));
      if (neededBlocks === blocks && neededTable === tableClusters) break;
      blocks = neededBlocks;
      tableClusters = neededTable;
    }
    if (tableClusters * this.#clusterSize > LIMIT.REFCOUNT_TABLE_BYTES)
      throw new Error(`The image ${this.#store.name} cannot become larger: its clusters are too small.`);
    const table = new Uint8Array(tableClusters * this.#clusterSize);
    table.set(new Uint8Array(this.#table.buffer));
    this.#table = new DataView(table.buffer);
    const start = oldEntries * this.#perBlock;
    for (let block = 0; block < blocks; block++) {
      const used = Math.min(this.#perBlock, blocks + tableClusters - block * this.#perBlock);
      this.#placeBlock(oldEntries + block, start + block, used);
    }
    const offset = (start + blocks) * this.#clusterSize;
    this.#metadata.add(offset, table.length, "the refcount table");
    this.#untouched = Math.max(this.#untouched, start + blocks + tableClusters);
    await this.#blocks.write();
    await this.#store.write(offset, table);
    await this.#store.flush();
    // Offset and size are neighbours in one sector, so they change together.
    const fields = new Uint8Array(12);
    const view = new DataView(fields.buffer);
    view.setUint32(0, Math.floor(offset / 2 ** 32));
    view.setUint32(4, offset >>> 0);
    view.setUint32(8, tableClusters);
    await this.#store.write(HEADER.REFCOUNT_TABLE_OFFSET, fields);
    await this.#store.flush();
    this.#dirtyEntries.clear();
    this.#tableOffset = offset;
    this.#metadata.remove(old.offset, old.length);
    for (let done = 0; done < old.length; done += this.#clusterSize)
      await this.add((old.offset + done) / this.#clusterSize, -1);
  }
}
