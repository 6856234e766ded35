import type { BlockStore } from "../block-store.ts";
import type { ByteStore } from "../byte-store.ts";
import { SerialQueue } from "../serial-queue.ts";
import { type ClusterDecompressors, ClusterReader } from "./cluster-reader.ts";
import { ClusterWriter } from "./cluster-writer.ts";
import { DamagedImage, damaged, type Qcow2Header } from "./header.ts";
import { HEADER, INCOMPATIBLE } from "./layout.ts";
import { ClusterMap } from "./mapping.ts";
import { MetadataMap } from "./metadata-map.ts";
import { Refcounts } from "./refcounts.ts";
import { repairRefcounts } from "./repair.ts";
import { claimSnapshots } from "./snapshots.ts";

/** How an image is opened. */
export interface Qcow2Options {
  readonly readOnly: boolean;
  /** What the header's backing file names, opened; the image's holes show it. */
  readonly backing: BlockStore | undefined;
  readonly decompressors: ClusterDecompressors;
  /** Takes a sentence when something is wrong that the guest only sees as an I/O error. */
  readonly report: (sentence: string) => void;
  /** Count all references first and give up what nothing uses: the last user was killed. */
  readonly repair?: boolean;
}

/**
 * A disk in a qcow2 image. Guest data goes to the file at once, metadata at the guest's flush, in this order:
 * data and reference counts, L2 tables, L1 table, each durable before the next. So a process that is killed, and
 * a host that loses power, leave an image whose counts may be too high (after which {@link Qcow2Options.repair}
 * gives the clusters back), never one that is wrong.
 */
export class Qcow2Image implements BlockStore {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #reader: ClusterReader;
  readonly #writer: ClusterWriter | undefined;
  readonly #report: (sentence: string) => void;
  /** Work on metadata, one piece at a time. */
  readonly #queue = new SerialQueue();
  /** Writes into existing clusters that are under way; a freed cluster must outlive them. */
  readonly #writing = new Set<Promise<void>>();
  #damage: Error | undefined;

  private constructor(
    store: ByteStore,
    header: Qcow2Header,
    map: ClusterMap,
    reader: ClusterReader,
    refcounts: Refcounts | undefined,
    options: Qcow2Options,
  ) {
    this.#store = store;
    this.#header = header;
    this.#reader = reader;
    this.#report = options.report;
    this.size = header.size;
    this.readOnly = options.readOnly;
    this.#writer =
      refcounts &&
      new ClusterWriter(store, header, map, reader, refcounts, () => Promise.allSettled([...this.#writing]));
  }

  /** Checks the structures that are always needed; damage is a UserError. */
  static async open(store: ByteStore, header: Qcow2Header, options: Qcow2Options): Promise<Qcow2Image> {
    if (header.corrupt && !options.readOnly)
      throw damaged(store.name, "somebody found a contradiction in it and marked it as corrupt");
    const metadata = new MetadataMap(store.name, 2 ** header.clusterBits);
    metadata.add(0, 2 ** header.clusterBits, "the header");
    const map = await ClusterMap.open(store, header, metadata);
    const reader = new ClusterReader(store, header, map, options.backing, options.decompressors);
    if (options.readOnly) return new Qcow2Image(store, header, map, reader, undefined, options);
    const refcounts = await Refcounts.open(store, header, metadata);
    await claimSnapshots(store, header, metadata);
    if (header.dirty || options.repair === true) {
      await repairRefcounts(store, header, map, refcounts);
      if (header.dirty) await setIncompatible(store, INCOMPATIBLE.DIRTY, false);
    }
    // Whoever changes an image clears the features that only describe it as it was (bitmaps).
    if (header.autoclear) await store.write(HEADER.AUTOCLEAR_FEATURES, new Uint8Array(8));
    return new Qcow2Image(store, header, map, reader, refcounts, options);
  }

  read(offset: number, target: Uint8Array): Promise<void> | void {
    return this.#guarded(() => this.#reader.read(offset, target));
  }

  write(offset: number, source: Uint8Array): Promise<void> | void {
    return this.#guarded(() => {
      const writer = this.#writable();
      const inPlace = writer.writeInPlace(offset, source);
      if (inPlace === "needs metadata") return this.#queue.run(() => writer.write(offset, source));
      if (inPlace === undefined) return undefined;
      this.#writing.add(inPlace);
      return inPlace.finally(() => this.#writing.delete(inPlace));
    });
  }

  flush(): Promise<void> | void {
    if (this.readOnly) return undefined;
    return this.#guarded(() => {
      const writer = this.#writable();
      return writer.hasDirty ? this.#queue.run(() => writer.flush()) : this.#store.flush();
    });
  }

  discard(offset: number, length: number): Promise<void> | void {
    return this.#guarded(() => this.#queue.run(() => this.#writable().discard(offset, length)));
  }

  writeZeroes(offset: number, length: number, mayUnmap: boolean): Promise<void> | void {
    return this.#guarded(() => this.#queue.run(() => this.#writable().writeZeroes(offset, length, mayUnmap)));
  }

  /** Writes everything, clusters that were given up included. The image is not to be used afterwards. */
  async close(): Promise<void> {
    if (this.#writer === undefined || this.#damage !== undefined) return;
    // The first round makes freed clusters free, the second writes their counts.
    for (let round = 0; round < 2; round++) await this.flush();
  }

  #writable(): ClusterWriter {
    if (this.#damage !== undefined) throw this.#damage;
    if (this.#writer === undefined) throw new Error(`The image ${this.#store.name} is only read.`);
    return this.#writer;
  }

  /** Notices damage that an operation met. */
  #guarded(operation: () => Promise<void> | void): Promise<void> | void {
    try {
      return operation()?.catch((error: unknown) => this.#failed(error));
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): never | Promise<never> {
    const isOurs = error instanceof DamagedImage && error.image === this.#store.name;
    if (!isOurs || this.#damage !== undefined) throw error;
    this.#damage = error;
    this.#report(error.message);
    if (this.readOnly || this.#header.version === 2) throw error;
    // From now on everybody knows; what cannot be marked stays unmarked.
    return this.#queue
      .run(() => setIncompatible(this.#store, INCOMPATIBLE.CORRUPT, true))
      .catch(() => {})
      .then(() => {
        throw error;
      });
  }
}

/** Sets or clears a bit of the incompatible features in the file, durably. */
async function setIncompatible(store: ByteStore, bit: number, value: boolean): Promise<void> {
  const bytes = new Uint8Array(8);
  await store.read(HEADER.INCOMPATIBLE_FEATURES, bytes);
  const view = new DataView(bytes.buffer);
  const low = view.getUint32(4);
  view.setUint32(4, (value ? low | (1 << bit) : low & ~(1 << bit)) >>> 0);
  await store.flush();
  await store.write(HEADER.INCOMPATIBLE_FEATURES, bytes);
  await store.flush();
}
