import { expect, test } from "vitest";
import { SYSTEM_REGISTER_SLOTS } from "../isa/system-registers/table.ts";
import { PE_LAYOUT, SOFT_TLB } from "./pe-layout.ts";

/** Bytes of each part of a processing element's block; one u32 where nothing is said. */
const SIZES: Partial<Record<keyof typeof PE_LAYOUT, number>> = {
  X: 31 * 8,
  ZERO: 8,
  SP: 8,
  SINK: 8,
  PC: 8,
  FLAG_N: 8,
  FLAG_Z: 8,
  FLAG_C: 8,
  FLAG_V: 8,
  V: 32 * 16,
  EXCLUSIVE_VALUE: 16,
  INSTRUCTIONS: 8,
  SHADOW_HALVES: 2 * 16,
  SHADOW_FILLS: 8,
  SCRATCH: 64,
  SP_BANK: 4 * 8,
  SYSTEM_REGISTERS: 8 * SYSTEM_REGISTER_SLOTS,
};

test("the parts of a processing element's block lie apart, aligned, and inside it", () => {
  const { SIZE, ...offsets } = PE_LAYOUT;
  const parts = Object.entries(offsets).map(([name, start]) => {
    const size = SIZES[name as keyof typeof PE_LAYOUT] ?? 4;
    return { name, start, end: start + size, alignment: Math.min(size, 8) };
  });
  parts.sort((a, b) => a.start - b.start);
  const overlapping = parts.filter(({ end }, index) => end > (parts[index + 1]?.start ?? SIZE));
  expect(overlapping.map(({ name }) => name)).toEqual([]);
  expect(parts.filter(({ start, alignment }) => start % alignment !== 0)).toEqual([]);
});

test("a soft-TLB entry is as large as the shift that finds it says", () => {
  expect(SOFT_TLB.BANK_SIZE).toBe(SOFT_TLB.ENTRIES * SOFT_TLB.ENTRY_SIZE);
  expect(Math.log2(SOFT_TLB.ENTRY_SIZE)).toBe(5);
});
