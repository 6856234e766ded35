import { expect, test } from "vitest";
import { EntryTables } from "./entry-tables.ts";
import { ENTRY_TABLES_SIZE } from "./region-memory.ts";

const BASE = 4096;

test("a table has the number of each entry at its word, and nothing elsewhere", () => {
  const bytes = new Uint8Array(BASE + ENTRY_TABLES_SIZE);
  const table = new EntryTables(bytes.buffer, BASE).make([3, undefined, -2, 9]);
  expect(table).toEqual({ address: BASE, low: -2, count: 12 });
  expect([...bytes.subarray(BASE, BASE + 12)]).toEqual([3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4]);
});

test("space is used again, and clean", () => {
  const bytes = new Uint8Array(BASE + ENTRY_TABLES_SIZE);
  const tables = new EntryTables(bytes.buffer, BASE);
  const first = tables.make([0, 63])!;
  const second = tables.make([0, 64])!;
  expect(second.address).toBe(first.address + 64);
  tables.remove(first);
  expect(bytes.subarray(first.address, second.address).every((byte) => byte === 0)).toBe(true);
  expect(tables.make([5])).toEqual({ address: first.address, low: 5, count: 1 });
});

test("there is no table for no entries, nor where all space is taken", () => {
  const tables = new EntryTables(new ArrayBuffer(BASE + ENTRY_TABLES_SIZE), BASE);
  expect(tables.make([undefined])).toBeUndefined();
  for (let made = 0; made < ENTRY_TABLES_SIZE / 1024; made++) expect(tables.make([0, 1023])).toBeDefined();
  expect(tables.make([0])).toBeUndefined();
});
