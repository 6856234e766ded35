import { RECORD_SIZE, RECORDS_PER_PAGE } from "../interpreter/record.ts";

/** Regions that can exist at a time. */
export const REGION_SLOTS = 32768;
const STATISTICS_SIZE = 16;
/** Bytes for the tables that say which of a region's entries an address is. */
export const ENTRY_TABLES_SIZE: number = 2 ** 22;

/** Offsets inside the translator's part of linear memory. */
export const REGION_MEMORY = {
  /** For each slot the record that the region's entry replaced. */
  ORIGINALS: 0,
  /** Two u64: region entries, instructions executed in regions. */
  STATISTICS: REGION_SLOTS * RECORD_SIZE,
  ENTRY_TABLES: REGION_SLOTS * RECORD_SIZE + STATISTICS_SIZE,
  /** A u16 for each record, the ends of pages included: how often control came there by a branch. */
  COUNTERS: REGION_SLOTS * RECORD_SIZE + STATISTICS_SIZE + ENTRY_TABLES_SIZE,
} as const;

/** Bytes for a translator beside so many pages of records. */
export function regionMemoryBytes(recordPages: number): number {
  return REGION_MEMORY.COUNTERS + recordPages * (RECORDS_PER_PAGE + 1) * 2;
}
