import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { constants, createGunzip, createGzip } from "node:zlib";
import { UserError } from "../../base/errors.ts";
import type { VirtualMachine } from "../../machine/virtual-machine-interface.ts";

/**
 * A snapshot in a file: magic, version and reserved (u32 each, little-endian), the state stream under gzip, and SHA-256
 * of all that comes before it.
 */
const MAGIC = Buffer.from("ELVISOR SNAPSHOT", "latin1");
const VERSION = 1;
const HEADER = MAGIC.length + 8;
const DIGEST = 32;

/**
 * Keeps a machine's state in a file. Under `path` there is all of it or what was there before; only its owner may read
 * it, as it holds the guest's memory. A file that is no snapshot is left alone. `kept` is called when all is on the disk,
 * before the machine can go on.
 */
export async function writeSnapshot(
  path: string,
  machine: Pick<VirtualMachine, "snapshot">,
  kept = (): void => {},
): Promise<void> {
  const { snapshot } = machine;
  if (snapshot === undefined) throw new UserError("This machine's state cannot be kept.");
  await checkReplaceable(path);
  const draft = `${path}.new-${process.pid}-${randomBytes(4).toString("hex")}`;
  try {
    const file = await open(draft, "wx", 0o600);
    const writer = new SnapshotWriter(file);
    try {
      await snapshot.call(machine, {
        write: (bytes) => writer.write(bytes),
        async close() {
          await writer.finish();
          await rename(draft, path);
          kept();
        },
      });
    } finally {
      await writer.close();
    }
  } catch (error) {
    await rm(draft, { force: true });
    throw error instanceof UserError || codeOf(error) === undefined
      ? error
      : cannotBe("written", path, error);
  }
}

/** Packs a stream into a file. */
class SnapshotWriter {
  readonly #file: FileHandle;
  /** Fast: memory of guests shrinks well, and the machine stands still meanwhile. */
  readonly #gzip = createGzip({ level: constants.Z_BEST_SPEED });
  readonly #hash = createHash("sha256");
  readonly #written: Promise<void>;

  constructor(file: FileHandle) {
    this.#file = file;
    this.#written = this.#pump();
    // What goes wrong is told to who waits for the end, or has gone wrong for him before.
    this.#written.catch(() => {});
  }

  write(bytes: Uint8Array): Promise<void> {
    const taken = new Promise<void>((resolve, reject) => {
      this.#gzip.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    return Promise.race([taken, this.#written]);
  }

  /** Everything is on the disk. */
  async finish(): Promise<void> {
    this.#gzip.end();
    await this.#written;
    await this.#file.write(this.#hash.digest());
    await this.#file.sync();
  }

  async close(): Promise<void> {
    this.#gzip.destroy();
    await this.#written.catch(() => {});
    await this.#file.close();
  }

  async #pump(): Promise<void> {
    const header = Buffer.alloc(HEADER);
    MAGIC.copy(header);
    header.writeUInt32LE(VERSION, MAGIC.length);
    await this.#take(header);
    for await (const piece of this.#gzip as AsyncIterable<Buffer>) await this.#take(piece);
  }

  async #take(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await this.#file.write(bytes);
  }
}

/** The state stream of a snapshot whose file is whole; what is wrong with the file is a UserError. */
export async function readSnapshot(path: string): Promise<AsyncIterable<Uint8Array>> {
  const size = await checked(path);
  return unpack(path, size);
}

async function* unpack(path: string, size: number): AsyncGenerator<Uint8Array> {
  const packed = createReadStream(path, { start: HEADER, end: size - DIGEST - 1 });
  const gunzip = createGunzip();
  packed.on("error", (error) => gunzip.destroy(error));
  packed.pipe(gunzip);
  try {
    yield* gunzip as AsyncIterable<Buffer>;
  } catch (error) {
    throw error instanceof UserError ? error : damaged(path);
  }
}

/** Looks the whole file through; its size in bytes. */
async function checked(path: string): Promise<number> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const { size } = await file.stat();
    const header = Buffer.alloc(HEADER);
    const { bytesRead } = await file.read(header, 0, HEADER, 0);
    if (bytesRead < HEADER || !header.subarray(0, MAGIC.length).equals(MAGIC)) throw noSnapshot(path);
    const version = header.readUInt32LE(MAGIC.length);
    if (version !== VERSION) {
      throw new UserError(
        `The snapshot ${path} has version ${version}, and this version of elvisor reads ${VERSION}; restore it with the version that took it.`,
      );
    }
    if (size <= HEADER + DIGEST) throw damaged(path);
    const digest = Buffer.alloc(DIGEST);
    await file.read(digest, 0, DIGEST, size - DIGEST);
    const hash = createHash("sha256");
    for await (const piece of createReadStream(path, { end: size - DIGEST - 1 }))
      hash.update(piece as Buffer);
    if (!hash.digest().equals(digest)) throw damaged(path);
    return size;
  } catch (error) {
    throw error instanceof UserError || codeOf(error) === undefined ? error : cannotBe("read", path, error);
  } finally {
    await file?.close();
  }
}

/** Refuses to put a snapshot where there is something else. */
async function checkReplaceable(path: string): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    const magic = Buffer.alloc(MAGIC.length);
    const { bytesRead } = await file.read(magic, 0, MAGIC.length, 0);
    if (bytesRead === 0 || (bytesRead === MAGIC.length && magic.equals(MAGIC))) return;
    throw new UserError(`The file ${path} is there already and is no snapshot; give another name.`);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error instanceof UserError || codeOf(error) === undefined
      ? error
      : cannotBe("written", path, error);
  } finally {
    await file?.close();
  }
}

function noSnapshot(path: string): UserError {
  return new UserError(`The file ${path} is no snapshot; elvisor snapshot takes one.`);
}

function damaged(path: string): UserError {
  return new UserError(`The snapshot ${path} is damaged or not complete; take another one.`);
}

function cannotBe(what: "read" | "written", path: string, cause: unknown): UserError {
  return new UserError(`The snapshot ${path} cannot be ${what} (${codeOf(cause)}); give another file.`, {
    cause,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
