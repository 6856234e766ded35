import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";
import xz from "xz-decompress";

/** The compressions that Debian's packages and lists use, by the end of the file's name. */
export type Compression = "none" | "gz" | "xz" | "zst";

/** The compression that a file name's end tells. */
export function compressionOf(name: string): Compression {
  const end = /\.(gz|xz|zst)$/.exec(name)?.[1];
  return end === "gz" || end === "xz" || end === "zst" ? end : "none";
}

/** `source` decompressed. Damage shows as an error of the stream. */
export function decompress(source: Readable, compression: Compression): Readable {
  switch (compression) {
    case "none":
      return source;
    case "gz": {
      const gunzip = createGunzip();
      source.on("error", (error) => gunzip.destroy(error));
      return source.pipe(gunzip);
    }
    case "xz":
      return Readable.from(readXz(source), { objectMode: false });
    case "zst":
      return Readable.from(readZstandard(source), { objectMode: false });
  }
}

/** The library decompresses one stream at a time: a second one waits until the first has ended or is left. */
async function* readXz(source: Readable): AsyncGenerator<Uint8Array> {
  const stream = new xz.XzReadableStream(Readable.toWeb(source) as ReadableStream<Uint8Array>);
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function* readZstandard(source: Readable): AsyncGenerator<Uint8Array> {
  const ready: Uint8Array[] = [];
  const stream = new Decompress((piece) => ready.push(piece));
  for await (const piece of source as AsyncIterable<Uint8Array>) {
    stream.push(piece);
    yield* ready.splice(0);
  }
  stream.push(new Uint8Array(0), true);
  yield* ready.splice(0);
}

/** The whole of `bytes` decompressed. */
export async function decompressBytes(bytes: Uint8Array, compression: Compression): Promise<Uint8Array> {
  if (compression === "none") return bytes;
  const pieces: Uint8Array[] = [];
  for await (const piece of decompress(Readable.from([bytes]), compression) as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
