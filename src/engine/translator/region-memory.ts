import { RECORD_SIZE } from "../interpreter/record.ts";

/** Regions that can exist at a time. */
export const REGION_SLOTS = 32768;
const COUNTERS = 65536;
const COUNTERS_SIZE = COUNTERS * 2;
const STATISTICS_SIZE = 16;
/** Bytes for the tables that say which of a region's entries an address is. */
export const ENTRY_TABLES_SIZE: number = 2 ** 22;

/** Offsets inside the translator's part of linear memory. */
export const REGION_MEMORY = {
  /** u16 execution counters of jump targets, by bits 19:4 of the record's address. */
  COUNTERS: 0,
  /** For each slot the record that the region's entry replaced. */
  ORIGINALS: COUNTERS_SIZE,
  /** Two u64: region entries, instructions executed in regions. */
  STATISTICS: COUNTERS_SIZE + REGION_SLOTS * RECORD_SIZE,
  ENTRY_TABLES: COUNTERS_SIZE + REGION_SLOTS * RECORD_SIZE + STATISTICS_SIZE,
} as const;

export const REGION_MEMORY_SIZE: number = REGION_MEMORY.ENTRY_TABLES + ENTRY_TABLES_SIZE;
