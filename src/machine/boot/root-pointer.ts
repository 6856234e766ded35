import { RSDP_LAYOUT, xsdtEntryOffset } from "../../platform/acpi/root-tables.ts";
import { byteSum, signatureOf, TABLE_HEADER_SIZE, TABLE_OFFSET } from "../../platform/acpi/table.ts";
import type { AddressRange } from "../../platform/platform-spec.ts";

/** ACPI tables that are in memory before anything is made. */
export interface FoundTables {
  /** Physical address of the RSDP. */
  readonly rsdp: number;
  /** What was put into memory with the tables in it. */
  readonly range: AddressRange;
}

/** Bytes at an address. */
interface Placed {
  readonly address: number;
  readonly bytes: Uint8Array;
}

const SIGNATURE = "RSD PTR ";
/** An RSDP begins at a multiple of this (ACPI 6.4, section 5.2.5.1). */
const ALIGNMENT = 16;
/** The first revision that leads to an XSDT. */
const REVISION = 2;
const REVISION_OFFSET = 15;

/** The tables that one of these pieces of memory holds: the first RSDP that is sound and leads to a sound XSDT. */
export function findTables(pieces: readonly Placed[]): FoundTables | undefined {
  for (const { address, bytes } of pieces) {
    const first = -address & (ALIGNMENT - 1);
    for (let at = first; at + RSDP_LAYOUT.size <= bytes.length; at += ALIGNMENT) {
      if (bytes[at] !== SIGNATURE.charCodeAt(0)) continue;
      if (!leadsToTables(bytes.subarray(at, at + RSDP_LAYOUT.size), pieces)) continue;
      return { rsdp: address + at, range: { base: address, size: bytes.length } };
    }
  }
  return undefined;
}

function leadsToTables(rsdp: Uint8Array, pieces: readonly Placed[]): boolean {
  if (String.fromCharCode(...rsdp.subarray(0, SIGNATURE.length)) !== SIGNATURE) return false;
  if (rsdp[REVISION_OFFSET]! < REVISION) return false;
  if (byteSum(rsdp.subarray(0, RSDP_LAYOUT.checksummed)) !== 0 || byteSum(rsdp) !== 0) return false;
  const xsdt = tableAt(addressIn(rsdp, RSDP_LAYOUT.xsdt), pieces);
  if (xsdt === undefined || signatureOf(xsdt) !== "XSDT" || xsdt.length < xsdtEntryOffset(1)) return false;
  // The first is the FADT, without which no system starts.
  const fadt = tableAt(addressIn(xsdt, xsdtEntryOffset(0)), pieces);
  return fadt !== undefined && signatureOf(fadt) === "FACP";
}

/** A whole table with a sound checksum. */
function tableAt(address: number, pieces: readonly Placed[]): Uint8Array | undefined {
  for (const { address: base, bytes } of pieces) {
    const at = address - base;
    if (at < 0 || at + TABLE_HEADER_SIZE > bytes.length) continue;
    const length = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(TABLE_OFFSET.length, true);
    if (length < TABLE_HEADER_SIZE || at + length > bytes.length) return undefined;
    const table = bytes.subarray(at, at + length);
    return byteSum(table) === 0 ? table : undefined;
  }
  return undefined;
}

/** A 64-bit address; what is beyond all memory is somewhere that holds nothing. */
function addressIn(bytes: Uint8Array, offset: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(offset, true));
}
