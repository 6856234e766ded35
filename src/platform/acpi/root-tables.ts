import { ByteWriter } from "../../base/byte-writer.ts";
import { acpiTable, TABLE_HEADER_SIZE, TABLE_IDENTITY, type TableIdentity, withChecksum } from "./table.ts";

/** Places in the RSDP (ACPI 6.4, section 5.2.5.3). The first checksum covers the first 20 bytes. */
export const RSDP_LAYOUT = {
  size: 36,
  checksum: 8,
  checksummed: 20,
  xsdt: 24,
  extendedChecksum: 32,
} as const;

/** The Root System Description Pointer, revision 2, for an XSDT at this physical address. */
export function writeRsdp(xsdt: number, identity: TableIdentity = TABLE_IDENTITY): Uint8Array {
  const bytes = new ByteWriter()
    .text("RSD PTR ")
    .u8(0)
    .text(identity.oem, 6, 0x20)
    .u8(2)
    .u32(0)
    .u32(RSDP_LAYOUT.size)
    .u64(xsdt)
    .u8(0)
    .zeros(3)
    .finish();
  withChecksum(bytes, RSDP_LAYOUT.checksum, RSDP_LAYOUT.checksummed);
  return withChecksum(bytes, RSDP_LAYOUT.extendedChecksum);
}

/** Bytes from the start of the XSDT to its entry number `index`. */
export function xsdtEntryOffset(index: number): number {
  return TABLE_HEADER_SIZE + 8 * index;
}

/** The Extended System Description Table (section 5.2.8): physical addresses of the tables, the FADT first. */
export function writeXsdt(tables: readonly number[], identity?: TableIdentity): Uint8Array {
  const body = new ByteWriter();
  for (const address of tables) body.u64(address);
  return acpiTable("XSDT", 1, body.finish(), identity);
}
