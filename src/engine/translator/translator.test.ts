import { afterEach, describe, expect, test, vi } from "vitest";
import { assemble } from "../../isa/assembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../isa/table.ts";
import { HandlerSet } from "../interpreter/handler-set.ts";
import {
  HANDLER_REGION,
  HANDLER_UNDECODED,
  RECORD_PAGE_STRIDE,
  RECORD_SIZE,
  REGION_SLOT,
} from "../interpreter/record.ts";
import { RecordCache } from "../interpreter/record-cache.ts";
import { type CompiledRegions, INLINE_COMPILER, type RegionCompiler } from "./region-compiler.ts";
import { ENTRY_TABLES_SIZE, REGION_MEMORY, REGION_SLOTS, regionMemoryBytes } from "./region-memory.ts";
import type { RegionJob } from "./region-module.ts";
import { Translator } from "./translator.ts";

const PAGES = 48;
/** An element whose PC lies in page 0 and whose soft TLB is empty. */
const PE = 0;
const CODE = 0x1_0000;
const FIRST_FRAME = CODE / 4096;
const RECORDS = 0x10_0000;
const REGIONS = 0x20_0000;
const DECODED = 77;
const FIRST_SLOT = 3;

/** A translator with code, records and a table, but without a processor: regions are not entered. */
function setUp(source: string, recordPages = PAGES, compiler: RegionCompiler = INLINE_COMPILER) {
  const memory = new WebAssembly.Memory({ initial: 128, maximum: 128, shared: true });
  const view = new DataView(memory.buffer);
  new Uint8Array(memory.buffer).set(assemble(source, { origin: BigInt(CODE) }).bytes, CODE);
  const table = new WebAssembly.Table({ element: "anyfunc", initial: FIRST_SLOT + REGION_SLOTS });
  const traced: string[] = [];
  let translator: Translator | undefined;
  const records = new RecordCache(memory.buffer, RECORDS, recordPages, {
    trace: () => {},
    untrace: () => {},
    isWorthKeeping: (frame) => translator?.hasCodeOf(frame) ?? false,
    forgotten: (frame) => translator?.forget(frame),
    forgetExecuteTags: () => {},
  });
  const host = new Proxy<Record<string, WebAssembly.ImportValue>>(
    { memory },
    { get: (known, name: string) => known[name] ?? (() => 0) },
  );
  translator = new Translator({
    ...{
      threshold: 2,
      tracksRegisters: true,
      isUniprocessor: true,
      base: REGIONS,
      memory,
      table,
      firstTableIndex: FIRST_SLOT,
      records,
      compiler,
    },
    imports: { host },
    decode: (word) => DECODER.decode(word, IMPLEMENTED_FEATURES),
    handlers: new HandlerSet(),
    trace: (frame, first, length) => void traced.push(`${frame - FIRST_FRAME} ${first} ${length}`),
    onNewHandler: () => {},
  });
  /** The record of a word, as if the interpreter had executed it. */
  const decoded = (page: number, index: number): number => {
    const record = records.recordsOf((FIRST_FRAME + page) * 4096) + index * RECORD_SIZE;
    // The interpreter decodes some words ahead.
    for (const ahead of [2, 1, 0].filter((count) => index + count < 1024)) {
      const at = record + ahead * RECORD_SIZE;
      if (view.getUint16(at, true) !== HANDLER_REGION) view.setUint16(at, DECODED, true);
    }
    view.setUint32(record + 8, 0xabcd_0000 + index, true);
    return record;
  };
  const handler = (record: number) => view.getUint16(record, true);
  const slotOf = (record: number) => view.getInt32(record + REGION_SLOT, true);
  return { translator, view, table, records, traced, decoded, handler, slotOf };
}

/** Compiles at once and answers when asked to. */
class HeldCompiler implements RegionCompiler {
  readonly answers: (() => void)[] = [];
  readonly place = "held";
  isBusy = false;

  compile(job: RegionJob, done: (made: CompiledRegions | undefined) => void): void {
    INLINE_COMPILER.compile(job, (made) => this.answers.push(() => done(made)));
  }
}

const LOOP = "nop\n1: add x0, x0, #1\n cbnz x0, 1b\n ret";

afterEach(() => {
  vi.restoreAllMocks();
});

describe("Translator", () => {
  test("puts a region in the place of the record that was asked for, and keeps the record", () => {
    const { translator, view, table, traced, decoded, handler, slotOf } = setUp(LOOP);
    const record = decoded(0, 1);
    translator.request(PE, record);
    expect(handler(record)).toBe(DECODED);
    translator.translateHot();
    expect(handler(record)).toBe(HANDLER_REGION);
    expect(traced).toEqual(["0 4 12"]);
    expect(typeof table.get(FIRST_SLOT + slotOf(record))).toBe("function");
    const original = translator.layout.originals + slotOf(record) * RECORD_SIZE;
    expect(view.getUint16(original, true)).toBe(DECODED);
    expect(view.getUint32(original + 8, true)).toBe(0xabcd_0001);
    expect(translator.regions).toBe(1);
  });

  test("makes one module of many requests, and one region of many requests for a place", () => {
    const { translator, decoded, handler } = setUp("ret\n".repeat(20));
    const all = Array.from({ length: 20 }, (_, index) => decoded(0, index));
    for (const record of [...all, ...all]) translator.request(PE, record);
    translator.translateHot();
    expect(all.every((record) => handler(record) === HANDLER_REGION)).toBe(true);
    expect([translator.modules, translator.regions]).toEqual([1, 20]);
  });

  test("leaves alone what begins with the interpreter's own", () => {
    const { translator, decoded, handler } = setUp("svc #0");
    const record = decoded(0, 0);
    translator.request(PE, record);
    translator.translateHot();
    expect(handler(record)).toBe(DECODED);
    expect(translator.regions).toBe(0);
  });

  test("translates nothing for a record that has to be decoded again", () => {
    const { translator, view, decoded, handler } = setUp(LOOP);
    const record = decoded(0, 1);
    translator.request(PE, record);
    view.setUint16(record, HANDLER_UNDECODED, true);
    translator.translateHot();
    expect(handler(record)).toBe(HANDLER_UNDECODED);
    expect(translator.regions).toBe(0);
  });

  test("forgets a region when one of its words is written, and no other", () => {
    const { translator, table, decoded, handler, slotOf } = setUp(`${LOOP}\n${LOOP}`);
    const [one, other] = [decoded(0, 1), decoded(0, 5)];
    translator.request(PE, one);
    translator.request(PE, other);
    translator.translateHot();
    const slot = slotOf(one);
    for (const [first, length] of [
      [0, 4],
      [16, 4],
      [4095, 1],
    ] as const) {
      translator.invalidate(FIRST_FRAME, first, length);
      expect([handler(one), handler(other)]).toEqual([HANDLER_REGION, HANDLER_REGION]);
    }
    translator.invalidate(FIRST_FRAME + 1, 4, 4);
    translator.invalidate(FIRST_FRAME, 15, 1);
    expect([handler(one), handler(other)]).toEqual([HANDLER_UNDECODED, HANDLER_REGION]);
    expect(table.get(FIRST_SLOT + slot)).toBe(null);
    expect(translator.invalidations).toBe(1);
    // The slot is used again.
    translator.request(PE, decoded(0, 1));
    translator.translateHot();
    expect([handler(one), slotOf(one)]).toEqual([HANDLER_REGION, slot]);
  });

  test("a region is entered where calls from it come back to, too", () => {
    const { translator, decoded, handler, slotOf } = setUp(
      "add x0, x0, #1\nbl . + 8192\nadd x0, x0, #2\nret",
    );
    const [start, call, back] = [decoded(0, 0), decoded(0, 1), decoded(0, 2)];
    decoded(0, 3);
    translator.request(PE, start);
    translator.translateHot();
    expect([handler(start), handler(call), handler(back)]).toEqual([HANDLER_REGION, DECODED, HANDLER_REGION]);
    expect(slotOf(back)).not.toBe(slotOf(start));
    expect([translator.regions, translator.modules]).toEqual([1, 1]);
    translator.invalidate(FIRST_FRAME, 12, 1);
    expect([handler(start), handler(back)]).toEqual([HANDLER_UNDECODED, HANDLER_UNDECODED]);
    expect(translator.invalidations).toBe(1);
  });

  test("requests for what is being compiled come to nothing", () => {
    const compiler = new HeldCompiler();
    const { translator, decoded, handler } = setUp(LOOP, PAGES, compiler);
    const record = decoded(0, 1);
    translator.request(PE, record);
    translator.translateHot();
    translator.request(PE, record);
    translator.translateHot();
    expect([compiler.answers.length, handler(record), translator.regions]).toEqual([1, DECODED, 0]);
    compiler.answers[0]!();
    expect([handler(record), translator.regions, translator.modules]).toEqual([HANDLER_REGION, 1, 1]);
  });

  test("what was written to while it was compiled is not put in place", () => {
    const compiler = new HeldCompiler();
    const { translator, traced, decoded, handler } = setUp(LOOP, PAGES, compiler);
    const record = decoded(0, 1);
    translator.request(PE, record);
    translator.translateHot();
    expect(traced).toEqual(["0 4 12"]);
    translator.invalidate(FIRST_FRAME, 8, 4);
    compiler.answers[0]!();
    expect([handler(record), translator.regions, translator.invalidations]).toEqual([DECODED, 0, 0]);
    // The next request is a new one.
    translator.request(PE, record);
    translator.translateHot();
    compiler.answers[1]!();
    expect([handler(record), translator.regions]).toEqual([HANDLER_REGION, 1]);
  });

  test("nothing is sent to a busy compiler", () => {
    const compiler = new HeldCompiler();
    const { translator, decoded } = setUp("ret\n".repeat(20), PAGES, compiler);
    for (let index = 0; index < 10; index++) translator.request(PE, decoded(0, index));
    compiler.isBusy = true;
    translator.pause();
    expect(compiler.answers.length).toBe(0);
    compiler.isBusy = false;
    translator.pause();
    expect(compiler.answers.length).toBe(1);
  });

  test("a place where another region of the same batch is entered gets none of its own", () => {
    const { translator, decoded, handler } = setUp("add x0, x0, #1\nbl . + 8192\nadd x0, x0, #2\nret");
    const [start, , back] = [decoded(0, 0), decoded(0, 1), decoded(0, 2)];
    decoded(0, 3);
    translator.request(PE, start);
    translator.request(PE, back);
    translator.translateHot();
    expect([handler(start), handler(back), translator.regions]).toEqual([HANDLER_REGION, HANDLER_REGION, 1]);
  });

  test("begins to count anew where a region was forgotten", () => {
    const { translator, view, decoded } = setUp(LOOP);
    const record = decoded(0, 1);
    const counter = translator.layout.counters + ((record - RECORDS) >>> 3);
    translator.request(PE, record);
    translator.translateHot();
    view.setUint16(counter, 500, true);
    translator.invalidate(FIRST_FRAME, 4, 4);
    expect(view.getUint16(counter, true)).toBe(0);
  });

  test("forgets the regions of a page whose records are evicted", () => {
    const { translator, records, decoded } = setUp(LOOP, 1);
    translator.request(PE, decoded(0, 1));
    translator.translateHot();
    records.recordsOf((FIRST_FRAME + 1) * 4096);
    expect(translator.invalidations).toBe(1);
    // A request for a page that has gone in the meantime is dropped.
    const record = decoded(1, 0);
    translator.request(PE, record);
    records.recordsOf((FIRST_FRAME + 2) * 4096);
    translator.translateHot();
    expect(translator.regions).toBe(1);
  });

  test("makes no second region of what one that is being made has in it", () => {
    const compiler = new HeldCompiler();
    const { translator, decoded, handler } = setUp(LOOP, PAGES, compiler);
    const [start, loop] = [decoded(0, 0), decoded(0, 1)];
    for (let index = 2; index < 4; index++) decoded(0, index);
    // The loop is asked for first; the function that has it in it comes first all the same.
    translator.request(PE, loop);
    translator.request(PE, start);
    translator.translateHot();
    translator.request(PE, loop);
    translator.translateHot();
    expect(compiler.answers).toHaveLength(1);
    compiler.answers.shift()?.();
    expect([handler(start), handler(loop)]).toEqual([HANDLER_REGION, DECODED]);
    // What control comes to all the same gets a region of its own.
    translator.request(PE, loop);
    translator.translateHot();
    compiler.answers.shift()?.();
    expect(handler(loop)).toBe(HANDLER_REGION);
  });

  test("goes on without translation where the host does not compile", () => {
    const { translator, decoded, handler } = setUp(LOOP);
    const record = decoded(0, 1);
    const module = vi.spyOn(WebAssembly, "Module").mockImplementation(function fail() {
      throw new RangeError("out of memory");
    });
    translator.request(PE, record);
    translator.translateHot();
    expect([handler(record), translator.failures]).toEqual([DECODED, 1]);
    module.mockRestore();
    translator.request(PE, record);
    translator.translateHot();
    expect([handler(record), translator.failures]).toEqual([HANDLER_REGION, 1]);
  });

  test("gives up where the host never compiles", () => {
    const { translator, decoded, handler } = setUp(LOOP);
    const record = decoded(0, 1);
    const module = vi.spyOn(WebAssembly, "Module").mockImplementation(function fail() {
      throw new RangeError("out of memory");
    });
    for (let attempt = 0; attempt < 20; attempt++) {
      translator.request(PE, record);
      translator.translateHot();
    }
    expect(module.mock.calls.length).toBe(9);
    expect(handler(record)).toBe(DECODED);
  });

  test("starts again when all slots are taken", { timeout: 300_000 }, async () => {
    const { translator, decoded, handler } = setUp("ret\n".repeat(40 * 1024));
    const records: number[] = [];
    for (let page = 0; page < 33; page++) {
      for (let index = 0; index < 1024; index++) {
        const record = decoded(page, index);
        records.push(record);
        translator.request(PE, record);
      }
      translator.translateHot();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const translated = records.filter((record) => handler(record) === HANDLER_REGION);
    expect(translator.regions).toBe(33 * 1024);
    expect(translated).toEqual(records.slice(REGION_SLOTS));
    expect(translator.invalidations).toBe(REGION_SLOTS);
  });

  test("the parts of its memory do not overlap", () => {
    const { translator } = setUp(LOOP);
    const { counters, originals, statistics } = translator.layout;
    expect(originals).toBe(REGIONS);
    expect(statistics).toBe(originals + REGION_SLOTS * RECORD_SIZE);
    expect(REGION_MEMORY.ENTRY_TABLES).toBe(statistics + 16 - REGIONS);
    expect(counters).toBe(REGIONS + REGION_MEMORY.ENTRY_TABLES + ENTRY_TABLES_SIZE);
    expect(regionMemoryBytes(PAGES)).toBe(counters + (PAGES * RECORD_PAGE_STRIDE) / 8 - REGIONS);
    expect(RECORDS + PAGES * RECORD_PAGE_STRIDE).toBeLessThanOrEqual(REGIONS);
  });
});
