import { HANDLER_LIMIT, recordCacheBytes } from "../engine/interpreter/interpreter.ts";
import { REGION_MEMORY_SIZE } from "../engine/translator/region-memory.ts";
import { PE_LAYOUT, SOFT_TLB } from "../memory/pe-layout.ts";

/** Pages of predecoded instructions kept: 16 KiB of linear memory for each 4 KiB of code. */
export const RECORD_PAGES = 4096;
/** Soft-TLB banks of one element: regimes, exception levels, PAN. */
const BANKS = 32;
/** Physical map and frame table (20 bytes a page) of the largest machine. */
const TABLES = 40 << 20;

/** Bytes of linear memory that a machine needs beside RAM and ROM. */
export function overheadBytes(cpus: number, profile: boolean): number {
  const engine = recordCacheBytes(RECORD_PAGES) + REGION_MEMORY_SIZE + (profile ? HANDLER_LIMIT * 4 : 0);
  return engine + TABLES + cpus * (PE_LAYOUT.SIZE + BANKS * SOFT_TLB.BANK_SIZE + 65536);
}
