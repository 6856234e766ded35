import { Bug } from "../../base/errors.ts";
import type { Decoded } from "../../isa/decoder.ts";
import type { ImmediateOperand } from "../../isa/operands.ts";
import { type FloatingPointContext, RUNTIME_FUNCTIONS } from "../../isa/runtime-functions.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { MissFunctions } from "../../mmu/shadow/miss-module.ts";
import { hostFusesMultiplyAdd } from "../fused-multiply-add.ts";
import type { CodeCache } from "../translator/code-cache.ts";
import type { RegionCompiler } from "../translator/region-compiler.ts";
import { REGION_SLOTS } from "../translator/region-memory.ts";
import { Translator } from "../translator/translator.ts";
import { coreModule, HOST, type HotArm, handlerModule } from "./core-module.ts";
import { FastDecoder, type FastDecoderParts } from "./fast-decoder.ts";
import { type Handler, HandlerSet } from "./handler-set.ts";
import { type EngineOperation, PROCESSOR_OPERATIONS } from "./processor-operations.ts";
import {
  FIRST_HANDLER,
  fillRecord,
  HANDLER_REGION,
  HANDLER_UNDECODED,
  RECORD_PAGE_STRIDE,
  RECORD_SIZE,
} from "./record.ts";
import { CODE_GRANULE, RecordCache } from "./record-cache.ts";

/** What the interpreter needs of one processing element. */
export interface InterpretedElement {
  /** Address of its PE_LAYOUT block. */
  readonly base: number;
  /** See mmu/data-access.ts for the answers. */
  load(low: number, high: number, size: number, flags: number): number;
  store(low: number, high: number, size: number, flags: number): number;
  prepareWrite(low: number, high: number, size: number, flags: number): number;
  /** Host address of the frame that PC lies in, or 0 after an exception was taken. */
  fetch(): number;
  /**
   * Executes a processor operation for the instruction at PC. 0: the next instruction follows and nothing
   * that generated code keeps (context, PC) has changed; else PC says where to go on.
   */
  execute(operation: EngineOperation, a: number, b: number, c: number): number;
  /** Before an instruction in exact runs: true when an exception was taken instead. */
  beforeInstruction(): boolean;
}

export interface InterpreterOptions extends FastDecoderParts {
  readonly memory: WebAssembly.Memory;
  /** Instruction words whose handlers become arms of the switch, hottest first. */
  readonly hotWords: readonly number[];
  /** Words whose handlers are compiled at the start, as functions. */
  readonly warmWords?: readonly number[];
  /** Address of room for the record cache, and how many pages fit. */
  readonly recordsBase: number;
  readonly recordPages: number;
  trace(frame: number, first: number, length: number): void;
  untrace(frame: number): void;
  /** The machine's clock, for reads of counters that the processor leaves to engines (cpu/inline-counters.ts). */
  readonly ticks: () => number;
  /** Every soft-TLB bank of every element, as addresses. */
  banks(): Iterable<number>;
  /** Address of 4 * HANDLER_LIMIT zeroed bytes: dispatches are counted there by handler number. */
  readonly profile?: number;
  /** Puts faster functions before the host's that serve misses of the soft TLB. */
  readonly serveMisses?: ((host: MissFunctions) => MissFunctions) | undefined;
  /** Turns hot code into regions, when there is a translator. */
  readonly translator: TranslatorOptions | undefined;
}

export interface TranslatorOptions {
  /** Jumps to a target before it is translated, 1 to 65535. */
  readonly threshold: number;
  /** Guest registers stay in locals from block to block of a region (row P1); false is for comparison. */
  readonly tracksRegisters: boolean;
  /** Address of {@link regionMemoryBytes} bytes, 16-byte aligned. */
  readonly base: number;
  /** There is one processing element only, so that regions may know its address. */
  readonly isUniprocessor: boolean;
  readonly compiler: RegionCompiler;
  /** Keeps regions for later machines, and has those of earlier ones. */
  readonly codeCache?: CodeCache | undefined;
}

/** A decoded word, ready to be copied into records. */
interface Template {
  readonly word0: number;
  readonly word1: number;
  readonly word2: number;
  readonly word3: number;
  /** The next instruction is never executed after this one. */
  readonly ends: boolean;
  /** For PC-relative branches: the handler to use when the target is in the same page, and the offset. */
  readonly inPageNumber: number;
  readonly offset: number;
}

type RunFunction = (pe: number, fuel: number) => number;
type RunExactlyFunction = (pe: number, fuel: number, hook: number) => number;

export const HANDLER_LIMIT = 16384;
const TABLE_SIZE = HANDLER_LIMIT + REGION_SLOTS;
const TEMPLATE_LIMIT = 1 << 18;
/** `run` may overshoot by the instructions of one page and of one region. */
export const RUN_OVERSHOOT = 1025 + 512;

/** Executes A64 code by an interpreter generated from the instruction table. */
export class Interpreter {
  readonly #options: InterpreterOptions;
  readonly #handlers = new HandlerSet(hostFusesMultiplyAdd());
  readonly #decoder: FastDecoder;
  readonly #table: WebAssembly.Table;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #memoryPages: number;
  readonly #inPageNumbers = new Map<number, number>();
  readonly #templates = new Map<number, Template>();
  readonly #undefinedTemplate: Template;
  readonly #imports: Record<string, Record<string, WebAssembly.ImportValue>>;
  readonly #run: RunFunction;
  readonly #runExactly: RunExactlyFunction;
  readonly records: RecordCache;
  readonly translator: Translator | undefined;
  #element: InterpretedElement | undefined;
  /** Instructions decoded into records, for statistics. */
  decoded = 0;
  /** Distinct handlers that were compiled on demand. */
  coldHandlers = 0;

  constructor(options: InterpreterOptions) {
    this.#options = options;
    this.#decoder = new FastDecoder(options);
    const { buffer } = options.memory;
    this.#view = new DataView(buffer);
    this.#words = new Int32Array(buffer);
    this.#memoryPages = buffer.byteLength / 65536;
    this.#table = new WebAssembly.Table({ element: "anyfunc", initial: TABLE_SIZE });
    this.records = new RecordCache(buffer, options.recordsBase, options.recordPages, {
      trace: options.trace,
      untrace: options.untrace,
      isWorthKeeping: (frame) => this.translator?.hasCodeOf(frame) ?? false,
      forgotten: (frame) => this.translator?.forget(frame),
      forgetExecuteTags: (isForgotten) => this.#forgetExecuteTags(isForgotten),
    });
    this.#imports = { [HOST]: this.#hostFunctions() };
    this.translator = this.#makeTranslator(options);
    const arms = this.#hotArms();
    const warm = this.#warmHandlers();
    const bytes = coreModule(arms, warm, this.#memoryPages, TABLE_SIZE, {
      regions: this.translator?.layout,
      profile: options.profile,
    });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    this.#run = exportedFunction<RunFunction>(instance, "run");
    this.#runExactly = exportedFunction<RunExactlyFunction>(instance, "runExactly");
    arms.forEach(({ handler }, index) => {
      this.#table.set(index + FIRST_HANDLER, exportedFunction(instance, `h${handler.number}`));
    });
    for (const { number } of warm) this.#table.set(number, exportedFunction(instance, `h${number}`));
    if (this.translator !== undefined) {
      this.#table.set(HANDLER_REGION, exportedFunction(instance, "original"));
    }
    this.#undefinedTemplate = this.#templateOf({
      instruction: {
        name: "UNDEFINED",
        encoding: "",
        assembly: "",
        manual: "",
        feature: undefined,
        simd: false,
        where: undefined,
        operands: undefined,
        execute: (_, s) => s.processor("undefinedInstruction"),
      },
      operands: {},
    });
  }

  #makeTranslator(options: InterpreterOptions): Translator | undefined {
    if (options.translator === undefined) return undefined;
    return new Translator({
      ...options.translator,
      memory: options.memory,
      table: this.#table,
      firstTableIndex: HANDLER_LIMIT,
      imports: this.#imports,
      decode: (word) => this.#decoder.decode(word),
      handlers: this.#handlers,
      records: this.records,
      trace: options.trace,
      onNewHandler: (handler) => this.#compile(handler),
    });
  }

  /** Bytes [first, first + length) of a frame with traced code were written. */
  codeWritten(frame: number, first: number, length: number): void {
    this.translator?.invalidate(frame, first, length);
    this.records.invalidate(frame, first, length);
  }

  /**
   * Runs `element` for about `fuel` instructions (at least 0, at most RUN_OVERSHOOT more) or until its
   * attention is asked for. Returns the instructions charged.
   */
  run(element: InterpretedElement, fuel: number): number {
    return this.#count(element, fuel, () => this.#run(element.base, fuel));
  }

  /** Runs exactly `fuel` instructions unless attention is asked for. `hook`: ask before each. */
  runExactly(element: InterpretedElement, fuel: number, hook: boolean): number {
    return this.#count(element, fuel, () => this.#runExactly(element.base, fuel, hook ? 1 : 0));
  }

  #count(element: InterpretedElement, fuel: number, run: () => number): number {
    const { base } = element;
    const view = this.#view;
    const before = view.getBigUint64(base + PE_LAYOUT.INSTRUCTIONS, true);
    view.setBigUint64(base + PE_LAYOUT.INSTRUCTIONS, before + BigInt(fuel), true);
    view.setInt32(base + PE_LAYOUT.FUEL, fuel, true);
    this.#element = element;
    const left = run();
    this.#element = undefined;
    this.translator?.pause();
    view.setBigUint64(base + PE_LAYOUT.INSTRUCTIONS, before + BigInt(fuel - left), true);
    view.setInt32(base + PE_LAYOUT.FUEL, 0, true);
    return fuel - left;
  }

  #current(): InterpretedElement {
    if (this.#element === undefined) throw new Bug("generated code runs for no element");
    return this.#element;
  }

  #accessFunctions(): MissFunctions {
    return {
      slowLoad: (_pe, low, high, size, flags) => this.#current().load(low, high, size, flags),
      slowStore: (_pe, low, high, size, flags) => this.#current().store(low, high, size, flags),
      prepareWrite: (_pe, low, high, size, flags) => this.#current().prepareWrite(low, high, size, flags),
    };
  }

  #hostFunctions(): Record<string, WebAssembly.ImportValue> {
    const context: FloatingPointContext = this.#floatingPointContext();
    const access = this.#accessFunctions();
    const host: Record<string, WebAssembly.ImportValue> = {
      ...(this.#options.serveMisses?.(access) ?? access),
      memory: this.#options.memory,
      table: this.#table,
      processor: (_pe: number, operation: number, a: number, b: number, c: number) => {
        const name = PROCESSOR_OPERATIONS[operation];
        if (name === undefined) throw new Bug(`no processor operation has number ${operation}`);
        return this.#current().execute(name, a, b, c);
      },
      ticks: this.#options.ticks,
      fetch: (pe: number) => this.#fetch(pe),
      decode: (record: number) => this.#decode(record),
      hot: (pe: number, record: number) => this.translator?.request(pe, record),
      beforeInstruction: (_pe: number) => (this.#current().beforeInstruction() ? 1 : 0),
    };
    for (const [name, definition] of Object.entries(RUNTIME_FUNCTIONS)) {
      // WebAssembly passes what the definition's operand types say.
      const run = definition.run as (
        context: FloatingPointContext,
        ...operands: unknown[]
      ) => number | bigint;
      host[name] = (...operands: unknown[]) => run(context, ...operands);
    }
    return host;
  }

  #floatingPointContext(): FloatingPointContext {
    const view = this.#view;
    const base = (): number => this.#current().base;
    return {
      get control() {
        return view.getUint32(base() + PE_LAYOUT.FPCR, true);
      },
      raise(flags: number) {
        const at = base() + PE_LAYOUT.FPSR;
        view.setUint32(at, (view.getUint32(at, true) | flags) >>> 0, true);
      },
    };
  }

  #hotArms(): HotArm[] {
    const arms: HotArm[] = [];
    for (const word of this.#options.hotWords) {
      const decoded = this.#decoder.decode(word);
      if (decoded === undefined) throw new Bug(`hot word 0x${word.toString(16)} is undefined`);
      const { handler, isNew } = this.#handlers.handlerOf(decoded);
      if (!isNew) continue;
      arms.push({ handler, inPage: false });
      if (handler.branchesRelatively) {
        this.#inPageNumbers.set(handler.number, this.#handlers.reserveNumber());
        arms.push({ handler, inPage: true });
      }
    }
    return arms;
  }

  #warmHandlers(): Handler[] {
    const handlers: Handler[] = [];
    for (const word of this.#options.warmWords ?? []) {
      const decoded = this.#decoder.decode(word);
      if (decoded === undefined) throw new Bug(`warm word 0x${word.toString(16)} is undefined`);
      const { handler, isNew } = this.#handlers.handlerOf(decoded);
      if (isNew) handlers.push(handler);
    }
    return handlers;
  }

  /** 1 when the soft TLB now has the page of PC with its records, 0 when an exception was taken. */
  #fetch(pe: number): number {
    const view = this.#view;
    const low = view.getUint32(pe + PE_LAYOUT.PC, true);
    const frame = this.#current().fetch();
    if (frame === 0) return 0;
    const records = this.records.recordsOf(frame);
    const bank = view.getUint32(pe + PE_LAYOUT.TLB_BANK, true);
    const entry = bank + (((low >>> 12) & (SOFT_TLB.ENTRIES - 1)) << 5);
    view.setInt32(entry + SOFT_TLB.RECORDS, records, true);
    view.setUint32(entry + SOFT_TLB.EXECUTE_TAG, (low & ~0xfff) >>> 0, true);
    view.setUint32(entry + SOFT_TLB.EXECUTE_TAG + 4, view.getUint32(pe + PE_LAYOUT.PC + 4, true), true);
    this.translator?.restorer?.fetched(pe);
    return 1;
  }

  #forgetExecuteTags(isForgotten: (records: number) => boolean): void {
    for (const bank of this.#options.banks()) {
      for (let entry = bank; entry < bank + SOFT_TLB.BANK_SIZE; entry += SOFT_TLB.ENTRY_SIZE) {
        if (this.#view.getInt32(entry + SOFT_TLB.EXECUTE_TAG + 4, true) === -1) continue;
        if (isForgotten(this.#view.getInt32(entry + SOFT_TLB.RECORDS, true))) {
          this.#view.setBigInt64(entry + SOFT_TLB.EXECUTE_TAG, -1n, true);
        }
      }
    }
  }

  /**
   * Decodes the instruction at `record` and those that follow it, up to the end of its granule of traced code
   * or an instruction that never continues with the next.
   */
  #decode(record: number): void {
    const address = this.records.codeAddress(record);
    const end = address - (address % CODE_GRANULE) + CODE_GRANULE;
    const kept = this.translator?.cache;
    for (let at = address, into = record; at < end; at += 4, into += RECORD_SIZE) {
      if (into !== record && this.#view.getUint16(into, true) !== HANDLER_UNDECODED) return;
      if (this.#decodeOne(at, into).ends) return;
      if (kept?.mayBegin((at & 0xfff) >> 2, this.#words[at >>> 2] ?? 0) !== true) continue;
      // What a region executes is not decoded.
      if (this.translator?.arrive(this.#current().base, into) === true) return;
    }
  }

  #decodeOne(address: number, record: number): Template {
    this.decoded++;
    const word = this.#words[address >>> 2] ?? 0;
    let template = this.#templates.get(word);
    if (template === undefined) {
      const decoded = this.#decoder.decode(word);
      template = decoded === undefined ? this.#undefinedTemplate : this.#templateOf(decoded);
      if (this.#templates.size >= TEMPLATE_LIMIT) this.#templates.clear();
      this.#templates.set(word, template);
    }
    const at = record >>> 2;
    const words = this.#words;
    words[at] = template.word0;
    words[at + 1] = template.word1;
    words[at + 2] = template.word2;
    words[at + 3] = template.word3;
    if (template.inPageNumber !== 0) {
      const target = (address & 0xfff) + template.offset;
      if (target >= 0 && target < 4096) this.#view.setUint16(record, template.inPageNumber, true);
    }
    return template;
  }

  #templateOf(decoded: Decoded): Template {
    const { handler, isNew } = this.#handlers.handlerOf(decoded);
    if (isNew) this.#compile(handler);
    const words = fillRecord(handler.number, handler.plan.cells, decoded.operands);
    const inPageNumber = this.#inPageNumbers.get(handler.number) ?? 0;
    const last = handler.block.statements.at(-1)?.kind;
    return {
      word0: words[0] ?? 0,
      word1: words[1] ?? 0,
      word2: words[2] ?? 0,
      word3: words[3] ?? 0,
      ends: last === "branch" || last === "branchRelative",
      inPageNumber,
      offset: inPageNumber === 0 ? 0 : branchOffset(decoded),
    };
  }

  #compile(handler: Handler): void {
    this.coldHandlers++;
    if (handler.number >= HANDLER_LIMIT) throw new Bug("the interpreter's function table is full");
    const bytes = handlerModule([handler], this.#memoryPages);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    this.#table.set(handler.number, exportedFunction(instance, `h${handler.number}`));
  }

  /** Dispatches of each handler so far, with one word that it executes; only when `profile` was given. */
  profile(): { word: number; count: number }[] {
    const { profile } = this.#options;
    if (profile === undefined) return [];
    const counts = new Map<number, { word: number; count: number }>();
    for (const [word, { word0, inPageNumber }] of this.#templates) {
      const number = word0 & 0xffff;
      if (counts.has(number)) continue;
      let count = this.#view.getUint32(profile + number * 4, true);
      if (inPageNumber !== 0) count += this.#view.getUint32(profile + inPageNumber * 4, true);
      counts.set(number, { word, count });
    }
    return [...counts.values()].sort((a, b) => b.count - a.count);
  }
}

/** The offset operand of a PC-relative branch: its only 32-bit immediate named "offset". */
function branchOffset({ instruction, operands }: Decoded): number {
  const offset: ImmediateOperand | undefined = Object.values(operands).find(
    (operand): operand is ImmediateOperand =>
      typeof operand === "object" && operand.kind === "immediate" && operand === operands["offset"],
  );
  if (offset === undefined) throw new Bug(`${instruction.name} branches without an operand named offset`);
  return Number(offset.value);
}

function exportedFunction<T>(instance: WebAssembly.Instance, name: string): T {
  const value = instance.exports[name];
  if (typeof value !== "function") throw new Bug(`a generated module exports no function ${name}`);
  // The module was generated here with exactly this signature.
  return value as T;
}

/** Bytes that a record cache of so many pages needs. */
export function recordCacheBytes(pages: number): number {
  return pages * RECORD_PAGE_STRIDE;
}
