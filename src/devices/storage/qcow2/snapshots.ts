import type { ByteStore } from "../byte-store.ts";
import { damaged, hex, type Qcow2Header, wide } from "./header.ts";
import { LIMIT } from "./layout.ts";
import type { MetadataMap } from "./metadata-map.ts";

/** An internal snapshot's L1 table. Offset and length are bytes. */
export interface SnapshotTable {
  readonly offset: number;
  readonly length: number;
}

/** The fixed part of an entry: L1 offset, L1 size, lengths of id and name, times, sizes. */
const ENTRY_SIZE = 40;

/** The internal snapshots' L1 tables, and the bytes that the snapshot table takes. */
export async function readSnapshots(
  store: ByteStore,
  { snapshots, snapshotsOffset, clusterBits }: Qcow2Header,
): Promise<{ readonly tables: SnapshotTable[]; readonly length: number }> {
  const tables: SnapshotTable[] = [];
  const fixed = new Uint8Array(ENTRY_SIZE);
  const view = new DataView(fixed.buffer);
  let at = snapshotsOffset;
  for (let index = 0; index < snapshots; index++) {
    await store.read(at, fixed);
    const offset = wide(view, 0);
    const length = view.getUint32(8) * 8;
    if (length > LIMIT.L1_BYTES || offset % 2 ** clusterBits !== 0 || offset + length > store.size)
      throw damaged(store.name, `the L1 table of snapshot ${index + 1} is said to be at ${hex(offset)}`);
    tables.push({ offset, length });
    const size = ENTRY_SIZE + view.getUint32(36) + view.getUint16(12) + view.getUint16(14);
    at += Math.ceil(size / 8) * 8;
    if (at - snapshotsOffset > LIMIT.SNAPSHOT_TABLE_BYTES || at > store.size + 8)
      throw damaged(store.name, `entry ${index + 1} of its snapshot table does not end`);
  }
  return { tables, length: at - snapshotsOffset };
}

/** Claims the clusters of the snapshot table and of the snapshots' L1 tables. */
export async function claimSnapshots(
  store: ByteStore,
  header: Qcow2Header,
  metadata: MetadataMap,
): Promise<void> {
  if (header.snapshots === 0) return;
  const { tables, length } = await readSnapshots(store, header);
  metadata.add(header.snapshotsOffset, length, "the snapshot table");
  tables.forEach(({ offset, length: bytes }, index) => {
    if (bytes > 0) metadata.add(offset, bytes, `the L1 table of snapshot ${index + 1}`);
  });
}
