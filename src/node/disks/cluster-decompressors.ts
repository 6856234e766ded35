import { constants, inflateRawSync } from "node:zlib";
import { decompress } from "fzstd";
import type { ClusterDecompressors } from "../../devices/storage/qcow2/cluster-reader.ts";

/** Unpacks compressed clusters of qcow2 images. */
export const CLUSTER_DECOMPRESSORS: ClusterDecompressors = {
  zlib: (source, length) => {
    // What follows the stream in its last sector is not ours; the stream may lack its end.
    const bytes = inflateRawSync(source, { maxOutputLength: length, finishFlush: constants.Z_SYNC_FLUSH });
    return exactly(bytes, length);
  },
  zstd: (source, length) => {
    const frame = source.subarray(0, zstdFrameLength(source));
    return exactly(decompress(frame, new Uint8Array(length)), length);
  },
};

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new Error(`${bytes.length} bytes instead of ${length}`);
  return bytes;
}

const ZSTD_MAGIC = 0xfd2f_b528;

/** Length of the zstd frame that `source` begins with (RFC 8878, section 3.1.1). */
function zstdFrameLength(source: Uint8Array): number {
  const view = new DataView(source.buffer, source.byteOffset, source.length);
  if (view.getUint32(0, true) !== ZSTD_MAGIC) throw new Error("no zstd frame");
  const descriptor = view.getUint8(4);
  const single = (descriptor >> 5) & 1;
  const sizeBytes = [single, 2, 4, 8][descriptor >> 6] ?? 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let at = 5 + (1 - single) + dictionaryBytes + sizeBytes;
  for (;;) {
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const isRun = ((header >> 1) & 3) === 1;
    at += 3 + (isRun ? 1 : header >> 3);
    if (header & 1) break;
  }
  at += descriptor & 4 ? 4 : 0;
  if (at > source.length) throw new Error("the zstd frame does not end");
  return at;
}
