import { UserError } from "../../../base/errors.ts";
import type { ByteStore } from "../byte-store.ts";
import { EXTENSION, HEADER, HEADER_SIZE, LIMIT, QCOW2_MAGIC } from "./layout.ts";
import { writeCount } from "./refcount-entry.ts";

/** A new image. */
export interface NewImage {
  /** Of the guest's disk, bytes; a multiple of 512. */
  readonly size: number;
  /** Both where there is a backing file: its name as the header shall say it, and its format. */
  readonly backing?: { readonly file: string; readonly format: "raw" | "qcow2" } | undefined;
  /** Default 16: clusters of 64 KiB. */
  readonly clusterBits?: number;
}

const REFCOUNT_ORDER = 4;

/** Writes an empty version 3 image into an empty file: header, refcount table, its one block, L1 table. */
export async function createQcow2(store: ByteStore, image: NewImage): Promise<void> {
  const { size, backing, clusterBits = 16 } = image;
  const clusterSize = 2 ** clusterBits;
  const l1Entries = Math.ceil(size / ((clusterSize / 8) * clusterSize));
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterSize);
  const used = 3 + l1Clusters;
  if (l1Entries * 8 > LIMIT.L1_BYTES || used > (clusterSize * 8) / 2 ** REFCOUNT_ORDER)
    throw new UserError(`A disk of ${size} bytes is too large for a new image; give a smaller size.`);
  const bytes = new Uint8Array(used * clusterSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(HEADER.MAGIC, QCOW2_MAGIC);
  view.setUint32(HEADER.VERSION, 3);
  view.setUint32(HEADER.CLUSTER_BITS, clusterBits);
  view.setBigUint64(HEADER.SIZE, BigInt(size));
  view.setUint32(HEADER.L1_SIZE, l1Entries);
  view.setBigUint64(HEADER.L1_TABLE_OFFSET, BigInt(3 * clusterSize));
  view.setBigUint64(HEADER.REFCOUNT_TABLE_OFFSET, BigInt(clusterSize));
  view.setUint32(HEADER.REFCOUNT_TABLE_CLUSTERS, 1);
  view.setUint32(HEADER.REFCOUNT_ORDER, REFCOUNT_ORDER);
  view.setUint32(HEADER.HEADER_LENGTH, HEADER_SIZE[3]);
  if (backing !== undefined) {
    let at: number = HEADER_SIZE[3];
    const format = new TextEncoder().encode(backing.format);
    view.setUint32(at, EXTENSION.BACKING_FORMAT);
    view.setUint32(at + 4, format.length);
    bytes.set(format, at + 8);
    // The end's type and length are zeros.
    at += 8 + Math.ceil(format.length / 8) * 8 + 8;
    const name = new TextEncoder().encode(backing.file);
    if (name.length > LIMIT.BACKING_NAME_BYTES || at + name.length > clusterSize)
      throw new UserError(`The name ${backing.file} is too long for an image's header; use a shorter path.`);
    bytes.set(name, at);
    view.setBigUint64(HEADER.BACKING_FILE_OFFSET, BigInt(at));
    view.setUint32(HEADER.BACKING_FILE_SIZE, name.length);
  }
  view.setBigUint64(clusterSize, BigInt(2 * clusterSize));
  const counts = new DataView(bytes.buffer, 2 * clusterSize, clusterSize);
  for (let cluster = 0; cluster < used; cluster++) writeCount(counts, REFCOUNT_ORDER, cluster, 1);
  await store.write(0, bytes);
  await store.flush();
}
