import type { Readable } from "node:stream";
import { compareVersions } from "./debian-version.ts";

/** What a list of packages says about one of them. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  /** Path below the archive's address. */
  readonly path: string;
  /** Bytes of the package file. */
  readonly size: number;
  readonly sha256: string;
}

/** The records in a decompressed `Packages` list whose package name `wanted` accepts. */
export async function selectPackages(
  list: Readable,
  wanted: (name: string) => boolean,
): Promise<PackageRecord[]> {
  const records: PackageRecord[] = [];
  for await (const stanza of readStanzas(list)) {
    const name = /^Package: (.*)$/m.exec(stanza)?.[1]?.trim();
    if (name === undefined || !wanted(name)) continue;
    const record = recordOf(name, stanza);
    if (record !== undefined) records.push(record);
  }
  return records;
}

/** The stanzas of a decompressed list, which blank lines separate. */
export async function* readStanzas(list: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of list as AsyncIterable<Uint8Array>) {
    const text = rest + decoder.decode(piece, { stream: true });
    const stanzas = text.split("\n\n");
    rest = stanzas.pop()!;
    yield* stanzas;
  }
  yield rest + decoder.decode();
}

/** The record in the stanza of package `name`; undefined where a field is missing or cannot be Debian's. */
export function recordOf(name: string, stanza: string): PackageRecord | undefined {
  const field = (key: string): string | undefined =>
    new RegExp(`^${key}: (.*)$`, "m").exec(stanza)?.[1]?.trim();
  const version = field("Version");
  const path = field("Filename");
  const size = Number(field("Size"));
  const sha256 = field("SHA256");
  if (version === undefined || path === undefined || !Number.isSafeInteger(size) || size <= 0)
    return undefined;
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) return undefined;
  // A path that climbs out of the archive cannot be Debian's.
  if (path.split("/").includes("..")) return undefined;
  return { name, version, path, size, sha256 };
}

/** The record with the highest version, undefined where there is none. */
export function newest<T extends { readonly version: string }>(records: readonly T[]): T | undefined {
  return records.reduce<T | undefined>(
    (best, record) =>
      best === undefined || compareVersions(record.version, best.version) > 0 ? record : best,
    undefined,
  );
}
