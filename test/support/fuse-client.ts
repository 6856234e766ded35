import type { FileServer } from "../../src/devices/virtio/file-system.ts";
import { OPCODE } from "../../src/node/share/fuse-protocol.ts";

/** An answer: its error number (0 for none) and what follows the header. */
export interface FuseAnswer {
  readonly error: number;
  readonly body: Buffer;
}

/** Little-endian integers of 32 and (as bigint) 64 bits, texts with their zero, and bytes. */
export type FusePart = number | bigint | string | Uint8Array;

/** Speaks FUSE to a server as a guest's kernel does, or as one that means harm. */
export class FuseClient {
  readonly server: FileServer;
  #unique = 1n;

  constructor(server: FileServer) {
    this.server = server;
  }

  async send(
    opcode: number,
    node: number | bigint,
    parts: readonly FusePart[],
    most = 1 << 16,
  ): Promise<FuseAnswer> {
    const body = Buffer.concat(parts.map(encode));
    const header = Buffer.alloc(40);
    header.writeUInt32LE(40 + body.length, 0);
    header.writeUInt32LE(opcode, 4);
    header.writeBigUInt64LE(this.#unique, 8);
    header.writeBigUInt64LE(BigInt(node), 16);
    const answer = await this.server.handle(Buffer.concat([header, body]), most);
    if (answer === undefined) return { error: 0, body: Buffer.alloc(0) };
    const bytes = Buffer.from(answer);
    if (bytes.readUInt32LE(0) !== bytes.length || bytes.readBigUInt64LE(8) !== this.#unique)
      throw new Error("the answer's header is wrong");
    this.#unique++;
    return { error: 0 - bytes.readInt32LE(4), body: bytes.subarray(16) };
  }

  async start(): Promise<this> {
    const { error } = await this.send(OPCODE.INIT, 0, [7, 36, 131072, 0xffff_ffff, 0]);
    if (error !== 0) throw new Error(`INIT: ${error}`);
    return this;
  }

  /** The node for a path, component by component; a negative error number where one is missing. */
  async walk(path: string, from = 1): Promise<number> {
    let node = from;
    for (const name of path.split("/").filter((part) => part !== "")) {
      const { error, body } = await this.send(OPCODE.LOOKUP, node, [name]);
      if (error !== 0) return -error;
      node = Number(body.readBigUInt64LE(0));
    }
    return node;
  }

  /** Opens and reads; a negative error number where that fails. */
  async read(node: number, length = 4096): Promise<Buffer | number> {
    const opened = await this.send(OPCODE.OPEN, node, [0, 0]);
    if (opened.error !== 0) return -opened.error;
    const handle = opened.body.readBigUInt64LE(0);
    const { error, body } = await this.send(OPCODE.READ, node, [handle, 0n, length, 0, 0n, 0, 0]);
    await this.send(OPCODE.RELEASE, node, [handle, 0, 0, 0n]);
    return error === 0 ? body : -error;
  }

  async create(parent: number, name: string, content = "", flags = 0o1002): Promise<FuseAnswer> {
    const made = await this.send(OPCODE.CREATE, parent, [flags, 0o100644, 0, 0, name]);
    if (made.error !== 0) return made;
    const node = made.body.readBigUInt64LE(0);
    const handle = made.body.readBigUInt64LE(128);
    const bytes = Buffer.from(content);
    const written = await this.send(OPCODE.WRITE, node, [handle, 0n, bytes.length, 0, 0n, 0, 0, bytes]);
    await this.send(OPCODE.RELEASE, node, [handle, 0, 0, 0n]);
    return written.error === 0 ? made : written;
  }
}

function encode(part: FusePart): Buffer {
  if (typeof part === "string") return Buffer.from(`${part}\0`);
  if (typeof part === "object") return Buffer.from(part);
  const bytes = Buffer.alloc(typeof part === "bigint" ? 8 : 4);
  if (typeof part === "bigint") bytes.writeBigUInt64LE(BigInt.asUintN(64, part));
  else bytes.writeUInt32LE(part >>> 0);
  return bytes;
}
