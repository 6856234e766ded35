import { UserError } from "../../../base/errors.ts";
import type { ByteStore } from "../byte-store.ts";
import {
  type ClusterCompression,
  COMPRESSIONS,
  EXTENSION,
  FEATURE_NAME_SIZE,
  HEADER,
  HEADER_SIZE,
  INCOMPATIBLE,
  LIMIT,
  QCOW2_MAGIC,
} from "./layout.ts";

/** A header, checked. Offsets and sizes are bytes unless they say otherwise. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Of the disk that the guest sees. */
  readonly size: number;
  readonly l1Entries: number;
  readonly l1Offset: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** A count has 2 to this power bits. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly snapshotsOffset: number;
  readonly backingFile: string | undefined;
  /** "raw", "qcow2" or another of QEMU's names; undefined where the image does not say. */
  readonly backingFormat: string | undefined;
  readonly compression: ClusterCompression;
  /** The counts may be wrong: the last user was killed. */
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly hasBitmaps: boolean;
  readonly autoclear: boolean;
}

/** An image whose structures contradict the format. */
export class DamagedImage extends UserError {
  /** The image's name. */
  readonly image: string;

  constructor(image: string, what: string) {
    super(
      `The image ${image} is damaged: ${what}; look at it with "qemu-img check ${image}", or take a copy from before.`,
    );
    this.image = image;
  }
}

/** What is wrong with an image, and where. */
export function damaged(name: string, what: string, cause?: unknown): DamagedImage {
  const error = new DamagedImage(name, what);
  if (cause !== undefined) error.cause = cause;
  return error;
}

function unsupported(name: string, what: string, remedy: string): UserError {
  return new UserError(`The image ${name} ${what}; ${remedy}.`);
}

/** An offset as messages show it. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** True when the first bytes of a file are those of a qcow2 image. */
export function looksLikeQcow2(start: Uint8Array): boolean {
  return start.length >= 4 && new DataView(start.buffer, start.byteOffset, 4).getUint32(0) === QCOW2_MAGIC;
}

/** Reads and checks the header; what cannot be used is a UserError. */
export async function readHeader(store: ByteStore): Promise<Qcow2Header> {
  const { name } = store;
  const head = new Uint8Array(HEADER.COMPRESSION_TYPE + 8);
  await store.read(0, head);
  const view = new DataView(head.buffer);
  if (!looksLikeQcow2(head)) throw damaged(name, "it does not begin with the mark of a qcow2 image");
  const version = view.getUint32(HEADER.VERSION);
  if (version !== 2 && version !== 3) {
    throw unsupported(name, `is qcow2 of version ${version}`, "only versions 2 and 3 are known");
  }
  if (store.size < HEADER_SIZE[version]) throw damaged(name, "the file ends inside its header");
  const clusterBits = view.getUint32(HEADER.CLUSTER_BITS);
  if (clusterBits < LIMIT.CLUSTER_BITS[0] || clusterBits > LIMIT.CLUSTER_BITS[1])
    throw damaged(name, `its clusters have 2^${clusterBits} bytes, which must be 2^9 to 2^21`);
  const clusterSize = 2 ** clusterBits;
  if (view.getUint32(HEADER.CRYPT_METHOD) !== 0)
    throw unsupported(name, "is encrypted", `decrypt it with: qemu-img convert -O qcow2 ${name} plain.qcow2`);

  const headerLength = version === 2 ? HEADER_SIZE[2] : view.getUint32(HEADER.HEADER_LENGTH);
  if (headerLength < HEADER_SIZE[version] || headerLength > clusterSize || headerLength % 8 !== 0)
    throw damaged(name, `its header claims ${headerLength} bytes`);
  const cluster = new Uint8Array(clusterSize);
  await store.read(0, cluster);
  const backingOffset = wide(view, HEADER.BACKING_FILE_OFFSET);
  const backingSize = view.getUint32(HEADER.BACKING_FILE_SIZE);
  const extensionsEnd = backingOffset >= headerLength ? Math.min(backingOffset, clusterSize) : clusterSize;
  const extensions = readExtensions(cluster, headerLength, extensionsEnd, name);
  const features = version === 2 ? 0n : view.getBigUint64(HEADER.INCOMPATIBLE_FEATURES);
  checkFeatures(features, extensions.featureNames, name);

  const size = wide(view, HEADER.SIZE);
  const l1Entries = view.getUint32(HEADER.L1_SIZE);
  const l1Offset = wide(view, HEADER.L1_TABLE_OFFSET);
  const refcountTableOffset = wide(view, HEADER.REFCOUNT_TABLE_OFFSET);
  const refcountTableClusters = view.getUint32(HEADER.REFCOUNT_TABLE_CLUSTERS);
  const refcountOrder = version === 2 ? 4 : view.getUint32(HEADER.REFCOUNT_ORDER);
  const snapshots = view.getUint32(HEADER.SNAPSHOTS);
  const snapshotsOffset = wide(view, HEADER.SNAPSHOTS_OFFSET);

  const coveredByTable = (clusterSize / 8) * clusterSize;
  if (size % 512 !== 0 || size > 2 ** 53 - 1) throw damaged(name, `its disk has ${size} bytes`);
  if (l1Entries * 8 > LIMIT.L1_BYTES) throw damaged(name, `its L1 table has ${l1Entries} entries`);
  if (l1Entries < Math.ceil(size / coveredByTable))
    throw damaged(name, `its L1 table of ${l1Entries} entries is too short for a disk of ${size} bytes`);
  if (refcountOrder > LIMIT.REFCOUNT_ORDER)
    throw damaged(name, `its reference counts have 2^${refcountOrder} bits`);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterSize > LIMIT.REFCOUNT_TABLE_BYTES)
    throw damaged(name, `its refcount table has ${refcountTableClusters} clusters`);
  if (snapshots > LIMIT.SNAPSHOTS) throw damaged(name, `it claims ${snapshots} snapshots`);
  const inside = (offset: number, length: number, what: string): void => {
    if (offset % clusterSize !== 0 || offset < clusterSize || offset + length > store.size)
      throw damaged(
        name,
        `its ${what} is said to be at ${hex(offset)}, outside the file or between clusters`,
      );
  };
  if (l1Entries > 0) inside(l1Offset, l1Entries * 8, "L1 table");
  inside(refcountTableOffset, refcountTableClusters * clusterSize, "refcount table");
  if (snapshots > 0) inside(snapshotsOffset, 40, "snapshot table");

  const compressionType =
    (features >> BigInt(INCOMPATIBLE.COMPRESSION_TYPE)) & 1n && headerLength > HEADER.COMPRESSION_TYPE
      ? view.getUint8(HEADER.COMPRESSION_TYPE)
      : 0;
  const compression = COMPRESSIONS[compressionType];
  if (compression === undefined)
    throw unsupported(
      name,
      `is compressed in a way (${compressionType}) that is not known`,
      "convert it with qemu-img",
    );
  return {
    version,
    clusterBits,
    size,
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    refcountOrder,
    snapshots,
    snapshotsOffset,
    backingFile: backingName(cluster, backingOffset, backingSize, name),
    backingFormat: extensions.backingFormat,
    compression,
    dirty: ((features >> BigInt(INCOMPATIBLE.DIRTY)) & 1n) === 1n,
    corrupt: ((features >> BigInt(INCOMPATIBLE.CORRUPT)) & 1n) === 1n,
    hasBitmaps: extensions.hasBitmaps,
    autoclear: version === 3 && view.getBigUint64(HEADER.AUTOCLEAR_FEATURES) !== 0n,
  };
}

/** A 64-bit field. Beyond 2^53 it loses precision, which range checks do not mind. */
export function wide(view: DataView, offset: number): number {
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4);
}

function backingName(cluster: Uint8Array, offset: number, length: number, name: string): string | undefined {
  if (offset === 0) return undefined;
  if (length === 0 || length > LIMIT.BACKING_NAME_BYTES || offset + length > cluster.length)
    throw damaged(name, `the name of its backing file has ${length} bytes at ${hex(offset)}`);
  return new TextDecoder().decode(cluster.slice(offset, offset + length));
}

interface Extensions {
  backingFormat: string | undefined;
  hasBitmaps: boolean;
  /** Names of incompatible features by their bit. */
  readonly featureNames: Map<number, string>;
}

function readExtensions(cluster: Uint8Array, start: number, end: number, name: string): Extensions {
  const view = new DataView(cluster.buffer);
  const found: Extensions = { backingFormat: undefined, hasBitmaps: false, featureNames: new Map() };
  for (let at = start; at + 8 <= end; ) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === EXTENSION.END) break;
    if (length > end - at - 8)
      throw damaged(name, `the header extension at ${hex(at)} claims ${length} bytes`);
    const data = cluster.slice(at + 8, at + 8 + length);
    if (type === EXTENSION.BACKING_FORMAT) found.backingFormat = new TextDecoder().decode(data);
    else if (type === EXTENSION.BITMAPS) found.hasBitmaps = true;
    else if (type === EXTENSION.FEATURE_NAMES) readFeatureNames(data, found.featureNames);
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return found;
}

function readFeatureNames(data: Uint8Array, names: Map<number, string>): void {
  for (let at = 0; at + FEATURE_NAME_SIZE <= data.length; at += FEATURE_NAME_SIZE) {
    if (data[at] !== 0) continue;
    const text = new TextDecoder("latin1").decode(data.slice(at + 2, at + FEATURE_NAME_SIZE));
    names.set(data[at + 1] ?? 0, text.replace(/\0.*$/s, ""));
  }
}

const UNSUPPORTED_FEATURES: Readonly<Record<number, string>> = {
  [INCOMPATIBLE.EXTERNAL_DATA]: "keeps its data in another file (external data file)",
  [INCOMPATIBLE.EXTENDED_L2]: "has subclusters (extended L2 entries)",
};

function checkFeatures(features: bigint, names: ReadonlyMap<number, string>, name: string): void {
  const known: readonly number[] = [INCOMPATIBLE.DIRTY, INCOMPATIBLE.CORRUPT, INCOMPATIBLE.COMPRESSION_TYPE];
  for (let bit = 0; bit < 64; bit++) {
    if (((features >> BigInt(bit)) & 1n) === 0n || known.includes(bit)) continue;
    const what =
      UNSUPPORTED_FEATURES[bit] ??
      `needs a feature that is not known here: ${names.get(bit) ?? `incompatible feature bit ${bit}`}`;
    throw unsupported(name, what, `convert it with: qemu-img convert -O qcow2 ${name} plain.qcow2`);
  }
}
