import { HANDLER_LIMIT, recordCacheBytes } from "../engine/interpreter/interpreter.ts";
import { regionMemoryBytes } from "../engine/translator/region-memory.ts";
import { PRIVATE_ELEMENT_BYTES } from "../introspection/scan/private-element.ts";
import { GWB_RECORD, WRITE_BUFFER_RECORDS } from "../memory/guest-write-buffer.ts";
import { PE_LAYOUT, SOFT_TLB } from "../memory/pe-layout.ts";
import { SHADOW_TABLE_SIZE } from "../mmu/shadow/shadow-entry.ts";

/** Pages of predecoded instructions kept: 16 KiB of linear memory for each 4 KiB of code. */
export const RECORD_PAGES = 4096;
/** Guest translation tables that can be shadowed at a time, with SHADOW_TABLE_SIZE bytes each. */
export const SHADOW_TABLES = 4096;
/** Soft-TLB banks of one element: regimes, exception levels, PAN. */
const BANKS = 36;
const WRITE_BUFFER = WRITE_BUFFER_RECORDS * GWB_RECORD.SIZE;
/** Physical map and frame table (20 bytes a page) of the largest machine. */
const TABLES = 40 << 20;

/** Bytes of linear memory that a machine needs beside RAM and ROM. */
export function overheadBytes(cpus: number, profile: boolean): number {
  const engine =
    recordCacheBytes(RECORD_PAGES) + regionMemoryBytes(RECORD_PAGES) + (profile ? HANDLER_LIMIT * 4 : 0);
  const shadow = (SHADOW_TABLES + 1) * SHADOW_TABLE_SIZE;
  const element = PE_LAYOUT.SIZE + BANKS * SOFT_TLB.BANK_SIZE + WRITE_BUFFER + 65536;
  return engine + PRIVATE_ELEMENT_BYTES + TABLES + shadow + cpus * element;
}
