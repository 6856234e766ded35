import { describe, expect, test } from "vitest";
import { HANDLER_PAGE_END, HANDLER_UNDECODED, RECORD_PAGE_STRIDE, RECORD_SIZE } from "./record.ts";
import { RecordCache } from "./record-cache.ts";

const BASE = 0x10_0000;
const CAPACITY = 8;
const DECODED = 77;

/** A cache whose calls to its machine are written down. */
function cache(worthKeeping: readonly number[] = []) {
  const buffer = new ArrayBuffer(BASE + CAPACITY * RECORD_PAGE_STRIDE);
  const view = new DataView(buffer);
  const calls: string[] = [];
  const forgottenTags: ((records: number) => boolean)[] = [];
  const records = new RecordCache(buffer, BASE, CAPACITY, {
    trace: (frame, first, length) => void calls.push(`trace ${frame} ${first} ${length}`),
    untrace: (frame) => void calls.push(`untrace ${frame}`),
    isWorthKeeping: (frame) => worthKeeping.includes(frame),
    forgotten: (frame) => void calls.push(`forgotten ${frame}`),
    forgetExecuteTags: (isForgotten) => void forgottenTags.push(isForgotten),
  });
  const handlerAt = (frame: number, index: number) => view.getUint16(records.recordAt(frame, index)!, true);
  const fill = (frame: number): void => {
    records.recordsOf(frame * 4096);
    for (let index = 0; index < 1024; index++) {
      const record = records.recordAt(frame, index)!;
      view.setUint16(record, DECODED, true);
      for (let offset = 2; offset < RECORD_SIZE; offset += 2) view.setUint16(record + offset, 0x1234, true);
    }
  };
  return { records, view, calls, forgottenTags, handlerAt, fill };
}

describe("RecordCache", () => {
  test("gives each frame a page of records, undecoded, with an end", () => {
    const { records, view, handlerAt } = cache();
    const first = records.recordsOf(3 * 4096);
    const second = records.recordsOf(4 * 4096);
    expect(second - first).toBe(RECORD_PAGE_STRIDE);
    expect(records.recordsOf(3 * 4096)).toBe(first);
    expect(records.pages).toBe(2);
    expect(handlerAt(3, 0)).toBe(HANDLER_UNDECODED);
    expect(handlerAt(3, 1023)).toBe(HANDLER_UNDECODED);
    expect(view.getUint16(first + 1024 * RECORD_SIZE, true)).toBe(HANDLER_PAGE_END);
  });

  test("knows a record's frame and place", () => {
    const { records, calls } = cache();
    records.recordsOf(3 * 4096);
    const record = records.recordsOf(9 * 4096) + 100 * RECORD_SIZE;
    expect(records.frameOf(record)).toBe(9);
    expect(records.indexInPage(record)).toBe(100);
    expect(records.recordAt(9, 100)).toBe(record);
    expect(records.recordAt(10, 0)).toBeUndefined();
    expect(records.codeAddress(record)).toBe(9 * 4096 + 400);
    expect(calls).toEqual(["trace 9 384 64"]);
  });

  test("decodes again exactly the words that a write touched, and keeps their operands", () => {
    const { records, view, handlerAt, fill } = cache();
    fill(3);
    records.invalidate(3, 39, 2);
    expect([8, 9, 10, 11].map((index) => handlerAt(3, index))).toEqual([DECODED, 0, 0, DECODED]);
    expect(view.getUint16(records.recordAt(3, 9)! + 2, true)).toBe(0x1234);
    records.invalidate(3, 4095, 1);
    expect([1022, 1023].map((index) => handlerAt(3, index))).toEqual([DECODED, 0]);
    expect(view.getUint16(records.recordAt(3, 1023)! + RECORD_SIZE, true)).toBe(HANDLER_PAGE_END);
  });

  test("a write to a frame without records is nothing to it", () => {
    const { records, calls } = cache();
    records.invalidate(5, 0, 4096);
    expect(calls).toEqual([]);
  });

  test("after many writes the page is data until it is executed again", () => {
    const { records, view, handlerAt, fill, calls } = cache();
    fill(3);
    for (let write = 0; write < 16; write++) records.invalidate(3, 0, 4);
    expect(calls).toEqual([]);
    expect(handlerAt(3, 500)).toBe(DECODED);
    records.invalidate(3, 0, 4);
    expect(calls).toEqual(["untrace 3", "forgotten 3"]);
    expect(handlerAt(3, 500)).toBe(HANDLER_UNDECODED);
    expect(view.getUint16(records.recordAt(3, 500)! + 2, true)).toBe(0x1234);
    expect(view.getUint16(records.recordAt(3, 1023)! + RECORD_SIZE, true)).toBe(HANDLER_PAGE_END);
    expect(records.drops).toBe(1);
    // The count begins anew.
    fill(3);
    records.invalidate(3, 0, 4);
    expect(handlerAt(3, 500)).toBe(DECODED);
  });

  test("a long write drops the page at once", () => {
    const { records, handlerAt, fill, calls } = cache();
    fill(3);
    records.invalidate(3, 0, 257);
    expect(handlerAt(3, 1000)).toBe(HANDLER_UNDECODED);
    expect(calls).toEqual(["untrace 3", "forgotten 3"]);
  });

  test("evicts the oldest quarter, and has it forgotten everywhere", () => {
    const { records, calls, forgottenTags, handlerAt, fill } = cache();
    for (let frame = 1; frame <= CAPACITY; frame++) fill(frame);
    const places = Array.from({ length: CAPACITY }, (_, index) => records.recordAt(index + 1, 0)!);
    records.recordsOf(100 * 4096);
    expect(records.evictions).toBe(1);
    expect(calls).toEqual(["untrace 1", "forgotten 1", "untrace 2", "forgotten 2"]);
    expect(places.map((place) => forgottenTags[0]!(place))).toEqual([
      true,
      true,
      ...new Array(6).fill(false),
    ]);
    expect([1, 2, 3].map((frame) => records.recordAt(frame, 0) === undefined)).toEqual([true, true, false]);
    expect(handlerAt(100, 0)).toBe(HANDLER_UNDECODED);
    expect(handlerAt(3, 0)).toBe(DECODED);
    // The second place that became free is used before the next eviction, which goes on where this one ended.
    records.recordsOf(101 * 4096);
    expect(records.evictions).toBe(1);
    records.recordsOf(102 * 4096);
    expect(calls.slice(4)).toEqual(["untrace 3", "forgotten 3", "untrace 4", "forgotten 4"]);
  });

  test("spares what is worth keeping, for as long as there is enough else", () => {
    const { records, calls, fill } = cache([1, 3, 4, 5, 6, 7]);
    for (let frame = 1; frame <= CAPACITY; frame++) fill(frame);
    records.recordsOf(100 * 4096);
    expect(calls).toEqual(["untrace 2", "forgotten 2", "untrace 8", "forgotten 8"]);
    const { records: full, calls: gone, fill: fillFull } = cache([1, 2, 3, 4, 5, 6, 7]);
    for (let frame = 1; frame <= CAPACITY; frame++) fillFull(frame);
    full.recordsOf(100 * 4096);
    expect(gone).toEqual(["untrace 1", "forgotten 1", "untrace 2", "forgotten 2"]);
  });

  test("goes round for ever", () => {
    const { records, handlerAt, fill } = cache();
    for (let frame = 1; frame < 250; frame++) {
      fill(frame);
      expect(records.frameOf(records.recordAt(frame, 5)!)).toBe(frame);
      expect(handlerAt(frame, 5)).toBe(DECODED);
    }
    expect(records.pages).toBe(CAPACITY);
  });
});
