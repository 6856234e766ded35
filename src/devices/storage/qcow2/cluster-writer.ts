import type { ByteStore } from "../byte-store.ts";
import type { ClusterReader } from "./cluster-reader.ts";
import type { Qcow2Header } from "./header.ts";
import type { ClusterMap, Mapping } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";
import type { Table } from "./table-cache.ts";

/** Zeros are written in pieces of at most this many bytes. */
const ZERO_PIECE = 1 << 20;

/** Changes an image. But for {@link writeInPlace}, one method runs at a time; the image sees to that. */
export class ClusterWriter {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #map: ClusterMap;
  readonly #reader: ClusterReader;
  readonly #refcounts: Refcounts;
  readonly #settled: () => Promise<unknown>;
  /** Clusters, by number, that no table names any more once the tables are durable. */
  #freed: number[] = [];

  /** `settled` resolves when the writes in place that are under way now are over. */
  constructor(
    store: ByteStore,
    header: Qcow2Header,
    map: ClusterMap,
    reader: ClusterReader,
    refcounts: Refcounts,
    settled: () => Promise<unknown>,
  ) {
    this.#store = store;
    this.#header = header;
    this.#map = map;
    this.#reader = reader;
    this.#refcounts = refcounts;
    this.#settled = settled;
  }

  get hasDirty(): boolean {
    return this.#map.hasDirty || this.#refcounts.hasDirty || this.#freed.length > 0;
  }

  /** Writes where all clusters exist, are ours alone and are known without waiting. */
  writeInPlace(offset: number, source: Uint8Array): Promise<void> | undefined | "needs metadata" {
    const { clusterSize } = this.#map;
    const first = Math.floor(offset / clusterSize);
    const last = Math.floor((offset + source.length - 1) / clusterSize);
    const runs: { at: number; from: number; to: number }[] = [];
    for (let cluster = first; cluster <= last; cluster++) {
      const mapping = this.#map.peek(cluster);
      if (mapping?.kind !== "data" || !mapping.exclusive) return "needs metadata";
      const from = Math.max(0, cluster * clusterSize - offset);
      const to = Math.min(source.length, (cluster + 1) * clusterSize - offset);
      const at = mapping.offset + ((offset + from) % clusterSize);
      const run = runs.at(-1);
      if (run !== undefined && run.at + (run.to - run.from) === at) run.to = to;
      else runs.push({ at, from, to });
    }
    const pending: Promise<void>[] = [];
    for (const { at, from, to } of runs) {
      const writing = this.#store.write(at, source.subarray(from, to));
      if (writing !== undefined) pending.push(writing);
    }
    if (pending.length < 2) return pending[0];
    return Promise.all(pending).then(() => undefined);
  }

  async write(offset: number, source: Uint8Array): Promise<void> {
    for (let done = 0; done < source.length; )
      done += await this.#writeSome(offset + done, source.subarray(done));
    await this.#writeCrowded();
  }

  /** Makes everything before durable; see {@link Qcow2Image} for the order. */
  async flush(): Promise<void> {
    await this.#refcounts.write();
    await this.#store.flush();
    if (this.#map.hasDirty) {
      await this.#map.tables.write();
      if (this.#map.hasDirtyL1) {
        await this.#store.flush();
        await this.#map.writeL1();
      }
      await this.#store.flush();
    }
    if (this.#freed.length === 0) return;
    await this.#settled();
    for (const cluster of this.#freed.splice(0)) await this.#refcounts.add(cluster, -1);
  }

  /** What lies in whole clusters is given up; it then reads as zeros. */
  async discard(offset: number, length: number): Promise<void> {
    await this.#eachCluster(offset, length, (cluster) => this.#clear(cluster, true));
  }

  async writeZeroes(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    const { clusterSize } = this.#map;
    const end = offset + length;
    const firstWhole = Math.min(end, Math.ceil(offset / clusterSize) * clusterSize);
    const lastWhole = Math.max(firstWhole, Math.floor(end / clusterSize) * clusterSize);
    if (firstWhole > offset) await this.#zeroPart(offset, firstWhole - offset);
    await this.#eachCluster(firstWhole, lastWhole - firstWhole, async (cluster) => {
      const at = cluster * clusterSize;
      if (!(await this.#clear(cluster, mayUnmap))) await this.#writeZeros(at, clusterSize);
    });
    if (end > lastWhole) await this.#zeroPart(lastWhole, end - lastWhole);
    await this.#writeCrowded();
  }

  async #eachCluster(
    offset: number,
    length: number,
    act: (cluster: number) => Promise<unknown>,
  ): Promise<void> {
    const { clusterSize, perTable } = this.#map;
    const end = Math.floor((offset + length) / clusterSize);
    for (let cluster = Math.ceil(offset / clusterSize); cluster < end; ) {
      // Where there is no table and nothing below, there are zeros already.
      const table = Math.floor(cluster / perTable);
      const next = Math.min(end, (table + 1) * perTable);
      const isEmpty =
        this.#map.l1Entry(table).offset === 0 && this.#reader.isBackedByZeros(cluster * clusterSize);
      if (isEmpty) {
        cluster = next;
        continue;
      }
      for (; cluster < next; cluster++) await act(cluster);
      await this.#writeCrowded();
    }
  }

  /** Lets a whole cluster read as zeros, by its entry alone. False where the format has no way. */
  async #clear(cluster: number, mayUnmap: boolean): Promise<boolean> {
    const mapping = await this.#map.lookUp(cluster);
    const backedByZeros = this.#reader.isBackedByZeros(cluster * this.#map.clusterSize);
    if (mapping.kind === "unallocated" && backedByZeros) return true;
    const hasZeroFlag = this.#header.version === 3;
    if (!hasZeroFlag && !backedByZeros) return false;
    if (mapping.kind === "zero" && (!mayUnmap || mapping.offset === 0)) return true;
    const table = await this.#tableForWriting(cluster);
    if (hasZeroFlag && !mayUnmap && mapping.kind === "data" && mapping.exclusive) {
      this.#map.setEntry(table, cluster, mapping.offset, true);
      return true;
    }
    this.#map.setEntry(table, cluster, 0, !backedByZeros);
    this.#release(mapping);
    return true;
  }

  /** Zeros in a part of a cluster; nothing to do where it reads so already. */
  async #zeroPart(offset: number, length: number): Promise<void> {
    const mapping = await this.#map.lookUp(Math.floor(offset / this.#map.clusterSize));
    if (mapping.kind === "zero") return;
    if (mapping.kind === "unallocated" && this.#reader.isBackedByZeros(offset)) return;
    await this.#writeZeros(offset, length);
  }

  async #writeZeros(offset: number, length: number): Promise<void> {
    const zeros = new Uint8Array(Math.min(length, ZERO_PIECE));
    for (let done = 0; done < length; done += zeros.length)
      await this.write(offset + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
  }

  /** Writes the beginning of `source`: what one run of clusters takes. Returns how much that was. */
  async #writeSome(position: number, source: Uint8Array): Promise<number> {
    const { clusterSize, perTable } = this.#map;
    const cluster = Math.floor(position / clusterSize);
    const inCluster = position % clusterSize;
    const lastOfTable = (Math.floor(cluster / perTable) + 1) * perTable - 1;
    const last = Math.min(lastOfTable, Math.floor((position + source.length - 1) / clusterSize));
    const first = await this.#map.lookUp(cluster);
    if (first.kind === "data" && first.exclusive) {
      const length = Math.min(clusterSize - inCluster, source.length);
      await this.#store.write(first.offset + inCluster, source.subarray(0, length));
      return length;
    }
    if (first.kind === "zero" && first.exclusive && first.offset !== 0) {
      const length = Math.min(clusterSize - inCluster, source.length);
      await this.#fill(cluster, first.offset, position, source.subarray(0, length), false);
      this.#map.setEntry(await this.#tableForWriting(cluster), cluster, first.offset);
      return length;
    }
    const old: Mapping[] = [first];
    while (cluster + old.length <= last) {
      const next = await this.#map.lookUp(cluster + old.length);
      if ((next.kind === "data" || next.kind === "zero") && next.exclusive) break;
      old.push(next);
    }
    // The table first: a cluster that is taken and then not named would be lost.
    await this.#tableForWriting(cluster);
    const run = await this.#refcounts.allocate(old.length);
    const target = run.first * clusterSize;
    const length = Math.min(run.count * clusterSize - inCluster, source.length);
    try {
      await this.#fill(cluster, target, position, source.subarray(0, length), run.fresh);
    } catch (error) {
      // A full host disk, say: the clusters are free again.
      for (let i = 0; i < run.count; i++) await this.#refcounts.add(run.first + i, -1);
      throw error;
    }
    const table = await this.#tableForWriting(cluster);
    for (let i = 0; i < run.count; i++) {
      this.#map.setEntry(table, cluster + i, target + i * clusterSize);
      this.#release(old[i]!);
    }
    return length;
  }

  /**
   * Writes `source` for `position` into the clusters at `target`, of which the first stands for `cluster`, and
   * around it what the guest had there. `fresh`: the file has zeros there already.
   */
  async #fill(
    cluster: number,
    target: number,
    position: number,
    source: Uint8Array,
    fresh: boolean,
  ): Promise<void> {
    const { clusterSize } = this.#map;
    const start = cluster * clusterSize;
    const end = position + source.length;
    const tail = Math.ceil(end / clusterSize) * clusterSize;
    const keep = async (from: number, to: number): Promise<void> => {
      if (from === to) return;
      const old = new Uint8Array(to - from);
      if (!(await this.#readsAsZeros(from))) await this.#reader.read(from, old);
      // Most of a new disk's backing file is a hole: a small write must not become a whole cluster of zeros.
      if (fresh && isZero(old)) return;
      await this.#store.write(target + from - start, old);
    };
    await keep(start, position);
    await keep(end, tail);
    await this.#store.write(target + position - start, source);
  }

  async #readsAsZeros(position: number): Promise<boolean> {
    const mapping = await this.#map.lookUp(Math.floor(position / this.#map.clusterSize));
    return (
      mapping.kind === "zero" || (mapping.kind === "unallocated" && this.#reader.isBackedByZeros(position))
    );
  }

  /** The L2 table of `cluster`, made or copied where it is not this image's alone. */
  async #tableForWriting(cluster: number): Promise<Table> {
    const { clusterSize, perTable, tables } = this.#map;
    const index = Math.floor(cluster / perTable);
    const { offset, exclusive } = this.#map.l1Entry(index);
    if (offset !== 0 && exclusive) return tables.get(offset) ?? (await tables.load(offset));
    const bytes = new Uint8Array(clusterSize);
    if (offset !== 0) bytes.set((await tables.load(offset)).bytes);
    const { first } = await this.#refcounts.allocate(1);
    this.#map.setL1Entry(index, first * clusterSize);
    if (offset !== 0) {
      tables.drop(offset);
      this.#freed.push(offset / clusterSize);
    }
    return tables.add(first * clusterSize, bytes);
  }

  /** A guest cluster no longer uses what it was mapped to. */
  #release(old: Mapping): void {
    const { clusterSize } = this.#map;
    if (old.kind === "unallocated" || old.offset === 0) return;
    if (old.kind !== "compressed") {
      this.#freed.push(old.offset / clusterSize);
      return;
    }
    this.#reader.forget(old.offset);
    // Each cluster that holds a part of it has one reference for it.
    const last = Math.floor((old.offset + old.length - 1) / clusterSize);
    for (let cluster = Math.floor(old.offset / clusterSize); cluster <= last; cluster++)
      this.#freed.push(cluster);
  }

  /** Before changed tables fill the memory that they may have. */
  async #writeCrowded(): Promise<void> {
    if (this.#map.tables.isCrowded || this.#refcounts.isCrowded) await this.flush();
  }
}

/** For whole sectors of a buffer of their own. */
function isZero(bytes: Uint8Array): boolean {
  for (const word of new Int32Array(bytes.buffer)) if (word !== 0) return false;
  return true;
}
