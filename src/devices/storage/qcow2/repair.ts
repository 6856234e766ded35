import { UserError } from "../../../base/errors.ts";
import type { ByteStore } from "../byte-store.ts";
import { damaged, type Qcow2Header } from "./header.ts";
import { ENTRY_HIGH, OFFSET_HIGH_MASK, OFFSET_LOW_MASK } from "./layout.ts";
import type { ClusterMap } from "./mapping.ts";
import type { Refcounts } from "./refcounts.ts";
import { readSnapshots } from "./snapshots.ts";

/** Most clusters that are counted: four bytes each. */
const MOST_CLUSTERS = 2 ** 25;

/**
 * Counts every reference in the image and makes the stored counts agree: needed where the last user kept them only
 * in memory (dirty bit), and to give back what a killed process had taken and not used.
 */
export async function repairRefcounts(
  store: ByteStore,
  header: Qcow2Header,
  map: ClusterMap,
  refcounts: Refcounts,
): Promise<void> {
  if (header.hasBitmaps) {
    if (!header.dirty) return;
    throw new UserError(
      `The image ${store.name} was not closed, and has bitmaps, which are not counted here; run: qemu-img check -r all ${store.name}`,
    );
  }
  const { clusterSize } = map;
  const clusters = Math.ceil(store.size / clusterSize);
  if (clusters > MOST_CLUSTERS) throw damaged(store.name, `it has ${clusters} clusters, too many to count`);
  const counts = new Uint32Array(clusters);
  const count = (offset: number, length: number): void => {
    const last = Math.min(clusters, Math.ceil((offset + length) / clusterSize));
    for (let cluster = Math.floor(offset / clusterSize); cluster < last; cluster++)
      counts[cluster] = (counts[cluster] ?? 0) + 1;
  };
  count(0, clusterSize);
  refcounts.eachOwnCluster((offset, length) => count(offset, length));
  const l1 = new Uint8Array(header.l1Entries * 8);
  await store.read(header.l1Offset, l1);
  count(header.l1Offset, l1.length);
  await countTable(l1);
  if (header.snapshots > 0) {
    const { tables, length } = await readSnapshots(store, header);
    count(header.snapshotsOffset, length);
    for (const { offset, length: bytes } of tables) {
      const table = new Uint8Array(bytes);
      await store.read(offset, table);
      count(offset, bytes);
      await countTable(table);
    }
  }
  for (let cluster = 0; cluster < clusters; cluster++) await refcounts.assign(cluster, counts[cluster] ?? 0);
  await refcounts.write();
  await store.flush();

  async function countTable(table: Uint8Array): Promise<void> {
    const view = new DataView(table.buffer);
    const l2 = new Uint8Array(clusterSize);
    const entries = new DataView(l2.buffer);
    for (let index = 0; index < table.length / 8; index++) {
      const offset =
        (view.getUint32(index * 8) & OFFSET_HIGH_MASK) * 2 ** 32 +
        ((view.getUint32(index * 8 + 4) & OFFSET_LOW_MASK) >>> 0);
      if (offset === 0 || offset >= store.size) continue;
      count(offset, clusterSize);
      await store.read(offset, l2);
      for (let at = 0; at < clusterSize; at += 8) countEntry(entries, at);
    }
  }

  function countEntry(view: DataView, at: number): void {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    if (high & ENTRY_HIGH.COMPRESSED) {
      const bits = ((BigInt(high) << 32n) | BigInt(low)) & ((1n << 62n) - 1n);
      const offsetBits = BigInt(62 - (header.clusterBits - 8));
      const offset = Number(bits & ((1n << offsetBits) - 1n));
      count(offset, (Number(bits >> offsetBits) + 1) * 512 - (offset % 512));
      return;
    }
    const offset = (high & OFFSET_HIGH_MASK) * 2 ** 32 + ((low & OFFSET_LOW_MASK) >>> 0);
    if (offset !== 0) count(offset, clusterSize);
  }
}
