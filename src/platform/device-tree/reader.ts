import { hex } from "../../base/bits.ts";
import { UserError } from "../../base/errors.ts";
import { BLOB, READER_LIMITS, TOKEN } from "./blob-layout.ts";
import { createNode, type DeviceTree, type DeviceTreeNode, type MemoryReservation } from "./tree.ts";

const REMEDY = "give a blob as `dtc -O dtb` or `elvisor dtb` writes it";

/**
 * Reads a flattened device tree, versions 16 and 17. Anything malformed is a {@link UserError} that names
 * `source` (a file name, say) and the place.
 */
export function readDeviceTree(blob: Uint8Array, source: string): DeviceTree {
  const reader = new BlobReader(blob, source);
  return {
    reservations: reader.reservations(),
    bootProcessor: reader.header.bootProcessor,
    root: reader.tree(),
  };
}

type Header = Record<keyof typeof BLOB.HEADER, number>;

class BlobReader {
  readonly header: Header;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #source: string;
  /** Position in the structure block, from the start of the blob, and that block's end. */
  #position: number;
  readonly #structureEnd: number;
  readonly #stringsEnd: number;
  readonly #decoder = new TextDecoder("utf-8");
  #nodeCount = 0;
  /** Names of properties by their offsets: a few hundred that come thousands of times. */
  readonly #propertyNames = new Map<number, string>();

  constructor(blob: Uint8Array, source: string) {
    this.#source = source;
    // A subclass (Node's Buffer) may slice without copying; a plain view does not.
    this.#bytes = new Uint8Array(blob.buffer, blob.byteOffset, blob.length);
    this.#view = new DataView(blob.buffer, blob.byteOffset, blob.length);
    if (blob.length < 4 || this.#view.getUint32(0) !== BLOB.MAGIC) {
      throw this.#error(
        `is no device tree blob: it does not begin with the magic number ${hex(BLOB.MAGIC)}, at offset 0`,
      );
    }
    if (blob.length < BLOB.HEADER_SIZE) throw this.#truncated(BLOB.HEADER_SIZE);
    this.header = this.#readHeader();
    const { totalSize, structureOffset, structureSize, stringsOffset, stringsSize } = this.header;
    if (totalSize > READER_LIMITS.BLOB_BYTES) {
      throw this.#error(
        `says it has ${totalSize} bytes, more than the ${READER_LIMITS.BLOB_BYTES} a kernel can map, at ` +
          `offset ${BLOB.HEADER.totalSize}`,
      );
    }
    if (totalSize > blob.length) throw this.#truncated(totalSize);
    this.#position = structureOffset;
    // Version 16 has no structure size: the block ends where the blob does.
    this.#structureEnd = this.header.version >= 17 ? structureOffset + structureSize : totalSize;
    this.#stringsEnd = stringsOffset + stringsSize;
    if (structureOffset % 4 !== 0) throw this.#errorIn("structureOffset", "which is no multiple of 4");
    const outside = `which leads outside the blob of ${totalSize} bytes`;
    if (structureOffset > totalSize) throw this.#errorIn("structureOffset", outside);
    if (this.#structureEnd > totalSize) throw this.#errorIn("structureSize", outside);
    if (stringsOffset > totalSize) throw this.#errorIn("stringsOffset", outside);
    if (this.#stringsEnd > totalSize) throw this.#errorIn("stringsSize", outside);
  }

  reservations(): MemoryReservation[] {
    const found: MemoryReservation[] = [];
    for (let at = this.header.reservationsOffset; ; at += BLOB.RESERVATION_SIZE) {
      if (at % 8 !== 0 || at + BLOB.RESERVATION_SIZE > this.header.totalSize) {
        throw this.#error(`has a memory reservation block without an end, at offset ${at}`);
      }
      const address = this.#view.getBigUint64(at);
      const size = this.#view.getBigUint64(at + 8);
      if (address === 0n && size === 0n) return found;
      found.push({ address, size });
    }
  }

  tree(): DeviceTreeNode {
    if (this.#token() !== TOKEN.BEGIN_NODE)
      throw this.#errorHere("has a structure block without a root node");
    const root = this.#node(0);
    if (this.#token() !== TOKEN.END) throw this.#errorHere("has something after its root node");
    if (root.name !== "") throw this.#errorHere(`has a root node called "${root.name}"`);
    return root;
  }

  #readHeader(): Header {
    const header = Object.fromEntries(
      Object.entries(BLOB.HEADER).map(([field, offset]) => [field, this.#view.getUint32(offset)]),
    ) as Header;
    if (header.version < BLOB.LAST_COMPATIBLE_VERSION || header.lastCompatibleVersion > BLOB.VERSION) {
      throw this.#error(
        `has format version ${header.version}, readable as ${header.lastCompatibleVersion}, at offset ` +
          `${BLOB.HEADER.version}; versions 16 and 17 are understood`,
      );
    }
    return header;
  }

  /** The rest of a node whose BEGIN_NODE token has been read. */
  #node(depth: number): DeviceTreeNode {
    this.#nodeCount += 1;
    if (depth > READER_LIMITS.DEPTH || this.#nodeCount > READER_LIMITS.NODES) {
      throw this.#errorHere(
        `nests nodes deeper than ${READER_LIMITS.DEPTH} or has more than ${READER_LIMITS.NODES}`,
      );
    }
    const name = this.#string(this.#position, this.#structureEnd);
    this.#skip(name.byteLength + 1);
    const node = createNode(name.text);
    for (;;) {
      const token = this.#token();
      switch (token) {
        case TOKEN.BEGIN_NODE:
          node.children.push(this.#node(depth + 1));
          break;
        case TOKEN.PROPERTY:
          this.#property(node);
          break;
        case TOKEN.END_NODE:
          return node;
        default:
          throw this.#error(`has the unknown token ${hex(token)} at offset ${this.#position - 4}`);
      }
    }
  }

  #property(node: DeviceTreeNode): void {
    const length = this.#u32();
    const nameOffset = this.header.stringsOffset + this.#u32();
    const start = this.#position;
    this.#skip(length);
    let name = this.#propertyNames.get(nameOffset);
    if (name === undefined) {
      name = this.#string(nameOffset, this.#stringsEnd).text;
      this.#propertyNames.set(nameOffset, name);
    }
    if (node.properties.has(name))
      throw this.#errorHere(`has the property "${name}" twice in node "${node.name}"`);
    node.properties.set(name, this.#bytes.slice(start, start + length));
  }

  /** The next token that is not a NOP. */
  #token(): number {
    let token: number;
    do token = this.#u32();
    while (token === TOKEN.NOP);
    return token;
  }

  #u32(): number {
    const at = this.#position;
    this.#skip(4);
    return this.#view.getUint32(at);
  }

  /** Moves past `length` bytes and the padding that follows them. */
  #skip(length: number): void {
    if (this.#position + length > this.#structureEnd)
      throw this.#errorHere("has a structure block without an end");
    this.#position += Math.ceil(length / 4) * 4;
  }

  #string(start: number, end: number): { text: string; byteLength: number } {
    const terminator = start < end ? this.#bytes.subarray(start, end).indexOf(0) : -1;
    if (terminator < 0) throw this.#error(`has a name without an end at offset ${start}`);
    return {
      text: this.#decoder.decode(this.#bytes.subarray(start, start + terminator)),
      byteLength: terminator,
    };
  }

  #truncated(needed: number): UserError {
    const length = this.#bytes.length;
    return this.#error(`is truncated: it has ${length} bytes of ${needed}, and ends at offset ${length}`);
  }

  /** An error in a field of the header. */
  #errorIn(field: keyof Header, what: string): UserError {
    const place = `at offset ${BLOB.HEADER[field]}`;
    return this.#error(`has a header with ${field} ${hex(this.header[field])}, ${what}, ${place}`);
  }

  /** An error at the place in the structure block that has been reached. */
  #errorHere(what: string): UserError {
    return this.#error(`${what}, at offset ${this.#position}`);
  }

  #error(what: string): UserError {
    return new UserError(`The device tree ${this.#source} ${what}; ${REMEDY}.`);
  }
}
