import { Bug } from "../../base/errors.ts";
import type { RegionLayout } from "../interpreter/core-module.ts";
import { HANDLER_PAGE_END, HANDLER_REGION, HANDLER_UNDECODED, RECORD_SIZE } from "../interpreter/record.ts";
import type { RecordCache } from "../interpreter/record-cache.ts";
import { cachedRanges } from "./cached-region.ts";
import { type CachedRegion, type CodeCache, KEEPING_THRESHOLD } from "./code-cache.ts";
import { openDoor } from "./doors.ts";
import { type EntryTable, EntryTables, type EntryWords } from "./entry-tables.ts";
import { FunctionPlaces } from "./function-places.ts";
import { InstructionWords, type WordSource } from "./instruction-words.ts";
import { type CodePage, findRegion, type Region } from "./region.ts";
import type { CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import { REGION_MEMORY, REGION_SLOTS } from "./region-memory.ts";
import { REGION_VARIABLES, regionName } from "./region-module.ts";
import { pageOf, requestOf } from "./request.ts";
import { Restorer } from "./restorer.ts";
import {
  codePlace,
  type Door,
  entriesOf,
  leadersOf,
  pagesOf,
  type Request,
  rangesOf,
  type Translation,
} from "./translation.ts";

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
/** Nor is code that control comes to this much less often. */
const USED_SHARE = 64;

const NOWHERE: ReadonlySet<number> = new Set();

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
  readonly compiler: RegionCompiler;
  /** Undefined: nothing is kept for later machines, and nothing of earlier ones is used. */
  readonly codeCache?: CodeCache | undefined;
  trace(frame: number, first: number, length: number): void;
}

/** Turns code that is jumped to often into WebAssembly functions, and forgets them when the code changes. */
export class Translator {
  readonly layout: RegionLayout;
  /** Puts in place what earlier machines kept. */
  readonly restorer: Restorer | undefined;
  readonly #host: TranslatorHost;
  readonly #view: DataView;
  readonly #words: InstructionWords;
  /** By each frame that a region is made from. */
  readonly #translations = new Map<number, Set<Translation>>();
  readonly #free: number[] = [];
  readonly #tables: EntryTables;
  readonly #functions: FunctionPlaces;
  #nextSlot = 0;
  readonly #requests: Request[] = [];
  /** The records of those, and of what is being compiled: their counters have begun again. */
  readonly #requested = new Set<number>();
  /** Runs since the first of them. */
  #waited = 0;
  /** For records that were jumped to KEEPING_THRESHOLD times, how often that was so. */
  readonly #levels = new Map<number, number>();
  /** To be kept for later machines. */
  #noted: Request[] = [];
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
    this.restorer = host.codeCache && this.#openRestorer(host.codeCache);
    this.#functions = new FunctionPlaces(host.table, host.firstTableIndex);
    this.#tables = new EntryTables(host.memory.buffer, host.base + REGION_MEMORY.ENTRY_TABLES);
    this.layout = {
      originals: host.base + REGION_MEMORY.ORIGINALS,
      records: host.records.base,
      counters: host.base + REGION_MEMORY.COUNTERS,
      threshold: host.codeCache === undefined ? host.threshold : Math.min(host.threshold, KEEPING_THRESHOLD),
      statistics: host.base + REGION_MEMORY.STATISTICS,
    };
  }

  /** What earlier machines kept. */
  get cache(): CodeCache | undefined {
    return this.#host.codeCache;
  }

  /** Where regions are compiled. */
  get place(): string {
    return this.#host.compiler.place;
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
    const request = requestOf(this.#view, this.#host.records, pe, record);
    if (!this.#isHot(request)) return;
    this.#requested.add(record);
    this.#requests.push({ ...request, entry: this.#translatable(request.frame, request.entry) });
  }

  /** With a cache the host hears of code earlier, so that later machines have it from the beginning. */
  #isHot(request: Request): boolean {
    const step = this.layout.threshold;
    if (step === this.#host.threshold) return true;
    const level = (this.#levels.get(request.record) ?? 0) + 1;
    this.#levels.set(request.record, level);
    if (level === 1) this.#noted.push(request);
    return level * step >= this.#host.threshold;
  }

  /** The place itself, or the next one where a region cannot begin with what is there: a system instruction. */
  #translatable(frame: number, index: number): number {
    const word = this.#view.getUint32(frame * PAGE_BYTES + index * 4, true);
    return index + 1 < PAGE_WORDS && this.#words.of(word)?.flow.kind === "leave" ? index + 1 : index;
  }

  /** Called after each run: translates what was requested once that makes a batch, or has waited for some runs. */
  pause(): void {
    if (this.#noted.length > 0) this.#note();
    if (this.#requests.length === 0 || this.#host.compiler.isBusy) return;
    const isEnough = this.#requests.length >= ENOUGH || this.#host.threshold < LEAST_TELLING_THRESHOLD;
    if (isEnough || ++this.#waited >= PATIENCE) this.translateHot();
  }

  /** Translates what was requested, or what the compiler can take of it. Called between runs, when no record is at hand. */
  translateHot(): void {
    this.#waited = 0;
    while (this.#requests.length > 0 && !this.#host.compiler.isBusy) {
      this.#translate(this.#requests.splice(0, BATCH));
    }
  }

  #translate(requests: readonly Request[]): void {
    const { compiler, tracksRegisters, isUniprocessor, memory } = this.#host;
    const found = requests.flatMap((request) => {
      const region = this.#find(request);
      return region === undefined ? [] : [{ request, region }];
    });
    // The largest first: those whose beginning another one has as a part come too late.
    found.sort((a, b) => b.region.blocks.size - a.region.blocks.size);
    const begun = found.flatMap(({ request, region }) => {
      if (this.#isUnderWay(request)) return [];
      this.cache?.note(request.frame, request.entry, region);
      return [{ region, translation: this.#begin(request, region) }];
    });
    const translations = begun.map(({ translation }) => translation);
    const finish = (made: CompiledRegions | undefined): void => {
      if (made !== undefined) this.#finish(translations, made);
      else this.#fail(translations);
      for (const { record } of requests) this.#requested.delete(record);
    };
    if (translations.length === 0) {
      for (const { record } of requests) this.#requested.delete(record);
      return;
    }
    const regions = begun.map(({ region, translation: { request } }) => ({
      region,
      element: isUniprocessor ? request.pe : undefined,
    }));
    compiler.compile({ memoryPages: memory.buffer.byteLength / 65536, tracksRegisters, regions }, finish);
  }

  /** True where a region with this place in it is being made: control may soon not come here any more. */
  #isUnderWay({ frame, entry }: Request): boolean {
    for (const { compiled, leaders } of this.#translations.get(frame) ?? []) {
      if (compiled === undefined && leaders.has(codePlace(frame, entry))) return true;
    }
    return false;
  }

  #begin(request: Request, region: Region): Translation {
    const translation: Translation = {
      ...{ request, pages: pagesOf(region), ranges: rangesOf(region) },
      ...{ places: entriesOf(region), entries: entriesOf(region), doors: [], leaders: leadersOf(region) },
      ...{ table: undefined, function: undefined, compiled: undefined, release: undefined, isGone: false },
    };
    this.#watch(translation);
    return translation;
  }

  /** From now on a write to the code ends the translation. */
  #watch(translation: Translation): void {
    for (const { frame, first, last } of translation.ranges) {
      this.#host.trace(frame, first * 4, (last - first + 1) * 4);
      const known = this.#translations.get(frame);
      if (known === undefined) this.#translations.set(frame, new Set([translation]));
      else known.add(translation);
    }
  }

  #finish(translations: readonly Translation[], { module, codeBytes, entries }: CompiledRegions): void {
    const instance = this.#instantiate(module);
    if (instance === undefined) {
      this.#fail(translations);
      return;
    }
    this.modules++;
    this.codeBytes += codeBytes;
    translations.forEach((translation, position) => {
      this.#place(translation, instance, position, entries[position]);
    });
  }

  /** Puts the instance's region at the position in place; it ends where that cannot be. */
  #place(
    translation: Translation,
    { exports }: WebAssembly.Instance,
    position: number,
    words: EntryWords | undefined,
  ): void {
    if (translation.isGone) return;
    const set = (name: string, value: number): void => {
      const variable = exports[name];
      if (variable instanceof WebAssembly.Global) variable.value = value;
    };
    if (words !== undefined) {
      const table = this.#entryTable(words);
      translation.table = table;
      if (table !== undefined) set(REGION_VARIABLES.entryTable(position), table.address - table.low);
    }
    for (const { delta, records } of translation.pages) {
      set(REGION_VARIABLES.pageRecords(position, delta), records);
    }
    // Without the table that it looks its entries up in the region must not be entered.
    const isReady = words === undefined || translation.table !== undefined;
    if (!isReady || !this.#install(translation, exports[regionName(position)])) this.#remove(translation);
  }

  #fail(translations: readonly Translation[]): void {
    this.failures++;
    for (const translation of translations) if (!translation.isGone) this.#remove(translation);
  }

  #entryTable(words: EntryWords): EntryTable | undefined {
    const table = this.#tables.make(words);
    if (table !== undefined) return table;
    this.#forgetAll();
    return this.#tables.make(words);
  }

  /** Undefined where the host cannot: out of memory for code, beyond a limit of its own. Then nothing is translated. */
  #instantiate(module: WebAssembly.Module): WebAssembly.Instance | undefined {
    try {
      return new WebAssembly.Instance(module, this.#host.imports);
    } catch {
      return undefined;
    }
  }

  /** The region of what is translated after `threshold` jumps. */
  #find(request: Request, threshold: number = this.#host.threshold): Region | undefined {
    const { frame, entry } = request;
    const { records } = this.#host;
    const view = this.#view;
    if (records.recordAt(frame, entry) === undefined) return undefined;
    for (const { request: other, entries } of this.#translations.get(frame) ?? []) {
      if (other.frame === frame && entries.includes(entry)) return undefined;
    }
    const recordOf = (page: CodePage, index: number): number => page.records + index * RECORD_SIZE;
    const handlerAt = (record: number): number => view.getUint16(record, true);
    const isTelling = threshold >= LEAST_TELLING_THRESHOLD;
    const jumps = (record: number): number =>
      handlerAt(record) === HANDLER_REGION || this.#requested.has(record)
        ? threshold
        : view.getUint16(this.#counter(record), true) +
          this.layout.threshold * (this.#levels.get(record) ?? 0);
    const region = findRegion(
      {
        words: this.#words,
        page: (delta) => pageOf(this.#view, this.#host.records, request, delta),
        word: (page, index) => view.getUint32(page.frame * PAGE_BYTES + index * 4, true),
        isKnown: (page, index) => handlerAt(recordOf(page, index)) !== HANDLER_UNDECODED,
        isUsed: (page, index) => !isTelling || jumps(recordOf(page, index)) >= threshold / USED_SHARE,
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

  /** False where the region could not be entered. */
  #install(translation: Translation, compiled: unknown): boolean {
    const { entry } = translation.request;
    translation.compiled = compiled;
    const doors: Door[] = [];
    for (const place of translation.table === undefined ? [entry] : translation.places) {
      const door = this.#open(translation, place);
      if (door !== undefined) doors.push(door);
      else if (place === entry) break;
    }
    if (doors.length === 0) return false;
    translation.doors = doors;
    translation.entries = doors.map((door) => door.entry);
    this.regions++;
    return true;
  }

  /** Has the region entered at a place of its first page, where that is decoded and nothing else is there. */
  #open(translation: Translation, place: number): Door | undefined {
    const { records } = this.#host;
    const slot = this.#allocate();
    const at = records.recordAt(translation.request.frame, place);
    const handler = at === undefined ? HANDLER_UNDECODED : this.#view.getUint16(at, true);
    const isTaken = handler === HANDLER_REGION || handler === HANDLER_UNDECODED;
    // To have a slot all translations may have been forgotten.
    if (at === undefined || isTaken || translation.isGone) {
      this.#free.push(slot);
      return undefined;
    }
    translation.function ??= this.#functions.put(translation.compiled);
    openDoor(this.#view, {
      ...{ record: at, slot, original: this.layout.originals + slot * RECORD_SIZE },
      function: translation.function,
      entry: translation.table === undefined ? 0 : this.#tables.numberOf(translation.table, place),
    });
    return { slot, entry: place };
  }

  #note(): void {
    const noted = this.#noted;
    this.#noted = [];
    for (const request of noted) {
      const entry = this.#translatable(request.frame, request.entry);
      const region = this.#find({ ...request, entry }, this.layout.threshold);
      if (region !== undefined) this.cache?.note(request.frame, entry, region);
    }
  }

  /** The record was decoded: what was kept of the code there is put in place. True where that is so. */
  arrive(pe: number, record: number): boolean {
    return this.restorer?.arrive(requestOf(this.#view, this.#host.records, pe, record)) ?? false;
  }

  #openRestorer(cache: CodeCache): Restorer {
    const { memory, records } = this.#host;
    return new Restorer({
      ...{ cache, memory, records },
      page: (request, delta) => pageOf(this.#view, this.#host.records, request, delta),
      enterKnown: (request) => this.#enterKnown(request),
      place: (request, cached, pages) => this.#placeCached(request, cached, pages),
    });
  }

  #enterKnown({ frame, entry }: Request): boolean {
    for (const known of this.#translations.get(frame) ?? []) {
      const isItsPlace = known.request.frame === frame && known.table !== undefined;
      if (!isItsPlace || known.doors.length === 0 || !known.places.includes(entry)) continue;
      const door = this.#open(known, entry);
      if (door === undefined) return false;
      known.doors = [...known.doors, door];
      known.entries = [...known.entries, entry];
      return true;
    }
    return false;
  }

  #placeCached(request: Request, cached: CachedRegion, pages: readonly CodePage[]): boolean {
    const { shelf, position, entryWords, places } = cached;
    const taken = shelf.take(position, (module) => this.#instantiate(module));
    if (taken === undefined) return false;
    const translation: Translation = {
      ...{ request, pages, ranges: cachedRanges(cached, pages), places, entries: places, doors: [] },
      leaders: NOWHERE,
      ...{
        table: undefined,
        function: undefined,
        compiled: undefined,
        release: taken.release,
        isGone: false,
      },
    };
    this.#watch(translation);
    this.#place(translation, taken.instance, position, entryWords);
    return !translation.isGone;
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
    for (const translation of new Set([...this.#translations.values()].flatMap((set) => [...set]))) {
      if (translation.doors.length > 0) this.#remove(translation);
    }
    if (this.#free.length === 0) throw new Bug("no region slot could be freed");
  }

  /** True where a region, in place or being made, has code of the frame. */
  hasCodeOf(frame: number): boolean {
    return this.#translations.has(frame);
  }

  /** Bytes [first, first + length) of the frame were written. */
  invalidate(frame: number, first: number, length: number): void {
    const from = first >> 2;
    const to = (first + length - 1) >> 2;
    for (const translation of [...(this.#translations.get(frame) ?? [])]) {
      const isHit = translation.ranges.some(
        (range) => range.frame === frame && range.last >= from && range.first <= to,
      );
      if (isHit) this.#remove(translation);
    }
  }

  /** All records of the frame are gone or undecoded again. */
  forget(frame: number): void {
    this.invalidate(frame, 0, 4096);
    for (let index = 0; index < PAGE_WORDS; index++) {
      const record = this.#host.records.recordAt(frame, index);
      if (record === undefined) continue;
      this.#view.setUint16(this.#counter(record), 0, true);
      this.#levels.delete(record);
    }
  }

  #remove(translation: Translation): void {
    const { request, doors, table, ranges } = translation;
    translation.isGone = true;
    if (doors.length > 0) this.invalidations++;
    for (const { frame } of ranges) {
      const known = this.#translations.get(frame);
      known?.delete(translation);
      if (known?.size === 0) this.#translations.delete(frame);
    }
    for (const { slot, entry } of doors) {
      const record = this.#host.records.recordAt(request.frame, entry);
      if (record !== undefined) {
        if (this.#view.getUint16(record, true) === HANDLER_REGION) {
          this.#view.setUint16(record, HANDLER_UNDECODED, true);
        }
        this.#view.setUint16(this.#counter(record), 0, true);
        this.#levels.delete(record);
      }
      this.#free.push(slot);
    }
    if (translation.function !== undefined) this.#functions.remove(translation.function);
    if (table !== undefined) this.#tables.remove(table);
    translation.release?.();
  }

  #counter(record: number): number {
    return this.layout.counters + ((record - this.layout.records) >>> 3);
  }
}
