import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { RecordCache } from "../interpreter/record-cache.ts";
import type { CodePage } from "./region.ts";
import type { Request } from "./translation.ts";

const PAGE_BYTES = 4096;

/** What is to be translated when the element with this base has come to the record, in the page of its PC. */
export function requestOf(view: DataView, records: RecordCache, pe: number, record: number): Request {
  return {
    record,
    pe,
    frame: records.frameOf(record),
    entry: records.indexInPage(record),
    low: view.getUint32(pe + PE_LAYOUT.PC, true) & -PAGE_BYTES,
    high: view.getUint32(pe + PE_LAYOUT.PC + 4, true),
    bank: view.getUint32(pe + PE_LAYOUT.TLB_BANK, true),
  };
}

/**
 * The page `delta` bytes from the requested entry's, as the soft TLB finds it for execution; undefined where nothing was
 * executed there lately. `view` is of all linear memory.
 */
export function pageOf(
  view: DataView,
  records: RecordCache,
  { frame, low, high, bank }: Request,
  delta: number,
): CodePage | undefined {
  if (delta === 0) {
    const first = records.recordAt(frame, 0);
    return first === undefined ? undefined : { delta, frame, records: first };
  }
  const address = BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low >>> 0) + BigInt(delta));
  const page = Number(address & 0xffff_ffffn);
  const entry = bank + ((page >>> 7) & ((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE));
  if (view.getBigUint64(entry + SOFT_TLB.EXECUTE_TAG, true) !== address) return undefined;
  const first = view.getInt32(entry + SOFT_TLB.RECORDS, true);
  return { delta, frame: records.frameOf(first), records: first };
}
