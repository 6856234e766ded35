import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { getProxyForUrl } from "proxy-from-env";
import { UserError } from "../../base/errors.ts";
import { diskError } from "./disk-errors.ts";
import { type HttpAnswer, httpGet, NetworkError, unreachable } from "./http.ts";

/** What a {@link Progress} counts. */
export type ProgressUnit = "bytes" | "packages" | "unpacked bytes";

/** Follows a download. */
export interface Progress {
  /**
   * `label` names the file, `total` is its length in bytes, `done` how many are there already. Work that is
   * counted in packages or, when files are unpacked, in bytes is no file: `label` then says what is being done.
   */
  start(label: string, total: number, done: number, unit?: ProgressUnit): void;
  /** By so many units. */
  advance(count: number): void;
  /** After a success, a failure or an interruption. */
  stop(): void;
  /** A sentence for the user. */
  say(sentence: string): void;
}

/** Shows nothing. */
export const SILENT_PROGRESS: Progress = { start() {}, advance() {}, stop() {}, say() {} };

/** A file to fetch, of which size and hash are known from a signed list. */
export interface Download {
  readonly url: string;
  readonly size: number;
  readonly sha256: string;
  /** The finished file. Until then its bytes are in this name with `.part` at its end. */
  readonly target: string;
  /** What the user is told is coming. */
  readonly label: string;
}

/** Tries in a row that may bring no new byte. */
const MOST_FRUITLESS_TRIES = 4;

/** How a download waits between tries; tests wait less. */
export interface Patience {
  /** Milliseconds before try number `fruitless` + 1. */
  readonly delay: (fruitless: number) => number;
}

const PATIENCE: Patience = { delay: (fruitless) => 500 * 2 ** fruitless };

/**
 * Brings the file to `target`, continuing what an earlier run left. The target appears only whole and with
 * the right hash. Interrupting the process at any moment loses nothing but the bytes under way.
 */
export async function download(request: Download, progress: Progress, patience = PATIENCE): Promise<void> {
  if (await isWhole(request.target, request.size)) return;
  const part = `${request.target}.part`;
  await mkdir(dirname(part), { recursive: true }).catch((cause: unknown) => {
    throw diskError(dirname(part), cause);
  });
  let fruitless = 0;
  let label = request.label;
  for (;;) {
    const before = await sizeOf(part);
    try {
      if (await attempt(request, label, part, progress)) return;
      // Right length, wrong content. An old beginning may be to blame, a whole download cannot.
      await rm(part, { force: true });
      if (before === 0) throw lyingServer(request);
      label = `${request.label}, again`;
    } catch (cause) {
      if (!(cause instanceof NetworkError) || (cause.status ?? 500) < 500) throw cause;
      fruitless = (await sizeOf(part)) > before ? 0 : fruitless + 1;
      if (fruitless >= MOST_FRUITLESS_TRIES) throw cause;
      await new Promise((resolve) => setTimeout(resolve, patience.delay(fruitless)));
    }
  }
}

function lyingServer(request: Download): UserError {
  return new UserError(
    `${request.url} is not what the signed index describes (its size or SHA-256 is wrong); name another mirror with --mirror URL.`,
  );
}

/** True once the target is in place, false where the bytes are not the right ones. */
async function attempt(request: Download, label: string, part: string, progress: Progress): Promise<boolean> {
  let file: FileHandle;
  try {
    file = await open(part, "a");
  } catch (cause) {
    throw diskError(part, cause);
  }
  try {
    const hash = createHash("sha256");
    let have = await sizeOf(part);
    if (have > request.size) {
      await file.truncate(0);
      have = 0;
    }
    if (have > 0) for await (const piece of createReadStream(part, { end: have - 1 })) hash.update(piece);
    if (have < request.size) {
      const answer = await httpGet(request.url, have);
      if (have > 0 && !continues(answer, have)) {
        // The server sends the whole file, or says that it has fewer bytes than we already have.
        await file.truncate(0);
        if (answer.status === 416) {
          answer.body.destroy();
          throw lyingServer(request);
        }
        return await receive(request, label, part, file, answer, createHash("sha256"), 0, progress);
      }
      return await receive(request, label, part, file, answer, hash, have, progress);
    }
    return await finish(request, part, file, hash.digest("hex"));
  } finally {
    await file.close().catch(() => {});
  }
}

function continues(answer: HttpAnswer, from: number): boolean {
  return answer.status === 206 && (answer.headers["content-range"] ?? "").startsWith(`bytes ${from}-`);
}

async function receive(
  request: Download,
  label: string,
  part: string,
  file: FileHandle,
  answer: HttpAnswer,
  hash: ReturnType<typeof createHash>,
  from: number,
  progress: Progress,
): Promise<boolean> {
  let have = from;
  progress.start(label, request.size, have);
  try {
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      if (have + piece.length > request.size) {
        await file.truncate(0);
        throw lyingServer(request);
      }
      hash.update(piece);
      try {
        for (let written = 0; written < piece.length; ) {
          written += (await file.write(piece, written)).bytesWritten;
        }
      } catch (cause) {
        throw diskError(part, cause, request.size - have);
      }
      have += piece.length;
      progress.advance(piece.length);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw unreachable(request.url, getProxyForUrl(request.url), cause);
  } finally {
    progress.stop();
    answer.body.destroy();
  }
  if (have < request.size) {
    throw new NetworkError(
      `${request.url} ended after ${have} of ${request.size} bytes; check the network or name another mirror with --mirror URL.`,
    );
  }
  return await finish(request, part, file, hash.digest("hex"));
}

async function finish(request: Download, part: string, file: FileHandle, sha256: string): Promise<boolean> {
  if (sha256 !== request.sha256) return false;
  try {
    await file.sync();
    await rename(part, request.target);
  } catch (cause) {
    throw diskError(request.target, cause);
  }
  return true;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
}

async function isWhole(path: string, size: number): Promise<boolean> {
  return (await sizeOf(path)) === size;
}
