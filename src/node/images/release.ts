import { UserError } from "../../base/errors.ts";

/** One file that the signed index of a suite vouches for. */
export interface ReleaseFile {
  /** SHA-256, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** The signed index of a suite (Release; Debian wiki, "DebianRepository/Format"). */
export interface Release {
  readonly codename: string;
  readonly files: ReadonlyMap<string, ReleaseFile>;
  /** Whether files can also be asked for by their hash, so that a mirror being updated does no harm. */
  readonly byHash: boolean;
  /** Milliseconds since 1970 after which the index should not be used; undefined where it says nothing. */
  readonly validUntil: number | undefined;
}

/** Reads the signed text of InRelease. `origin` names it in messages. */
export function parseRelease(text: string, origin: string): Release {
  const field = (name: string): string => new RegExp(`^${name}: *(.*?) *$`, "m").exec(text)?.[1] ?? "";
  const files = new Map<string, ReleaseFile>();
  let inHashes = false;
  for (const line of text.split("\n")) {
    if (!line.startsWith(" ")) {
      inHashes = /^SHA256:/.test(line);
      continue;
    }
    const entry = inHashes ? /^ ([0-9a-f]{64}) +(\d+) +(\S+)\s*$/.exec(line) : null;
    if (entry) files.set(entry[3]!, { sha256: entry[1]!, size: Number(entry[2]) });
  }
  if (files.size === 0) {
    throw new UserError(`${origin} lists no files with SHA-256; name another mirror with --mirror URL.`);
  }
  const validUntil = Date.parse(field("Valid-Until"));
  return {
    codename: field("Codename"),
    files,
    byHash: field("Acquire-By-Hash") === "yes",
    validUntil: Number.isNaN(validUntil) ? undefined : validUntil,
  };
}
