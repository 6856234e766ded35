import { PE_LAYOUT, SOFT_TLB } from "../memory/pe-layout.ts";
import type { ElementState } from "./element-state.ts";
import { CACHE_LINE_BYTES } from "./identification.ts";

const PAGE_MASK = ~0xfff;
const LINE_WORDS = CACHE_LINE_BYTES / 4;

/**
 * DC ZVA where the soft TLB lets stores to the page through: kernels clear their pages with it. False when
 * somebody must look closer. Traps must have been ruled out before.
 */
export function zeroBlockFast(state: ElementState, rt: number): boolean {
  const { words, base } = state;
  const register = (base + (rt === 31 ? PE_LAYOUT.ZERO : PE_LAYOUT.X + 8 * rt)) >>> 2;
  const low = words[register]!;
  const bank = words[(base + PE_LAYOUT.TLB_BANK) >>> 2]!;
  const entry = (bank + (((low >>> 12) & (SOFT_TLB.ENTRIES - 1)) << 5)) >>> 2;
  if (words[entry + (SOFT_TLB.WRITE_TAG >> 2)] !== (low & PAGE_MASK)) return false;
  if (words[entry + (SOFT_TLB.WRITE_TAG >> 2) + 1] !== words[register + 1]) return false;
  const host = (low + words[entry + (SOFT_TLB.ADDEND >> 2)]!) >>> 2;
  const first = host & -LINE_WORDS;
  words.fill(0, first, first + LINE_WORDS);
  return true;
}
