import type { BlockStore } from "../block-store.ts";
import type { ByteStore } from "../byte-store.ts";
import { damaged, hex, type Qcow2Header } from "./header.ts";
import type { ClusterCompression } from "./layout.ts";
import type { ClusterMap, Mapping } from "./mapping.ts";

/**
 * Unpacks what a host can: `source` begins with the compressed data (raw deflate, or one zstd frame) and may go
 * on after it; the answer has `length` bytes. It throws on anything else.
 */
export type ClusterDecompressors = Readonly<
  Record<ClusterCompression, (source: Uint8Array, length: number) => Uint8Array>
>;

/** Clusters that are kept unpacked: one is usually read in several pieces. */
const UNPACKED = 16;

/** Reads the guest's disk through an image's map, its compressed clusters and its backing file. */
export class ClusterReader {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #map: ClusterMap;
  readonly #backing: BlockStore | undefined;
  readonly #decompressors: ClusterDecompressors;
  /** By place in the file, the least recently used first. */
  readonly #unpacked = new Map<number, Uint8Array>();

  constructor(
    store: ByteStore,
    header: Qcow2Header,
    map: ClusterMap,
    backing: BlockStore | undefined,
    decompressors: ClusterDecompressors,
  ) {
    this.#store = store;
    this.#header = header;
    this.#map = map;
    this.#backing = backing;
    this.#decompressors = decompressors;
  }

  /** Reads without waiting for metadata where that is in memory; a promise otherwise. */
  read(offset: number, target: Uint8Array): Promise<void> | void {
    const { clusterSize } = this.#map;
    const pending: Promise<void>[] = [];
    for (let done = 0; done < target.length; ) {
      const position = offset + done;
      const cluster = Math.floor(position / clusterSize);
      const mapping = this.#map.peek(cluster);
      if (mapping === undefined || mapping.kind === "compressed") {
        pending.push(this.#readLater(position, target.subarray(done)));
        break;
      }
      const length = this.#runLength(mapping, position, target.length - done);
      const reading = this.#readMapped(mapping, position, target.subarray(done, done + length));
      if (reading !== undefined) pending.push(reading);
      done += length;
    }
    if (pending.length === 0) return undefined;
    return pending.length === 1 ? pending[0] : Promise.all(pending).then(() => undefined);
  }

  /** What lies below this image in [offset, offset + target.length): the backing file, then zeros. */
  readBacking(offset: number, target: Uint8Array): Promise<void> | void {
    const backed = Math.max(0, Math.min(target.length, (this.#backing?.size ?? 0) - offset));
    target.fill(0, backed);
    return backed > 0 ? this.#backing?.read(offset, target.subarray(0, backed)) : undefined;
  }

  /** True when nothing but zeros lies below this image from `offset` on. */
  isBackedByZeros(offset: number): boolean {
    return offset >= (this.#backing?.size ?? 0);
  }

  /** Bytes from `position` that continue `mapping` without a gap in the file, at most `most`. */
  #runLength(mapping: Mapping, position: number, most: number): number {
    const { clusterSize } = this.#map;
    let length = clusterSize - (position % clusterSize);
    let expected = "offset" in mapping ? mapping.offset : 0;
    while (length < most) {
      const next = this.#map.peek(Math.floor((position + length) / clusterSize));
      if (next === undefined || next.kind !== mapping.kind) break;
      expected += clusterSize;
      if (next.kind === "data" && next.offset !== expected) break;
      length += clusterSize;
    }
    return Math.min(length, most);
  }

  #readMapped(
    mapping: Exclude<Mapping, { kind: "compressed" }>,
    position: number,
    target: Uint8Array,
  ): Promise<void> | void {
    switch (mapping.kind) {
      case "data":
        return this.#store.read(mapping.offset + (position % this.#map.clusterSize), target);
      case "zero":
        target.fill(0);
        return undefined;
      case "unallocated":
        return this.readBacking(position, target);
    }
  }

  async #readLater(offset: number, target: Uint8Array): Promise<void> {
    const { clusterSize } = this.#map;
    for (let done = 0; done < target.length; ) {
      const position = offset + done;
      const inCluster = position % clusterSize;
      const mapping = await this.#map.lookUp(Math.floor(position / clusterSize));
      if (mapping.kind === "compressed") {
        const length = Math.min(clusterSize - inCluster, target.length - done);
        const bytes = await this.#unpack(mapping.offset, mapping.length);
        target.set(bytes.subarray(inCluster, inCluster + length), done);
        done += length;
      } else {
        const length = this.#runLength(mapping, position, target.length - done);
        await this.#readMapped(mapping, position, target.subarray(done, done + length));
        done += length;
      }
    }
  }

  async #unpack(offset: number, length: number): Promise<Uint8Array> {
    const known = this.#unpacked.get(offset);
    if (known !== undefined) {
      this.#unpacked.delete(offset);
      this.#unpacked.set(offset, known);
      return known;
    }
    const packed = new Uint8Array(length);
    await this.#store.read(offset, packed);
    let bytes: Uint8Array;
    try {
      bytes = this.#decompressors[this.#header.compression](packed, this.#map.clusterSize);
    } catch (cause) {
      throw damaged(this.#store.name, `the compressed cluster at ${hex(offset)} cannot be unpacked`, cause);
    }
    this.#unpacked.set(offset, bytes);
    const [oldest] = this.#unpacked.keys();
    if (this.#unpacked.size > UNPACKED && oldest !== undefined) this.#unpacked.delete(oldest);
    return bytes;
  }

  /** A compressed cluster is about to be freed, so its place may get other contents. */
  forget(offset: number): void {
    this.#unpacked.delete(offset);
  }
}
