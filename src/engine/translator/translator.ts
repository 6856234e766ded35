import { Bug } from "../../base/errors.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import { ModuleWriter } from "../../wasm/module-writer.ts";
import {
  importRuntimeFunctions,
  REGION_SIGNATURE,
  type RegionLayout,
  translatorImports,
} from "../interpreter/core-module.ts";
import type { HandlerImports } from "../interpreter/handler-frame.ts";
import {
  HANDLER_PAGE_END,
  HANDLER_REGION,
  HANDLER_UNDECODED,
  RECORD_SIZE,
  REGION_SLOT,
} from "../interpreter/record.ts";
import type { RecordCache } from "../interpreter/record-cache.ts";
import { type EntryTable, EntryTables } from "./entry-tables.ts";
import { InstructionWords, type WordSource } from "./instruction-words.ts";
import { type CodePage, findRegion, isOwn, type Region } from "./region.ts";
import { RegionEmitter, usesFloatingPointControl } from "./region-emitter.ts";
import { REGION_MEMORY, REGION_SLOTS } from "./region-memory.ts";

const PAGE_WORDS = 1024;
const PAGE_BYTES = 4096;
/** Regions of one module: enough to spread a module's cost, few enough to keep a pause short. */
const BATCH = 32;
/** A module costs as much as several regions, so that requests wait for each other, but not longer than this many runs. */
const ENOUGH = 8;
const PATIENCE = 16;
/** Below this threshold what runs rarely cannot be told from what never ran. */
const LEAST_TELLING_THRESHOLD = 64;
/** A function that is called this much less than the region's entry is jumped to is not worth a copy. */
const CALL_SHARE = 16;

/** After so many modules that the host did not compile nothing more is tried. */
const FAILURES = 8;

export interface TranslatorHost extends WordSource {
  readonly threshold: number;
  readonly tracksRegisters: boolean;
  readonly isUniprocessor: boolean;
  readonly base: number;
  readonly memory: WebAssembly.Memory;
  readonly table: WebAssembly.Table;
  readonly firstTableIndex: number;
  readonly imports: Record<string, Record<string, WebAssembly.ImportValue>>;
  readonly records: RecordCache;
  trace(frame: number, first: number, length: number): void;
}

/** An entry to translate: its frame and place, the page's virtual address, and the soft-TLB bank it was reached by. */
interface Request {
  readonly pe: number;
  readonly frame: number;
  readonly entry: number;
  readonly low: number;
  readonly high: number;
  readonly bank: number;
}

/** The words of one frame that a region was made from. */
interface Range {
  readonly frame: number;
  readonly first: number;
  readonly last: number;
}

/** A place in the requested entry's page where a region may be entered, and its slot. */
interface Door {
  readonly slot: number;
  readonly entry: number;
}

/** A translated region: where its entries are, which words it was made from. */
interface Installed {
  readonly doors: readonly Door[];
  readonly frame: number;
  readonly table: EntryTable | undefined;
  readonly ranges: readonly Range[];
}

/** Turns code that is jumped to often into WebAssembly functions, and forgets them when the code changes. */
export class Translator {
  readonly layout: RegionLayout;
  readonly #host: TranslatorHost;
  readonly #view: DataView;
  readonly #words: InstructionWords;
  /** By each frame that a region was made from. */
  readonly #installed = new Map<number, Set<Installed>>();
  readonly #free: number[] = [];
  readonly #tables: EntryTables;
  #nextSlot = 0;
  readonly #requests: Request[] = [];
  /** The records of those: their counters have begun again. */
  readonly #requested = new Set<number>();
  /** Runs since the first of them. */
  #waited = 0;
  regions = 0;
  invalidations = 0;
  modules = 0;
  codeBytes = 0;
  /** Modules that the host did not compile. */
  failures = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#words = new InstructionWords(host);
    this.#view = new DataView(host.memory.buffer);
    this.#tables = new EntryTables(host.memory.buffer, host.base + REGION_MEMORY.ENTRY_TABLES);
    this.layout = {
      table: host.firstTableIndex,
      originals: host.base + REGION_MEMORY.ORIGINALS,
      counters: host.base + REGION_MEMORY.COUNTERS,
      threshold: host.threshold,
      statistics: host.base + REGION_MEMORY.STATISTICS,
    };
  }

  /** Region entries and instructions executed in regions so far. */
  statistics(): { entries: number; instructions: number } {
    const at = this.layout.statistics;
    return {
      entries: Number(this.#view.getBigUint64(at, true)),
      instructions: Number(this.#view.getBigUint64(at + 8, true)),
    };
  }

  /** The code at `record`, in the page of the element's PC, is jumped to often. */
  request(pe: number, record: number): void {
    const view = this.#view;
    const handler = view.getUint16(record, true);
    if (handler === HANDLER_REGION || handler === HANDLER_PAGE_END || this.failures > FAILURES) return;
    const { records } = this.#host;
    const frame = records.frameOf(record);
    this.#requested.add(record);
    this.#requests.push({
      pe,
      frame,
      entry: this.#translatable(frame, records.indexInPage(record)),
      low: view.getUint32(pe + PE_LAYOUT.PC, true) & -PAGE_BYTES,
      high: view.getUint32(pe + PE_LAYOUT.PC + 4, true),
      bank: view.getUint32(pe + PE_LAYOUT.TLB_BANK, true),
    });
  }

  /** The place itself, or the next one where a region cannot begin with what is there: a system instruction. */
  #translatable(frame: number, index: number): number {
    const word = this.#view.getUint32(frame * PAGE_BYTES + index * 4, true);
    return index + 1 < PAGE_WORDS && this.#words.of(word)?.flow.kind === "leave" ? index + 1 : index;
  }

  /** Called after each run: translates what was requested once that makes a batch, or has waited for some runs. */
  pause(): void {
    if (this.#requests.length === 0) return;
    const isEnough = this.#requests.length >= ENOUGH || this.#host.threshold < LEAST_TELLING_THRESHOLD;
    if (isEnough || ++this.#waited >= PATIENCE) this.translateHot();
  }

  /** Translates what was requested. Called between runs, when no record is at hand. */
  translateHot(): void {
    this.#waited = 0;
    while (this.#requests.length > 0) this.#translate(this.#requests.splice(0, BATCH));
    this.#requested.clear();
  }

  #translate(requests: readonly Request[]): void {
    const regions = requests.flatMap((request) => {
      const region = this.#find(request);
      return region === undefined ? [] : [{ request, region }];
    });
    if (regions.length === 0) return;
    const module = new ModuleWriter();
    const imports = translatorImports(module, this.#host.memory.buffer.byteLength / 65536);
    importRuntimeFunctions(
      imports,
      regions.flatMap(({ region }) =>
        [...region.blocks.values()].flatMap(({ instructions }) =>
          instructions.map(({ known }) => known.handler),
        ),
      ),
    );
    const tables = regions.map(({ region, request }, index) =>
      this.#emit(module, imports, region, request.pe, `r${index}`),
    );
    const bytes = module.finish();
    const instance = this.#compile(bytes);
    if (instance === undefined) {
      for (const table of tables) if (table !== undefined) this.#tables.remove(table);
      return;
    }
    this.modules++;
    this.codeBytes += bytes.length;
    regions.forEach(({ request, region }, index) => {
      const table = tables[index];
      const isInstalled = this.#install(request, region, table, instance.exports[`r${index}`]);
      if (!isInstalled && table !== undefined) this.#tables.remove(table);
    });
  }

  /** Adds the region's function to the module, and where that leaves cases to another one that function. */
  #emit(
    module: ModuleWriter,
    imports: HandlerImports,
    region: Region,
    pe: number,
    name: string,
  ): EntryTable | undefined {
    const { tracksRegisters, isUniprocessor } = this.#host;
    const element = isUniprocessor ? pe : undefined;
    const usual = module.function(REGION_SIGNATURE, name);
    const unusual = usesFloatingPointControl(region) ? module.function(REGION_SIGNATURE) : undefined;
    const emitter = new RegionEmitter(usual.body, imports, region, {
      tracksRegisters,
      element,
      unusual: unusual?.index,
      makeEntryTable: (words) => this.#tables.make(words),
    });
    emitter.emit();
    const { table } = emitter;
    if (unusual !== undefined) {
      const options = { tracksRegisters, element, unusual: undefined, makeEntryTable: () => table };
      new RegionEmitter(unusual.body, imports, region, options).emit();
    }
    return table;
  }

  /** Undefined where the host cannot: out of memory for code, beyond a limit of its own. Then nothing is translated. */
  #compile(bytes: Uint8Array): WebAssembly.Instance | undefined {
    try {
      return new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#host.imports);
    } catch {
      this.failures++;
      return undefined;
    }
  }

  #find(request: Request): Region | undefined {
    const { frame, entry } = request;
    const { records, threshold } = this.#host;
    const view = this.#view;
    if (records.recordAt(frame, entry) === undefined) return undefined;
    for (const installed of this.#installed.get(frame) ?? []) {
      if (installed.frame === frame && installed.doors.some((door) => door.entry === entry)) return undefined;
    }
    const recordOf = (page: CodePage, index: number): number => page.records + index * RECORD_SIZE;
    const handlerAt = (record: number): number => view.getUint16(record, true);
    const isTelling = threshold >= LEAST_TELLING_THRESHOLD;
    const jumps = (record: number): number =>
      handlerAt(record) === HANDLER_REGION || this.#requested.has(record)
        ? threshold
        : view.getUint16(this.#counter(record), true);
    const region = findRegion(
      {
        words: this.#words,
        page: (delta) => this.#page(request, delta),
        word: (page, index) => view.getUint32(page.frame * PAGE_BYTES + index * 4, true),
        isKnown: (page, index) => handlerAt(recordOf(page, index)) !== HANDLER_UNDECODED,
        isJumpedTo: (page, index) => !isTelling || jumps(recordOf(page, index)) > 0,
        isCalledOften: (page, index) => !isTelling || jumps(recordOf(page, index)) >= threshold / CALL_SHARE,
        oftenJumpedTo: (page) => {
          const enough = Math.max(1, threshold / CALL_SHARE);
          const often: number[] = [];
          for (let index = 0; index < PAGE_WORDS; index++) {
            if (jumps(recordOf(page, index)) >= enough) often.push(index);
          }
          return often;
        },
      },
      entry * 4,
    );
    return (region.blocks.get(region.entry)?.instructions.length ?? 0) > 0 ? region : undefined;
  }

  /** The page `delta` bytes from the requested entry's, as the soft TLB finds it for execution. */
  #page({ frame, low, high, bank }: Request, delta: number): CodePage | undefined {
    const { records } = this.#host;
    if (delta === 0) {
      const first = records.recordAt(frame, 0);
      return first === undefined ? undefined : { delta, frame, records: first };
    }
    const view = this.#view;
    const address = BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low >>> 0) + BigInt(delta));
    const page = Number(address & 0xffff_ffffn);
    const entry = bank + ((page >>> 7) & ((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE));
    if (view.getBigUint64(entry + SOFT_TLB.EXECUTE_TAG, true) !== address) return undefined;
    const first = view.getInt32(entry + SOFT_TLB.RECORDS, true);
    return { delta, frame: records.frameOf(first), records: first };
  }

  /** False where the code is not what it was when the region was found. */
  #install(
    { frame, entry }: Request,
    region: Region,
    table: EntryTable | undefined,
    compiled: unknown,
  ): boolean {
    const { table: functions, firstTableIndex, records, trace } = this.#host;
    const record = records.recordAt(frame, entry);
    if (record === undefined || this.#view.getUint16(record, true) === HANDLER_REGION) return false;
    const ranges = rangesOf(region);
    for (const range of ranges) trace(range.frame, range.first * 4, (range.last - range.first + 1) * 4);
    if (this.#view.getUint16(record, true) === HANDLER_UNDECODED) return false;
    const doors: Door[] = [];
    for (const place of doorsOf(region, table === undefined)) {
      const at = record + (place - entry) * RECORD_SIZE;
      const handler = this.#view.getUint16(at, true);
      if (handler === HANDLER_REGION || handler === HANDLER_UNDECODED) continue;
      const slot = this.#allocate();
      functions.set(firstTableIndex + slot, compiled);
      const original = this.layout.originals + slot * RECORD_SIZE;
      for (let offset = 0; offset < RECORD_SIZE; offset += 8) {
        this.#view.setBigUint64(original + offset, this.#view.getBigUint64(at + offset, true), true);
      }
      this.#view.setUint16(at, HANDLER_REGION, true);
      this.#view.setInt32(at + REGION_SLOT, slot, true);
      doors.push({ slot, entry: place });
    }
    const installed = { doors, frame, table, ranges };
    for (const range of ranges) {
      const known = this.#installed.get(range.frame);
      if (known === undefined) this.#installed.set(range.frame, new Set([installed]));
      else known.add(installed);
    }
    this.regions++;
    return true;
  }

  #allocate(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#nextSlot < REGION_SLOTS) return this.#nextSlot++;
    this.#forgetAll();
    return this.#allocate();
  }

  /** All slots are taken: start again. Hot code comes back soon. */
  #forgetAll(): void {
    for (const installed of new Set([...this.#installed.values()].flatMap((set) => [...set]))) {
      this.#remove(installed);
    }
    if (this.#free.length === 0) throw new Bug("no region slot could be freed");
  }

  /** Bytes [first, first + length) of the frame were written. */
  invalidate(frame: number, first: number, length: number): void {
    const from = first >> 2;
    const to = (first + length - 1) >> 2;
    for (const installed of [...(this.#installed.get(frame) ?? [])]) {
      const isHit = installed.ranges.some(
        (range) => range.frame === frame && range.last >= from && range.first <= to,
      );
      if (isHit) this.#remove(installed);
    }
  }

  /** All records of the frame are gone or undecoded again. */
  forget(frame: number): void {
    this.invalidate(frame, 0, 4096);
    for (let index = 0; index < PAGE_WORDS; index++) {
      const record = this.#host.records.recordAt(frame, index);
      if (record !== undefined) this.#view.setUint16(this.#counter(record), 0, true);
    }
  }

  #remove(installed: Installed): void {
    const { doors, frame, table, ranges } = installed;
    this.invalidations++;
    for (const range of ranges) {
      const known = this.#installed.get(range.frame);
      known?.delete(installed);
      if (known?.size === 0) this.#installed.delete(range.frame);
    }
    for (const { slot, entry } of doors) {
      const record = this.#host.records.recordAt(frame, entry);
      if (record !== undefined) {
        if (this.#view.getUint16(record, true) === HANDLER_REGION) {
          this.#view.setUint16(record, HANDLER_UNDECODED, true);
        }
        this.#view.setUint16(this.#counter(record), 0, true);
      }
      this.#host.table.set(this.#host.firstTableIndex + slot, null);
      this.#free.push(slot);
    }
    if (table !== undefined) this.#tables.remove(table);
  }

  #counter(record: number): number {
    return this.layout.counters + ((record >>> 3) & 0x1fffe);
  }
}

/** Places of the first page where the region may be entered; `first`: where it begins only. */
function doorsOf({ entry, entries, blocks }: Region, first: boolean): number[] {
  return (first ? [entry] : entries).flatMap((name) => {
    const block = blocks.get(name);
    return block === undefined || block.page.delta !== 0 || !isOwn(block) ? [] : [block.start / 4];
  });
}

/** One range for each page, from its first word to its last. */
function rangesOf(region: Region): Range[] {
  const ranges = new Map<number, Range>();
  for (const { page, instructions } of region.blocks.values()) {
    for (const { offset } of instructions) {
      const index = (offset - page.delta) / 4;
      const { first = index, last = index } = ranges.get(page.frame) ?? {};
      ranges.set(page.frame, {
        frame: page.frame,
        first: Math.min(first, index),
        last: Math.max(last, index),
      });
    }
  }
  return [...ranges.values()];
}
