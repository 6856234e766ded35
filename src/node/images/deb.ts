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
  await readPart(path, "data", async (entry) => {
    if (entry.type !== "file" || !wanted(entry.path)) return;
    take({ path: entry.path, content: await entry.content() });
  });
}

/** An entry of one of a package's archives. */
export interface PackageEntry {
  readonly type: string;
  /** Permission bits. */
  readonly mode: number;
  readonly user: number;
  readonly group: number;
  /** What a link points to; "" for everything else. */
  readonly target: string;
  /** Without "./" or "/" at its beginning, nor "/" at its end. */
  readonly path: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  /** The bytes of a file; what is not read is skipped. */
  content(): Promise<Uint8Array>;
}

/** Gives `take` every entry of the package's files ("data") or of what its maintainer wrote ("control"). */
export async function readPart(
  path: string,
  part: "data" | "control",
  take: (entry: PackageEntry) => Promise<void> | void,
): Promise<void> {
  const member = (await readMembers(path)).find(({ name }) => name.replace(/\.tar(\..*)?$/, "") === part);
  if (member === undefined) throw unfit(path, `it has no ${part}`);
  const source = createReadStream(path, { start: member.offset, end: member.offset + member.size - 1 });
  const tar = extract();
  const failures: unknown[] = [];
  const reading = pipeline(decompress(source, compressionOf(member.name)), tar).catch((error: unknown) => {
    failures.push(error);
  });
  try {
    for await (const entry of tar) {
      const { name, type, mode, uid, gid, linkname, mtime, devmajor, devminor } = entry.header;
      let read = false;
      await take({
        type: type ?? "file",
        mode: mode ?? 0,
        user: uid ?? 0,
        group: gid ?? 0,
        target: linkname ?? "",
        path: name.replace(/^\.?\/+/, "").replace(/^\.$|\/+$/, ""),
        time: Math.floor((mtime?.getTime() ?? 0) / 1000),
        major: devmajor ?? 0,
        minor: devminor ?? 0,
        async content() {
          read = true;
          const pieces: Uint8Array[] = [];
          for await (const piece of entry) pieces.push(piece as Uint8Array);
          return Buffer.concat(pieces);
        },
      });
      if (!read) entry.resume();
    }
  } catch (error) {
    if (error instanceof UserError) throw error;
    failures.push(error);
  }
  await reading;
  const [failure] = failures;
  if (failure !== undefined) throw unfit(path, failure instanceof Error ? failure.message : String(failure));
}
