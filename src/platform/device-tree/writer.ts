import { alignUp } from "../../base/bits.ts";
import { BLOB, TOKEN } from "./blob-layout.ts";
import type { DeviceTree, DeviceTreeNode } from "./tree.ts";

const textEncoder = new TextEncoder();

/** Big-endian bytes that grow as they are appended. */
class ByteWriter {
  #bytes = new Uint8Array(4096);
  length = 0;

  u32(value: number): void {
    this.#reserve(4);
    new DataView(this.#bytes.buffer).setUint32(this.length, value);
    this.length += 4;
  }

  u64(value: bigint): void {
    this.u32(Number(BigInt.asUintN(32, value >> 32n)));
    this.u32(Number(BigInt.asUintN(32, value)));
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** Zeros up to the next multiple of `alignment`. */
  align(alignment: number): void {
    const target = alignUp(this.length, alignment);
    this.#reserve(target - this.length);
    this.length = target;
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  #reserve(count: number): void {
    if (this.length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + count));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

/** Flattens a tree: header, memory reservations, structure, strings. */
export function writeDeviceTree(tree: DeviceTree): Uint8Array {
  const structure = new ByteWriter();
  const strings = new ByteWriter();
  const stringOffsets = new Map<string, number>();
  writeNode(tree.root);
  structure.u32(TOKEN.END);

  const reservationsOffset = BLOB.HEADER_SIZE;
  const structureOffset = reservationsOffset + (tree.reservations.length + 1) * BLOB.RESERVATION_SIZE;
  const stringsOffset = structureOffset + structure.length;
  const fields: Record<keyof typeof BLOB.HEADER, number> = {
    magic: BLOB.MAGIC,
    totalSize: alignUp(stringsOffset + strings.length, 8),
    structureOffset,
    stringsOffset,
    reservationsOffset,
    version: BLOB.VERSION,
    lastCompatibleVersion: BLOB.LAST_COMPATIBLE_VERSION,
    bootProcessor: tree.bootProcessor,
    stringsSize: strings.length,
    structureSize: structure.length,
  };
  const blob = new ByteWriter();
  for (const value of Object.values(fields)) blob.u32(value);
  for (const { address, size } of [...tree.reservations, { address: 0n, size: 0n }]) {
    blob.u64(address);
    blob.u64(size);
  }
  blob.bytes(structure.take());
  blob.bytes(strings.take());
  blob.align(8);
  return blob.take();

  function writeNode(node: DeviceTreeNode): void {
    structure.u32(TOKEN.BEGIN_NODE);
    structure.bytes(textEncoder.encode(`${node.name}\0`));
    structure.align(4);
    for (const [name, value] of node.properties) {
      structure.u32(TOKEN.PROPERTY);
      structure.u32(value.length);
      structure.u32(stringOffset(name));
      structure.bytes(value);
      structure.align(4);
    }
    for (const child of node.children) writeNode(child);
    structure.u32(TOKEN.END_NODE);
  }

  function stringOffset(name: string): number {
    const known = stringOffsets.get(name);
    if (known !== undefined) return known;
    const offset = strings.length;
    strings.bytes(textEncoder.encode(`${name}\0`));
    stringOffsets.set(name, offset);
    return offset;
  }
}
