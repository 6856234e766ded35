import type { BigIntStats, StatsFs } from "node:fs";
import { ATTRIBUTE_SIZE, ENTRY_SIZE, OUT_HEADER_SIZE } from "./fuse-protocol.ts";
import type { Owners } from "./owners.ts";

/** Seconds for which the guest may believe names and attributes. */
const VALID_SECONDS = 1;

/** An answer with `length` bytes after its header, which {@link finishReply} fills in. */
export function newReply(length: number): Buffer {
  return Buffer.alloc(OUT_HEADER_SIZE + length);
}

/** Completes the header. `errno` is positive. */
export function finishReply(reply: Uint8Array, request: Uint8Array, errno = 0): Uint8Array {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.length);
  view.setUint32(0, reply.length, true);
  view.setInt32(4, -errno, true);
  // The request's number: bytes 8 to 15 of either header.
  reply.set(request.subarray(8, 16), 8);
  return reply;
}

/** `fuse_attr`. */
export function putAttributes(reply: Buffer, at: number, status: BigIntStats, owners: Owners): void {
  reply.writeBigUInt64LE(status.ino, at);
  reply.writeBigUInt64LE(status.size, at + 8);
  reply.writeBigUInt64LE(status.blocks, at + 16);
  const times = [status.atimeNs, status.mtimeNs, status.ctimeNs];
  times.forEach((time, index) => {
    // Times before 1970 are negative seconds with positive nanoseconds.
    const nanoseconds = ((time % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    reply.writeBigInt64LE((time - nanoseconds) / 1_000_000_000n, at + 24 + 8 * index);
    reply.writeUInt32LE(Number(nanoseconds), at + 48 + 4 * index);
  });
  reply.writeUInt32LE(Number(status.mode), at + 60);
  reply.writeUInt32LE(Number(status.nlink), at + 64);
  reply.writeUInt32LE(owners.userOf(Number(status.uid)), at + 68);
  reply.writeUInt32LE(owners.groupOf(Number(status.gid)), at + 72);
  reply.writeUInt32LE(Number(status.rdev & 0xffff_ffffn), at + 76);
  reply.writeUInt32LE(Number(status.blksize), at + 80);
}

/** `fuse_attr_out`. */
export function attributesReply(status: BigIntStats, owners: Owners): Buffer {
  const reply = newReply(16 + ATTRIBUTE_SIZE);
  reply.writeUInt32LE(VALID_SECONDS, OUT_HEADER_SIZE);
  putAttributes(reply, OUT_HEADER_SIZE + 16, status, owners);
  return reply;
}

/** `fuse_entry_out`. */
export function putEntry(reply: Buffer, at: number, id: number, status: BigIntStats, owners: Owners): void {
  reply.writeBigUInt64LE(BigInt(id), at);
  reply.writeUInt32LE(VALID_SECONDS, at + 16);
  reply.writeUInt32LE(VALID_SECONDS, at + 24);
  putAttributes(reply, at + 40, status, owners);
}

/** `fuse_entry_out`, and `extra` bytes after it. */
export function entryReply(id: number, status: BigIntStats, owners: Owners, extra = 0): Buffer {
  const reply = newReply(ENTRY_SIZE + extra);
  putEntry(reply, OUT_HEADER_SIZE, id, status, owners);
  return reply;
}

/** `fuse_open_out` at `at`. */
export function putHandle(reply: Buffer, at: number, handle: number): Buffer {
  reply.writeBigUInt64LE(BigInt(handle), at);
  return reply;
}

/** `fuse_statfs_out`. */
export function statisticsReply(statistics: StatsFs): Buffer {
  const reply = newReply(80);
  const { blocks, bfree, bavail, files, ffree, bsize } = statistics;
  [blocks, bfree, bavail, files, ffree].forEach((value, index) => {
    reply.writeBigUInt64LE(BigInt(Math.max(0, value)), OUT_HEADER_SIZE + 8 * index);
  });
  reply.writeUInt32LE(bsize, OUT_HEADER_SIZE + 40);
  reply.writeUInt32LE(255, OUT_HEADER_SIZE + 44);
  reply.writeUInt32LE(bsize, OUT_HEADER_SIZE + 48);
  return reply;
}
