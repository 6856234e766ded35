import { Readable } from "node:stream";
import { gunzipSync } from "node:zlib";
import { concatenate } from "../base/bytes.ts";
import type { Decompressors } from "../machine/boot/kernel-image.ts";
import { type Compression, decompress } from "./images/compression.ts";

/**
 * How this host unpacks kernels. All throw when the data is damaged or unpacks to more than the limit; gzip
 * tolerates zeros after its end, with which kernels may be padded.
 */
export const KERNEL_DECOMPRESSORS: Decompressors = {
  gzip: (packed, limit) => gunzipSync(packed, { maxOutputLength: limit }),
  zstd: (packed, limit) => collect(packed, "zst", limit),
  xz: (packed, limit) => collect(packed, "xz", limit),
};

async function collect(packed: Uint8Array, compression: Compression, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of decompress(Readable.from([packed]), compression) as AsyncIterable<Uint8Array>) {
    length += piece.length;
    if (length > limit) throw new Error(`more than ${limit} bytes`);
    pieces.push(piece);
  }
  return concatenate(pieces);
}
