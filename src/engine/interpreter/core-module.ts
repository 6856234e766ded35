import { RUNTIME_FUNCTIONS, type RuntimeFunctionName } from "../../isa/runtime-functions.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";
import { ModuleWriter, type Signature } from "../../wasm/module-writer.ts";
import { HandlerEmitter } from "./emitter.ts";
import { writeRunExactly } from "./exact-run.ts";
import { floatingPointControl, type HandlerFrame, type HandlerImports } from "./handler-frame.ts";
import type { Handler } from "./handler-set.ts";
import { attentionOrNegative, findEntry, type LoopImports, lookUp, pushRecord } from "./look-up.ts";
import {
  FIRST_HANDLER,
  HANDLER_PAGE_END,
  HANDLER_REGION,
  HANDLER_UNDECODED,
  RECORD_SIZE,
  REGION_ENTRY,
  REGION_FUNCTION,
  REGION_SLOT,
  type RecordPlan,
} from "./record.ts";
import { RecordOperands } from "./record-operands.ts";

/**
 * The modules that make up the interpreter. The core module holds the loop: one switch over the records'
 * handler numbers whose first arms are the hot handlers, and whose last arm calls all others through a
 * table. Those others live in small modules made when an instruction first needs them.
 */

const I32_I32_I64: Signature = { parameters: ["i32", "i32", "i64"], results: ["i32"] };
const ACCESS: Signature = { parameters: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] };

/** Names under which the host passes its functions in; see interpreter.ts. */
export const HOST = "host";

/** The number of a function that no region calls: a module that did would not compile. */
const NEVER = 0xffff_ffff;

/** A handler as a function answers: the next instruction follows, or PC says where to go on. */
const NEXT = 0;
const LEAVE = 1;

/** (PE base, PC, fuel, number of the entry) -> fuel left, unchanged if nothing was executed. */
export const REGION_SIGNATURE: Signature = { parameters: ["i32", "i64", "i32", "i32"], results: ["i32"] };

/** Where translated code is found and counted; see translator/translator.ts. */
export interface RegionLayout {
  /** Address of slot 0's copy of the replaced record; RECORD_SIZE bytes each. */
  readonly originals: number;
  /** Address of the first record, and of a u16 for each record: how often control came there by a branch. */
  readonly records: number;
  readonly counters: number;
  /** Jumps to a target before the host hears of it. */
  readonly threshold: number;
  /** Address of two u64: region entries, and instructions executed in regions. */
  readonly statistics: number;
}

export interface CoreOptions {
  readonly regions: RegionLayout | undefined;
  /** Address of a u32 for each handler number, counted up at each dispatch: for choosing the hot arms. */
  readonly profile: number | undefined;
}

/** An arm of the switch; `inPage` arms jump without looking the target up. */
export interface HotArm {
  readonly handler: Handler;
  readonly inPage: boolean;
}

function hostImports(module: ModuleWriter, memoryPages: number): HandlerImports {
  module.importMemory(HOST, "memory", { initial: memoryPages, maximum: memoryPages });
  const runtime = new Map<RuntimeFunctionName, number>();
  return {
    slowLoad: module.importFunction(HOST, "slowLoad", ACCESS),
    slowStore: module.importFunction(HOST, "slowStore", ACCESS),
    prepareWrite: module.importFunction(HOST, "prepareWrite", ACCESS),
    processor: module.importFunction(HOST, "processor", ACCESS),
    ticks: module.importFunction(HOST, "ticks", { parameters: [], results: ["f64"] }),
    runtime(name) {
      const known = runtime.get(name);
      if (known !== undefined) return known;
      const { operands, result } = RUNTIME_FUNCTIONS[name];
      const index = module.importFunction(HOST, name, { parameters: operands, results: [result] });
      runtime.set(name, index);
      return index;
    },
  };
}

/** For regions: whatever needs the host's help leaves them, the clock and runtime functions aside. */
export function translatorImports(module: ModuleWriter, memoryPages: number): HandlerImports {
  const { runtime, ticks } = hostImports(module, memoryPages);
  return { slowLoad: NEVER, slowStore: NEVER, prepareWrite: NEVER, processor: NEVER, ticks, runtime };
}

/** Runtime functions must be imported before any function is added. */
export function importRuntimeFunctions(imports: HandlerImports, handlers: Iterable<Handler>): void {
  for (const { block } of new Set(handlers)) {
    for (const name of runtimeFunctionsOf(block)) imports.runtime(name);
  }
}

/** What {@link runtimeFunctionsOf} has found: the translator asks for the same handlers again and again. */
const FOUND = new WeakMap<Handler["block"], ReadonlySet<RuntimeFunctionName>>();

function runtimeFunctionsOf(block: Handler["block"]): ReadonlySet<RuntimeFunctionName> {
  const found = FOUND.get(block);
  if (found !== undefined) return found;
  const names = new Set<RuntimeFunctionName>();
  const visit = (inner: Handler["block"]): void => {
    for (const statement of inner.statements) {
      if (statement.kind === "when") {
        visit(statement.taken);
        visit(statement.otherwise);
      }
      if (statement.kind !== "define") continue;
      const { shape } = statement.node;
      if (shape.kind === "call") names.add(shape.name);
      if (shape.kind === "choose") {
        visit(shape.taken);
        visit(shape.otherwise);
      }
      if (shape.kind === "atomic") visit(shape.update);
    }
  };
  visit(block);
  FOUND.set(block, names);
  return names;
}

/** A module with the function forms of some handlers, exported as "h" and their number. */
export function handlerModule(handlers: readonly Handler[], memoryPages: number): Uint8Array {
  const module = new ModuleWriter();
  const imports = hostImports(module, memoryPages);
  importRuntimeFunctions(imports, handlers);
  for (const handler of handlers) handlerFunction(module, imports, handler);
  return module.finish();
}

/** Function form: (pe, record, pc) -> NEXT or LEAVE. */
function handlerFunction(module: ModuleWriter, imports: HandlerImports, handler: Handler): void {
  const { body } = module.function(I32_I32_I64, `h${handler.number}`);
  const [pe, record, pc] = [0, 1, 2];
  const frame: HandlerFrame = {
    body,
    imports,
    operands: new RecordOperands(body, handler.plan, pe, record),
    pe,
    leave: body.local("i32"),
    pushPc: () => body.get(pc),
    ...floatingPointControl(body, pe),
    pushBank: () => body.get(pe).memory("i32.load", PE_LAYOUT.TLB_BANK),
    spill: () => body.get(pe).get(pc).memory("i64.store", PE_LAYOUT.PC),
    exit: () => body.i32(LEAVE).return(),
    leavesSlowCases: false,
    jumpInPage: undefined,
    notTaken: () => undefined,
    next: () => body.i32(NEXT).return(),
  };
  new HandlerEmitter(frame).emit(handler.block, handler.simd);
  body.unreachable();
}

/**
 * The core module. Exports:
 * - `run(pe, fuel) -> fuel left`: executes until fuel is below 0 at a taken branch or page end (at most one
 *   page of instructions late), or ATTENTION is set. Each instruction costs 1, faulting ones too.
 * - `runExactly(pe, fuel, hook) -> fuel left`: the same, one look-up an instruction, to exactly 0. With `hook`
 *   it asks the host before each instruction (breakpoints, single step).
 */
export function coreModule(
  arms: readonly HotArm[],
  warm: readonly Handler[],
  memoryPages: number,
  tableSize: number,
  options: CoreOptions,
): Uint8Array {
  const { regions } = options;
  const module = new ModuleWriter();
  const imports = hostImports(module, memoryPages);
  const fetch = module.importFunction(HOST, "fetch", { parameters: ["i32"], results: ["i32"] });
  const decode = module.importFunction(HOST, "decode", { parameters: ["i32"], results: [] });
  const before = module.importFunction(HOST, "beforeInstruction", { parameters: ["i32"], results: ["i32"] });
  const hot = module.importFunction(HOST, "hot", { parameters: ["i32", "i32"], results: [] });
  module.importTable(HOST, "table", tableSize);
  const handlers = [...new Set([...arms.map(({ handler }) => handler), ...warm])];
  importRuntimeFunctions(imports, handlers);
  const handlerType = module.type(I32_I32_I64);
  const regionType = module.type(REGION_SIGNATURE);
  writeRun(module, imports, { fetch, decode, handlerType, regionType, hot, ...options }, arms);
  if (regions !== undefined) writeOriginal(module, handlerType, regions);
  writeRunExactly(module, { fetch, decode, before, handlerType });
  for (const handler of handlers) handlerFunction(module, imports, handler);
  return module.finish();
}

interface RunImports extends LoopImports, CoreOptions {
  readonly regionType: number;
  readonly hot: number;
}

/** The function form of HANDLER_REGION: the instruction itself, whose record is in the slot. */
function writeOriginal(module: ModuleWriter, handlerType: number, regions: RegionLayout): void {
  const { body } = module.function(I32_I32_I64, "original");
  const [pe, record, pc] = [0, 1, 2];
  pushOriginal(body, record, regions);
  body.set(record).get(pe).get(record).get(pc).get(record).memory("i32.load16_u").callIndirect(handlerType);
}

function pushOriginal(body: FunctionBody, record: number, { originals }: RegionLayout): void {
  body
    .get(record)
    .memory("i32.load", REGION_SLOT)
    .i32(RECORD_SIZE)
    .op("i32.mul")
    .i32(originals)
    .op("i32.add");
}

/** Counts a jump to the record; the host hears of it when the threshold is reached. */
function countJump(
  body: FunctionBody,
  pe: number,
  record: number,
  counter: number,
  { hot, regions }: RunImports,
): void {
  if (regions === undefined) return;
  const pushCounter = () => body.get(record).i32(regions.records).op("i32.sub").i32(3).op("i32.shr_u");
  pushCounter().tee(counter);
  body.get(counter).memory("i32.load16_u", regions.counters).i32(1).op("i32.add").tee(counter);
  body.memory("i32.store16", regions.counters);
  body.get(counter).i32(regions.threshold).op("i32.ge_u");
  body.if(undefined, "unlikely");
  // A request may come to nothing: then it is made again.
  pushCounter();
  body.i32(0).memory("i32.store16", regions.counters).get(pe).get(record).call(hot);
  body.end();
}

/** Counts that a conditional branch was not taken: the next record was gone to as if by a jump. */
function countNotTaken(
  body: FunctionBody,
  record: number,
  counter: number,
  regions: RegionLayout | undefined,
): void {
  if (regions === undefined) return;
  const next = regions.counters + (RECORD_SIZE >> 3);
  body.get(record).i32(regions.records).op("i32.sub").i32(3).op("i32.shr_u").tee(counter);
  body.get(counter).memory("i32.load16_u", next).i32(1).op("i32.add").memory("i32.store16", next);
}

function writeRun(
  module: ModuleWriter,
  imports: HandlerImports,
  runImports: RunImports,
  arms: readonly HotArm[],
): void {
  const { fetch, decode, handlerType, regionType, regions, profile } = runImports;
  const { body } = module.function({ parameters: ["i32", "i32"], results: ["i32"] }, "run");
  const [pe, fuel] = [0, 1];
  const record = body.local("i32");
  const start = body.local("i32");
  const entry = body.local("i32");
  const leave = body.local("i32");
  const bank = body.local("i32");
  const pc = body.local("i64");
  const pageBase = body.local("i64");
  // Regions entered in this run, and instructions executed in them.
  const entered = body.local("i32");
  const inRegions = body.local("i32");
  const leaveLoop = body.block();
  const retry = body.loop();
  attentionOrNegative(body, pe, fuel);
  body.branchIf(leaveLoop);
  lookUp(body, { pe, bank, pc, entry, fuel }, fetch, retry);
  body.tee(record).set(start);
  // PC of a record = pageBase + record / 4, as 16 bytes of record stand for 4 of code.
  const setPageBase = (): void => {
    body.get(pc).get(record).i32(2).op("i32.shr_u").op("i64.extend_i32_u").op("i64.sub").set(pageBase);
  };
  setPageBase();
  body.i32(0).set(leave);
  countJump(body, pe, record, entry, runImports);
  const nextRecord = body.loop();

  const chargeStraightLine = (): void => {
    body.get(fuel).get(record).get(start).op("i32.sub").i32(4).op("i32.shr_u").op("i32.sub");
  };
  const exit = (): void => {
    chargeStraightLine();
    body.i32(1).op("i32.sub").set(fuel).branch(retry);
  };
  const pushPc = (): void => {
    body.get(pageBase).get(record).i32(2).op("i32.shr_u").op("i64.extend_i32_u").op("i64.add");
  };
  const next = (): void => {
    body.get(record).i32(RECORD_SIZE).op("i32.add").set(record).branch(nextRecord);
  };
  const frameOf = (plan: RecordPlan, inPage: boolean): HandlerFrame => ({
    body,
    imports,
    operands: new RecordOperands(body, plan, pe, record),
    pe,
    leave,
    pushPc,
    ...floatingPointControl(body, pe),
    pushBank: () => body.get(bank),
    spill: () => {
      body.get(pe);
      pushPc();
      body.memory("i64.store", PE_LAYOUT.PC).get(pe);
      chargeStraightLine();
      body.memory("i32.store", PE_LAYOUT.FUEL);
    },
    exit,
    leavesSlowCases: false,
    jumpInPage: inPage
      ? () => {
          // Stack: the offset in bytes of code.
          chargeStraightLine();
          body.i32(1).op("i32.sub").set(fuel);
          body.i32(2).op("i32.shl").get(record).op("i32.add").tee(record).set(start);
          countJump(body, pe, record, entry, runImports);
          attentionOrNegative(body, pe, fuel);
          body.op("i32.eqz").branchIf(nextRecord);
          body.get(pe);
          pushPc();
          body.memory("i64.store", PE_LAYOUT.PC).branch(retry);
        }
      : undefined,
    notTaken: () => countNotTaken(body, record, entry, regions),
    next,
  });

  const cold = body.block();
  const armBlocks = [...arms].reverse().map(() => body.block());
  armBlocks.reverse();
  const region = body.block();
  const pageEnd = body.block();
  const undecoded = body.block();
  const targets: Label[] = [];
  targets[HANDLER_REGION] = region;
  targets[HANDLER_UNDECODED] = undecoded;
  targets[HANDLER_PAGE_END] = pageEnd;
  armBlocks.forEach((label, index) => {
    targets[FIRST_HANDLER + index] = label;
  });
  if (profile !== undefined) {
    body.get(record).memory("i32.load16_u").i32(2).op("i32.shl").tee(entry);
    body.get(entry).memory("i32.load", profile).i32(1).op("i32.add").memory("i32.store", profile);
  }
  body.get(record).memory("i32.load16_u").branchTable(targets, cold);
  body.end(); // undecoded
  body.get(record).call(decode).branch(nextRecord);
  body.end(); // pageEnd
  body.get(pe);
  pushPc();
  body.memory("i64.store", PE_LAYOUT.PC);
  chargeStraightLine();
  body.set(fuel).branch(retry);
  body.end(); // region
  if (regions === undefined) body.unreachable();
  else {
    chargeStraightLine();
    body.set(fuel).get(record).set(start);
    // Attention is looked at where the interpreter would, at the next jump, so that both engines agree.
    body.get(pe).memory("i32.load", PE_LAYOUT.ATTENTION).op("i32.eqz");
    body.if();
    pushPc();
    body.set(pc);
    const chain = body.loop();
    body.get(pe).get(pc).get(fuel).get(record).memory("i32.load", REGION_ENTRY);
    body.get(record).memory("i32.load", REGION_FUNCTION).callIndirect(regionType);
    body.tee(entry).get(fuel).op("i32.ne");
    body.if(undefined, "likely");
    body.get(entered).i32(1).op("i32.add").set(entered);
    body.get(inRegions).get(fuel).get(entry).op("i32.sub").op("i32.add").set(inRegions);
    body.get(entry).set(fuel);
    attentionOrNegative(body, pe, fuel);
    body.branchIf(leaveLoop, "unlikely");
    // From region to region, for as long as the soft TLB knows the page.
    body.get(pe).memory("i64.load", PE_LAYOUT.PC).set(pc);
    findEntry(body, { bank, pc, entry });
    body.branchIf(retry, "unlikely");
    pushRecord(body, { pc, entry });
    body.tee(record).set(start);
    setPageBase();
    body.get(record).memory("i32.load16_u").i32(HANDLER_REGION).op("i32.eq").branchIf(chain, "likely");
    countJump(body, pe, record, entry, runImports);
    body.branch(nextRecord);
    body.end();
    body.end();
    body.end();
    // The region was not entered, or left at once: its first instruction is the interpreter's.
    body.get(pe).get(fuel).memory("i32.store", PE_LAYOUT.FUEL);
    pushOriginal(body, record, regions);
    body.set(entry).get(pe).get(entry);
    pushPc();
    body.get(entry).memory("i32.load16_u").callIndirect(handlerType);
    body.if();
    exit();
    body.end();
    // Where the first instruction is always a slow case, a region can begin after it.
    body.get(record).i32(RECORD_SIZE).op("i32.add").set(record);
    countJump(body, pe, record, entry, runImports);
    body.branch(nextRecord);
  }
  for (const { handler, inPage } of arms) {
    body.end();
    new HandlerEmitter(frameOf(handler.plan, inPage)).emit(handler.block, handler.simd);
  }
  body.end(); // cold
  body.get(pe);
  chargeStraightLine();
  body.memory("i32.store", PE_LAYOUT.FUEL);
  body.get(pe).get(record);
  pushPc();
  body.get(record).memory("i32.load16_u").callIndirect(handlerType);
  body.if();
  exit();
  body.end();
  next();
  body.end(); // next
  body.unreachable();
  body.end(); // retry
  body.unreachable();
  body.end(); // leaveLoop
  if (regions !== undefined) {
    addToStatistic(body, regions.statistics, entered);
    addToStatistic(body, regions.statistics + 8, inRegions);
  }
  body.get(fuel);
}

function addToStatistic(body: FunctionBody, address: number, count: number): void {
  body.i32(address).i32(address).memory("i64.load").get(count);
  body.op("i64.extend_i32_u").op("i64.add").memory("i64.store");
}
