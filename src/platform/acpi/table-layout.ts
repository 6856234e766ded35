import { alignUp } from "../../base/bits.ts";
import { FADT_DSDT_OFFSET } from "./fadt.ts";
import { writeRsdp, writeXsdt, xsdtEntryOffset } from "./root-tables.ts";
import { TABLE_OFFSET, withChecksum } from "./table.ts";

/** A machine's tables, before anybody has decided where they go. */
export interface AcpiTables {
  readonly dsdt: Uint8Array;
  /** Its pointer to the DSDT is filled in by {@link layOutTables}. */
  readonly fadt: Uint8Array;
  /** The others, in the order of the XSDT. */
  readonly others: readonly Uint8Array[];
}

/** A pointer from one table to another; places are bytes from the start of the block of tables. */
export interface TablePointer {
  /** Where the 64-bit address is. */
  readonly at: number;
  readonly target: number;
}

/** Tables one after the other in a block of memory. */
export interface TableBlock {
  readonly bytes: Uint8Array;
  /** The RSDP, which is not in the block. */
  readonly rsdp: Uint8Array;
  /** Where each table is, the XSDT last. */
  readonly tables: readonly { readonly start: number; readonly length: number }[];
  readonly pointers: readonly TablePointer[];
  /** Place of the XSDT in the block. */
  readonly xsdt: number;
}

/** Readers take multi-byte fields as they are, so tables begin at a multiple of this. */
const ALIGNMENT = 16;

/** Arranges tables for a block at the physical address `base`: addresses and checksums are right for it. */
export function layOutTables({ dsdt, fadt, others }: AcpiTables, base: number): TableBlock {
  const inOrder = [dsdt, fadt, ...others];
  const places: number[] = [];
  let end = 0;
  for (const table of inOrder) {
    const start = alignUp(end, ALIGNMENT);
    places.push(start);
    end = start + table.length;
  }
  // The XSDT names all but the DSDT, to which the FADT points.
  const [dsdtAt, fadtAt] = [places[0]!, places[1]!];
  const named = places.slice(1);
  const xsdtAt = alignUp(end, ALIGNMENT);
  const xsdt = writeXsdt(named.map((place) => base + place));
  const bytes = new Uint8Array(xsdtAt + xsdt.length);
  for (const [index, table] of inOrder.entries()) bytes.set(table, places[index]);
  bytes.set(xsdt, xsdtAt);
  new DataView(bytes.buffer).setBigUint64(fadtAt + FADT_DSDT_OFFSET, BigInt(base + dsdtAt), true);
  withChecksum(bytes.subarray(fadtAt, fadtAt + fadt.length), TABLE_OFFSET.checksum);
  return {
    bytes,
    rsdp: writeRsdp(base + xsdtAt),
    tables: [
      ...inOrder.map((table, index) => ({ start: places[index]!, length: table.length })),
      { start: xsdtAt, length: xsdt.length },
    ],
    pointers: [
      { at: fadtAt + FADT_DSDT_OFFSET, target: dsdtAt },
      ...named.map((target, index) => ({ at: xsdtAt + xsdtEntryOffset(index), target })),
    ],
    xsdt: xsdtAt,
  };
}
