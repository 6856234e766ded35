import { ByteWriter } from "../../base/byte-writer.ts";

/** Bytes of the header that every table but RSDP and FACS begins with (ACPI 6.4, section 5.2.6). */
export const TABLE_HEADER_SIZE = 36;

/** Places in a table's header. */
export const TABLE_OFFSET = { length: 4, revision: 8, checksum: 9 } as const;

/** Who made a table: the header's fields that describe no hardware. */
export interface TableIdentity {
  /** At most 6 characters. */
  readonly oem: string;
  /** At most 8 characters. */
  readonly tableId: string;
  readonly oemRevision: number;
  /** At most 4 characters: the program that wrote the table. */
  readonly creator: string;
  readonly creatorRevision: number;
}

/** What our tables say of their maker. */
export const TABLE_IDENTITY: TableIdentity = {
  oem: "ELVSR",
  tableId: "ELVISOR",
  oemRevision: 1,
  creator: "ELVS",
  creatorRevision: 1,
};

/** Names in a header are filled up with spaces. */
const SPACE = 0x20;

/** A table: header with length and checksum, then `body`. `signature` has 4 characters. */
export function acpiTable(
  signature: string,
  revision: number,
  body: Uint8Array,
  identity: TableIdentity = TABLE_IDENTITY,
): Uint8Array {
  const table = new ByteWriter()
    .text(signature, 4)
    .u32(TABLE_HEADER_SIZE + body.length)
    .u8(revision)
    .u8(0)
    .text(identity.oem, 6, SPACE)
    .text(identity.tableId, 8, SPACE)
    .u32(identity.oemRevision)
    .text(identity.creator, 4, SPACE)
    .u32(identity.creatorRevision)
    .bytes(body)
    .finish();
  return withChecksum(table, TABLE_OFFSET.checksum);
}

/** Sets the byte at `offset` so that the first `length` bytes sum up to 0 modulo 256. Returns `bytes`. */
export function withChecksum(bytes: Uint8Array, offset: number, length = bytes.length): Uint8Array {
  bytes[offset] = 0;
  bytes[offset] = -byteSum(bytes.subarray(0, length)) & 0xff;
  return bytes;
}

/** Sum of all bytes modulo 256: 0 in a sound table. */
export function byteSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at++) sum = (sum + bytes[at]!) & 0xff;
  return sum;
}

/** The four characters at the start of a table. */
export function signatureOf(table: Uint8Array): string {
  return String.fromCharCode(...table.subarray(0, 4));
}
