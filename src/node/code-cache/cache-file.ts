import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { deserialize, serialize } from "node:v8";

/** What every file of the code cache begins with: its format, then the SHA-256 of the rest. */
const MAGIC = Buffer.from("ELVCODE1");
const DIGEST_BYTES = 32;
const HEADER_BYTES = MAGIC.length + DIGEST_BYTES;

/** Writes a file so that it appears whole or not at all. */
export function writeCacheFile(path: string, content: unknown): void {
  const body = serialize(content);
  const digest = createHash("sha256").update(body).digest();
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.draft`;
  mkdirSync(dirname(path), { recursive: true });
  try {
    writeFileSync(draft, Buffer.concat([MAGIC, digest, body]), { mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** What {@link writeCacheFile} wrote; undefined where the file is damaged, of another format, or gone. */
export function readCacheFile(path: string): unknown {
  try {
    const bytes = readFileSync(path);
    if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
    const body = bytes.subarray(HEADER_BYTES);
    const digest = createHash("sha256").update(body).digest();
    if (!digest.equals(bytes.subarray(MAGIC.length, HEADER_BYTES))) return undefined;
    return deserialize(body);
  } catch {
    return undefined;
  }
}
