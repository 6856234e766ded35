import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import { UserError } from "../../base/errors.ts";
import { compressionOf, decompress } from "./compression.ts";

/** A member of an `ar` archive. */
interface Member {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

const AR_MAGIC = "!<arch>\n";
const AR_HEADER_SIZE = 60;

async function readMembers(path: string): Promise<Member[]> {
  const file = await open(path, "r");
  try {
    const length = (await file.stat()).size;
    const header = Buffer.alloc(AR_HEADER_SIZE);
    await file.read(header, 0, AR_MAGIC.length, 0);
    if (header.toString("latin1", 0, AR_MAGIC.length) !== AR_MAGIC) throw unfit(path, "it has no ar header");
    const members: Member[] = [];
    for (let position = AR_MAGIC.length; position + AR_HEADER_SIZE <= length; ) {
      await file.read(header, 0, AR_HEADER_SIZE, position);
      const name = header.toString("latin1", 0, 16).trim().replace(/\/$/, "");
      const size = Number(header.toString("latin1", 48, 58).trim());
      const offset = position + AR_HEADER_SIZE;
      if (!Number.isSafeInteger(size) || size < 0 || offset + size > length)
        throw unfit(path, "it is cut off");
      members.push({ name, offset, size });
      position = offset + size + (size % 2);
    }
    return members;
  } finally {
    await file.close();
  }
}

function unfit(path: string, reason: string): UserError {
  return new UserError(`${path} is not a Debian package (${reason}); remove it and pull again.`);
}

/** A file inside a package. */
export interface PackageFile {
  /** Without "./" or "/" at its beginning. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** Gives `take` every regular file of the package at `path` that `wanted` accepts, in their order there. */
export async function readPackage(
  path: string,
  wanted: (path: string) => boolean,
  take: (file: PackageFile) => void,
): Promise<void> {
  const data = (await readMembers(path)).find((member) => /^data\.tar(\.|$)/.test(member.name));
  if (data === undefined) throw unfit(path, "it has no data");
  const source = createReadStream(path, { start: data.offset, end: data.offset + data.size - 1 });
  const tar = extract();
  const failures: unknown[] = [];
  const reading = pipeline(decompress(source, compressionOf(data.name)), tar).catch((error: unknown) => {
    failures.push(error);
  });
  try {
    for await (const entry of tar) {
      const name = entry.header.name.replace(/^\.?\/+/, "");
      if (entry.header.type !== "file" || !wanted(name)) {
        entry.resume();
        continue;
      }
      const pieces: Uint8Array[] = [];
      for await (const piece of entry) pieces.push(piece as Uint8Array);
      take({ path: name, content: Buffer.concat(pieces) });
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    failures.push(error);
  }
  await reading;
  const [failure] = failures;
  if (failure !== undefined) throw unfit(path, failure instanceof Error ? failure.message : String(failure));
}
