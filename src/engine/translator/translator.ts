import { Bug } from "../../base/errors.ts";
import type { Decoded } from "../../isa/decoder.ts";
import { ModuleWriter } from "../../wasm/module-writer.ts";
import {
  importRuntimeFunctions,
  REGION_SIGNATURE,
  type RegionLayout,
  translatorImports,
} from "../interpreter/core-module.ts";
import type { Handler, HandlerSet } from "../interpreter/handler-set.ts";
import { HANDLER_REGION, HANDLER_UNDECODED, REGION_SLOT } from "../interpreter/record.ts";
import type { RecordCache } from "../interpreter/record-cache.ts";
import { findRegion, type Region } from "./region.ts";
import { RegionEmitter } from "./region-emitter.ts";
import { REGION_MEMORY, REGION_SLOTS } from "./region-memory.ts";

const PAGE_WORDS = 1024;
/** Regions of one module: enough to spread a module's cost, few enough to keep a pause short. */
const BATCH = 32;

/** After so many modules that the host did not compile nothing more is tried. */
const FAILURES = 8;

export interface TranslatorHost {
  readonly threshold: number;
  readonly base: number;
  readonly memory: WebAssembly.Memory;
  readonly table: WebAssembly.Table;
  readonly firstTableIndex: number;
  readonly imports: Record<string, Record<string, WebAssembly.ImportValue>>;
  decode(word: number): Decoded | undefined;
  readonly handlers: HandlerSet;
  readonly records: RecordCache;
  trace(frame: number, first: number, length: number): void;
  onNewHandler(handler: Handler): void;
}

/** A translated region: where it is, which words it was made from. */
interface Installed {
  readonly slot: number;
  readonly entry: number;
  readonly first: number;
  readonly last: number;
}

/** Turns code that is jumped to often into WebAssembly functions, and forgets them when the code changes. */
export class Translator {
  readonly layout: RegionLayout;
  readonly #host: TranslatorHost;
  readonly #view: DataView;
  readonly #installed = new Map<number, Installed[]>();
  readonly #free: number[] = [];
  #nextSlot = 0;
  /** Frame and place of entries to translate. */
  readonly #requests: { frame: number; entry: number }[] = [];
  regions = 0;
  invalidations = 0;
  modules = 0;
  codeBytes = 0;
  /** Modules that the host did not compile. */
  failures = 0;

  constructor(host: TranslatorHost) {
    this.#host = host;
    this.#view = new DataView(host.memory.buffer);
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

  /** The code at `record` is jumped to often. */
  request(record: number): void {
    if (this.#view.getUint16(record, true) === HANDLER_REGION || this.failures > FAILURES) return;
    const { records } = this.#host;
    this.#requests.push({ frame: records.frameOf(record), entry: records.indexInPage(record) });
  }

  /** Translates what was requested. Called between runs, when no record is at hand. */
  translateHot(): void {
    while (this.#requests.length > 0) this.#translate(this.#requests.splice(0, BATCH));
  }

  #translate(requests: readonly { frame: number; entry: number }[]): void {
    const regions = requests.flatMap(({ frame, entry }) => {
      const region = this.#find(frame, entry);
      return region === undefined ? [] : [{ frame, region }];
    });
    if (regions.length === 0) return;
    const module = new ModuleWriter();
    const imports = translatorImports(module, this.#host.memory.buffer.byteLength / 65536);
    importRuntimeFunctions(
      imports,
      regions.flatMap(({ region }) =>
        [...region.blocks.values()].flatMap(({ instructions }) => instructions.map(({ handler }) => handler)),
      ),
    );
    regions.forEach(({ region }, index) => {
      new RegionEmitter(module.function(REGION_SIGNATURE, `r${index}`).body, imports, region).emit();
    });
    const bytes = module.finish();
    const instance = this.#compile(bytes);
    if (instance === undefined) return;
    this.modules++;
    this.codeBytes += bytes.length;
    regions.forEach(({ frame, region }, index) => {
      this.#install(frame, region, instance.exports[`r${index}`]);
    });
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

  #find(frame: number, entry: number): Region | undefined {
    const { decode, handlers, records, onNewHandler } = this.#host;
    if (records.recordAt(frame, entry) === undefined) return undefined;
    if (this.#installed.get(frame)?.some((installed) => installed.entry === entry) === true) return undefined;
    const region = findRegion(
      {
        decode,
        handlers,
        word: (index) => this.#view.getUint32(frame * 4096 + index * 4, true),
        onNewHandler,
      },
      entry,
    );
    return (region.blocks.get(entry)?.instructions.length ?? 0) > 0 ? region : undefined;
  }

  #install(frame: number, region: Region, compiled: unknown): void {
    const { table, firstTableIndex, records, trace } = this.#host;
    const record = records.recordAt(frame, region.entry);
    if (record === undefined || this.#view.getUint16(record, true) === HANDLER_REGION) return;
    const words = [...region.blocks.values()].flatMap(({ instructions }) =>
      instructions.map(({ index }) => index),
    );
    const first = Math.min(...words);
    const last = Math.max(...words);
    trace(frame, first * 4, (last - first + 1) * 4);
    if (this.#view.getUint16(record, true) === HANDLER_UNDECODED) return;
    const slot = this.#allocate();
    table.set(firstTableIndex + slot, compiled);
    const original = this.layout.originals + slot * 16;
    for (let offset = 0; offset < 16; offset += 8) {
      this.#view.setBigUint64(original + offset, this.#view.getBigUint64(record + offset, true), true);
    }
    this.#view.setUint16(record, HANDLER_REGION, true);
    this.#view.setInt32(record + REGION_SLOT, slot, true);
    const known = this.#installed.get(frame);
    const installed = { slot, entry: region.entry, first, last };
    if (known === undefined) this.#installed.set(frame, [installed]);
    else known.push(installed);
    this.regions++;
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
    for (const [frame, list] of this.#installed) for (const installed of list) this.#remove(frame, installed);
    this.#installed.clear();
    if (this.#free.length === 0) throw new Bug("no region slot could be freed");
  }

  /** Bytes [first, first + length) of the frame were written. */
  invalidate(frame: number, first: number, length: number): void {
    const list = this.#installed.get(frame);
    if (list === undefined) return;
    const from = first >> 2;
    const to = (first + length - 1) >> 2;
    const kept = list.filter((installed) => {
      if (installed.last < from || installed.first > to) return true;
      this.#remove(frame, installed);
      return false;
    });
    if (kept.length > 0) this.#installed.set(frame, kept);
    else this.#installed.delete(frame);
  }

  /** All records of the frame are gone or undecoded again. */
  forget(frame: number): void {
    this.invalidate(frame, 0, 4096);
    for (let index = 0; index < PAGE_WORDS; index++) {
      const record = this.#host.records.recordAt(frame, index);
      if (record !== undefined) this.#view.setUint16(this.#counter(record), 0, true);
    }
  }

  #remove(frame: number, { slot, entry }: Installed): void {
    this.invalidations++;
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

  #counter(record: number): number {
    return this.layout.counters + ((record >>> 3) & 0x1fffe);
  }
}
