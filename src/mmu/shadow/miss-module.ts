import { Bug } from "../../base/errors.ts";
import { ACCESS_FLAGS } from "../../memory/access-flags.ts";
import { FRAME_FLAGS, TRACE_MASK } from "../../memory/frame-table.ts";
import {
  DEFERRED_SIZE_CODE,
  ENTRY_SIZE_CODE,
  type GuestWriteBuffers,
  GWB_RECORD,
} from "../../memory/guest-write-buffer.ts";
import {
  PE_LAYOUT,
  SHADOW_HALF,
  SHADOW_LEAF,
  SOFT_TLB,
  TLB_BANK_FACTS,
  TLB_BANK_STATE,
} from "../../memory/pe-layout.ts";
import { MAP_ENTRY, type PhysicalMap } from "../../memory/physical-map.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import { ModuleWriter, type Signature } from "../../wasm/module-writer.ts";
import { DESCRIPTOR_HIGH, DESCRIPTOR_LOW } from "../table-walk.ts";
import { DIRECT, FAST, KIND, NOT_GLOBAL, SHADOW_ENTRY } from "./shadow-entry.ts";

/**
 * What generated code calls when the soft TLB has no answer, in WebAssembly: it walks the shadow tables, fills
 * the soft TLB and records writes to tables, all without entering JavaScript. Whatever it cannot answer, it
 * passes on to the host's function of the same name.
 */

/** The host's functions that get a fast form; see engine/interpreter. */
export const MISS_FUNCTIONS = ["slowLoad", "slowStore", "prepareWrite"] as const;
export type MissFunctionName = (typeof MISS_FUNCTIONS)[number];
/** (PE base, address low, address high, bytes, ACCESS_FLAGS); what it returns depends on the function. */
export type MissFunction = (pe: number, low: number, high: number, size: number, flags: number) => number;
export type MissFunctions = Readonly<Record<MissFunctionName, MissFunction>>;

const ACCESS: Signature = { parameters: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] };
/** Parameters of ACCESS. */
const [PE, LOW, HIGH, SIZE, FLAGS] = [0, 1, 2, 3, 4];
/** (pe, low, high, FAST bits needed, unprivileged) -> host address of the byte, or 0. */
const FIND: Signature = { parameters: ["i32", "i32", "i32", "i32", "i32"], results: ["i32"] };
/** (pe, host address) -> 1 when the write to come is recorded, 0 when the ring is too full. */
const RECORD: Signature = { parameters: ["i32", "i32"], results: ["i32"] };

const NEEDED: Record<MissFunctionName, number> = {
  slowLoad: FAST.READ,
  slowStore: FAST.WRITE,
  prepareWrite: FAST.READ | FAST.WRITE,
};

const PAGE_MASK = ~0xfff;
const UPPER = 0x0080_0000;
const INVALID = -1n;

export interface MissModuleParts {
  readonly map: PhysicalMap;
  readonly buffers: GuestWriteBuffers;
}

/** The functions, with the host's own ones behind them. */
export function missFunctions(parts: MissModuleParts, host: MissFunctions): MissFunctions {
  const { memory } = parts.map.memory;
  const module = new WebAssembly.Module(missModule(parts));
  const { exports } = new WebAssembly.Instance(module, { host: { ...host, memory } });
  const result: Partial<Record<MissFunctionName, MissFunction>> = {};
  for (const name of MISS_FUNCTIONS) {
    const value = exports[name];
    if (typeof value !== "function") throw new Bug(`the miss module has no function ${name}`);
    // The module was generated here with exactly this signature.
    result[name] = value as MissFunction;
  }
  // All names were just added.
  return result as MissFunctions;
}

function missModule(parts: MissModuleParts): Uint8Array {
  const module = new ModuleWriter();
  const pages = parts.map.memory.size / 65536;
  module.importMemory("host", "memory", { initial: pages, maximum: pages });
  const host = Object.fromEntries(
    MISS_FUNCTIONS.map((name) => [name, module.importFunction("host", name, ACCESS)]),
    // One entry for each name.
  ) as Record<MissFunctionName, number>;
  const find = module.function(FIND);
  emitFind(find.body, parts);
  const record = module.function(RECORD);
  emitRecord(record.body, parts);
  for (const name of MISS_FUNCTIONS) {
    const { body } = module.function(ACCESS, name);
    emitAccess(body, parts, { name, host: host[name], find: find.index, record: record.index });
  }
  return module.finish();
}

/** One of {@link MISS_FUNCTIONS}. */
function emitAccess(
  body: FunctionBody,
  { map }: MissModuleParts,
  calls: { name: MissFunctionName; host: number; find: number; record: number },
): void {
  const { name } = calls;
  const needed = NEEDED[name];
  const place = body.local("i32");
  const slow = body.block();
  // Aligned where it must be, and inside one page.
  body.get(FLAGS).i32(ACCESS_FLAGS.ALIGNED).op("i32.and");
  body.if();
  body.get(LOW).get(SIZE).i32(1).op("i32.sub").op("i32.and").branchIf(slow);
  body.end();
  body.get(LOW).i32(0xfff).op("i32.and").get(SIZE).op("i32.add").i32(4096).op("i32.gt_u").branchIf(slow);
  body.get(PE).get(LOW).get(HIGH).i32(needed).get(FLAGS).i32(ACCESS_FLAGS.UNPRIVILEGED).op("i32.and");
  body.call(calls.find).tee(place).op("i32.eqz").branchIf(slow);
  if ((needed & FAST.WRITE) !== 0) {
    pushFrameFlags(body, map, place);
    body.i32(FRAME_FLAGS.TR_PT).op("i32.and");
    body.if();
    body.get(SIZE).i32(8).op("i32.ne").get(place).i32(7).op("i32.and").op("i32.or").branchIf(slow);
    body.get(PE).get(place).call(calls.record).op("i32.eqz").branchIf(slow);
    body.end();
  }
  if (name === "slowStore") {
    emitCopy(body, place);
    body.i32(0).return();
  } else body.get(place).return();
  body.end();
  for (const parameter of [PE, LOW, HIGH, SIZE, FLAGS]) body.get(parameter);
  body.call(calls.host);
}

/** Stack: flags of the frame at the host address. */
function pushFrameFlags(body: FunctionBody, map: PhysicalMap, host: number): void {
  body.get(host).i32(12).op("i32.shr_u").i32(2).op("i32.shl").memory("i32.load", map.frames.flagsAddress);
}

/** Copies SIZE bytes from SCRATCH to `place`; both are changed. */
function emitCopy(body: FunctionBody, place: number): void {
  const from = body.local("i32");
  body.get(PE).i32(PE_LAYOUT.SCRATCH).op("i32.add").set(from);
  const advance = (bytes: number): void => {
    body.get(from).i32(bytes).op("i32.add").set(from);
    body.get(place).i32(bytes).op("i32.add").set(place);
  };
  const done = body.block();
  const loop = body.loop();
  body.get(SIZE).i32(8).op("i32.lt_u").branchIf(done);
  body.get(place).get(from).memory("i64.load").memory("i64.store");
  advance(8);
  body.get(SIZE).i32(8).op("i32.sub").set(SIZE);
  body.branch(loop).end().end();
  for (const [bytes, load, store] of [
    [4, "i64.load32_u", "i64.store32"],
    [2, "i64.load16_u", "i64.store16"],
    [1, "i64.load8_u", "i64.store8"],
  ] as const) {
    body.get(SIZE).i32(bytes).op("i32.and");
    body.if();
    body.get(place).get(from).memory(load).memory(store);
    advance(bytes);
    body.end();
  }
}

/** Leaves the function with 0 when the i32 on the stack is not 0. */
function failIf(body: FunctionBody): void {
  body.if();
  body.i32(0).return();
  body.end();
}

function emitFind(body: FunctionBody, { map }: MissModuleParts): void {
  const [pe, low, high, needed, unprivileged] = [0, 1, 2, 3, 4];
  const [mode, half, table, index, entry, state] = Array.from({ length: 6 }, () => body.local("i32")) as [
    ...[number, number, number],
    ...[number, number, number],
  ];
  const shift = body.local("i64");
  const address = body.local("i64");
  body.get(pe).memory("i32.load", PE_LAYOUT.SHADOW_MODE_UNPRIVILEGED);
  body.get(pe).memory("i32.load", PE_LAYOUT.SHADOW_MODE);
  body.get(unprivileged).select("i32").tee(mode).i32(0).op("i32.lt_s");
  failIf(body);
  // Bit 23 becomes the size of a half.
  body
    .get(high)
    .i32(UPPER)
    .op("i32.and")
    .i32(23 - Math.log2(SHADOW_HALF.SIZE))
    .op("i32.shr_u");
  body.get(pe).op("i32.add").i32(PE_LAYOUT.SHADOW_HALVES).op("i32.add").tee(half);
  body.memory("i32.load", SHADOW_HALF.ROOT).tee(table).op("i32.eqz");
  failIf(body);
  // Bit 55 spread over the word is what the bits above the tables' reach must equal.
  body.get(high).get(high).i32(8).op("i32.shl").i32(31).op("i32.shr_s").op("i32.xor");
  body.get(half).memory("i32.load", SHADOW_HALF.CHECK).op("i32.and");
  failIf(body);
  body.get(high).op("i64.extend_i32_u").i64(32n).op("i64.shl").get(low).op("i64.extend_i32_u").op("i64.or");
  body.set(address);
  body.get(half).memory("i32.load", SHADOW_HALF.SHIFT).op("i64.extend_i32_u").set(shift);
  body.get(address).get(shift).op("i64.shr_u").op("i32.wrap_i64");
  body.get(half).memory("i32.load", SHADOW_HALF.MASK).tee(index).op("i32.and").i32(511).op("i32.and");
  body.get(index).i32(31).op("i32.shr_u").get(mode).i32(FAST.USER).op("i32.eq").op("i32.and");
  failIf(body);
  body.set(index);
  const leaf = body.block();
  const descend = body.loop();
  body.get(table).get(index).i32(SHADOW_ENTRY.SHIFT).op("i32.shl").op("i32.add").tee(entry);
  body.memory("i32.load", SHADOW_ENTRY.STATE).tee(state).i32(KIND.MASK).op("i32.and").i32(KIND.LEAF);
  body.op("i32.eq").branchIf(leaf);
  body.get(state).i32(KIND.MASK).op("i32.and").i32(KIND.TABLE).op("i32.ne");
  failIf(body);
  body.get(entry).memory("i32.load", SHADOW_ENTRY.DESCRIPTOR_HIGH);
  body.i32(DESCRIPTOR_HIGH.TABLE_NO_UNPRIVILEGED | DESCRIPTOR_HIGH.TABLE_READ_ONLY).op("i32.and");
  failIf(body);
  body.get(entry).memory("i32.load", SHADOW_ENTRY.NEXT).tee(table).i32(DIRECT).op("i32.and");
  body.if();
  emitReadLeaf(body, { pe, low, table, entry, state });
  body.i64(12n).set(shift).branch(leaf);
  body.end();
  body.get(shift).i64(9n).op("i64.sub").set(shift);
  body.get(address).get(shift).op("i64.shr_u").op("i32.wrap_i64").i32(511).op("i32.and").set(index);
  body.branch(descend).end().end();
  const fast = body.local("i32");
  body.get(state).get(mode).op("i32.shr_u").i32(3).op("i32.and").tee(fast);
  body.get(needed).op("i32.and").get(needed).op("i32.ne");
  failIf(body);
  const frame = emitOutput(body, map, { entry, address, shift });
  const traced = body.local("i32");
  pushFrameFlags(body, map, frame);
  body.i32(TRACE_MASK).op("i32.and").set(traced);
  // What other traces there are beside that of tables is the host's to serve.
  body.get(needed).i32(FAST.WRITE).op("i32.and");
  body.if();
  body.get(traced).i32(~FRAME_FLAGS.TR_PT).op("i32.and");
  failIf(body);
  body.end();
  emitInstall(body, map, { pe, low, high, unprivileged, table, shift, state, fast, traced, frame });
  body.get(frame).get(low).i32(0xfff).op("i32.and").op("i32.or");
}

/**
 * The descriptor of a page in the guest's own table: `entry` becomes its place, `state` what a shadow entry's
 * STATE would be (classify in shadow-roles.ts).
 */
function emitReadLeaf(
  body: FunctionBody,
  { pe, low, table, entry, state }: Record<"pe" | "low" | "table" | "entry" | "state", number>,
): void {
  const [word, rules, access] = [body.local("i32"), body.local("i32"), body.local("i32")];
  body.get(low).i32(12).op("i32.shr_u").i32(511).op("i32.and").i32(3).op("i32.shl");
  body.get(table).i32(~DIRECT).op("i32.and").op("i32.add").tee(entry).memory("i32.load").tee(word);
  const needed = DESCRIPTOR_LOW.VALID | DESCRIPTOR_LOW.TABLE | DESCRIPTOR_LOW.ACCESS_FLAG;
  body.i32(needed).op("i32.and").i32(needed).op("i32.ne");
  failIf(body);
  body.get(pe).memory("i32.load", PE_LAYOUT.SHADOW_LEAF).tee(rules);
  body.get(word).i32(2).op("i32.shr_u").i32(7).op("i32.and").op("i32.shr_u").i32(1).op("i32.and");
  body.get(entry).memory("i32.load", 4).get(rules).i32(SHADOW_LEAF.OUTPUT_CHECK_SHIFT).op("i32.shr_u");
  body.op("i32.and").op("i32.or");
  failIf(body);
  // Read-only, and hence possibly markable as dirty, or writable.
  body
    .i32(FAST.READ)
    .i32(FAST.READ | FAST.WRITE)
    .get(word)
    .i32(DESCRIPTOR_LOW.READ_ONLY)
    .op("i32.and");
  body.select("i32").set(access);
  body.get(access).i32(FAST.PRIVILEGED).op("i32.shl").set(state);
  body.get(rules).i32(SHADOW_LEAF.TWO_PRIVILEGES).op("i32.and");
  body.if();
  body.get(access);
  body.i32(FAST.USER).i32(FAST.PRIVILEGED_PAN).get(word).i32(DESCRIPTOR_LOW.UNPRIVILEGED).op("i32.and");
  body.select("i32").op("i32.shl").get(state).op("i32.or");
  body.i32(NOT_GLOBAL).i32(0).get(word).i32(DESCRIPTOR_LOW.NOT_GLOBAL).op("i32.and").select("i32");
  body.op("i32.or").set(state);
  body.end();
}

/** Host address of the leaf's frame for the address, in a local; fails where there is no RAM. */
function emitOutput(
  body: FunctionBody,
  map: PhysicalMap,
  { entry, address, shift }: { entry: number; address: number; shift: number },
): number {
  const output = body.local("i64");
  const mask = body.local("i64");
  const frame = body.local("i32");
  body.i64(1n).get(shift).op("i64.shl").i64(1n).op("i64.sub").set(mask);
  body.get(entry).memory("i64.load").get(mask).i64(-1n).op("i64.xor").op("i64.and");
  body.get(address).get(mask).op("i64.and").op("i64.or").i64(0xffff_ffff_ffffn).op("i64.and").set(output);
  body.get(output).i64(30n).op("i64.shr_u").op("i32.wrap_i64").i32(2).op("i32.shl");
  body.memory("i32.load", map.rootAddress).tee(frame).op("i32.eqz");
  failIf(body);
  body.get(output).i64(12n).op("i64.shr_u").op("i32.wrap_i64").i32(0x3_ffff).op("i32.and").i32(2);
  body.op("i32.shl").get(frame).op("i32.add").memory("i32.load").tee(frame);
  body
    .i32(MAP_ENTRY.KIND_MASK | MAP_ENTRY.SECURE_ONLY)
    .op("i32.and")
    .i32(MAP_ENTRY.RAM)
    .op("i32.ne");
  failIf(body);
  body.get(frame).i32(PAGE_MASK).op("i32.and").set(frame);
  return frame;
}

/** As TlbBank.install and describe do. */
function emitInstall(
  body: FunctionBody,
  map: PhysicalMap,
  from: Record<
    "pe" | "low" | "high" | "unprivileged" | "table" | "shift" | "state" | "fast" | "traced" | "frame",
    number
  >,
): void {
  const { low, high, shift, state, fast, traced, frame } = from;
  const [bank, slot, addend] = [body.local("i32"), body.local("i32"), body.local("i32")];
  const tag = body.local("i64");
  body.get(from.pe).memory("i32.load", PE_LAYOUT.TLB_BANK_UNPRIVILEGED);
  body.get(from.pe).memory("i32.load", PE_LAYOUT.TLB_BANK);
  body.get(from.unprivileged).select("i32").set(bank);
  body
    .get(low)
    .i32(12)
    .op("i32.shr_u")
    .i32(SOFT_TLB.ENTRIES - 1)
    .op("i32.and")
    .tee(slot);
  body.get(bank).op("i32.add").get(shift).op("i32.wrap_i64").memory("i32.store8", TLB_BANK_FACTS.SHIFTS);
  body.get(slot).i32(Math.log2(SOFT_TLB.ENTRY_SIZE)).op("i32.shl").get(bank).op("i32.add").set(slot);
  body.get(high).op("i64.extend_i32_u").i64(32n).op("i64.shl");
  body.get(low).i32(PAGE_MASK).op("i32.and").op("i64.extend_i32_u").op("i64.or").set(tag);
  body.get(frame).get(low).i32(PAGE_MASK).op("i32.and").op("i32.sub").set(addend);
  // An execute tag of the same page and frame stays.
  body.get(slot).memory("i32.load", SOFT_TLB.ADDEND).get(addend).op("i32.ne");
  body.get(slot).memory("i64.load", SOFT_TLB.EXECUTE_TAG).get(tag).op("i64.ne").op("i32.or");
  body.if();
  body.get(slot).i64(INVALID).memory("i64.store", SOFT_TLB.EXECUTE_TAG);
  body.end();
  body.get(slot).get(addend).memory("i32.store", SOFT_TLB.ADDEND);
  body.get(slot).get(tag).i64(INVALID).get(fast).i32(FAST.READ).op("i32.and").select("i64");
  body.memory("i64.store", SOFT_TLB.READ_TAG);
  body.get(fast).i32(FAST.WRITE).op("i32.and").op("i32.eqz").get(traced).op("i32.or");
  body.if();
  body.get(slot).i64(INVALID).memory("i64.store", SOFT_TLB.WRITE_TAG);
  body.else();
  body.get(slot).get(tag).memory("i64.store", SOFT_TLB.WRITE_TAG);
  emitNoteWritable(body, map, frame, slot);
  body.end();
  body.get(bank).get(bank).memory("i32.load", TLB_BANK_FACTS.STATE);
  body.i32(TLB_BANK_STATE.FILLED | TLB_BANK_STATE.MANY).op("i32.or");
  body.i32(TLB_BANK_STATE.NOT_GLOBAL).i32(TLB_BANK_STATE.GLOBAL);
  body.get(state).i32(NOT_GLOBAL).op("i32.and").select("i32").op("i32.or");
  body.i32(0).i32(TLB_BANK_STATE.LOWER).get(high).i32(UPPER).op("i32.and").select("i32").op("i32.or");
  body.i32(TLB_BANK_STATE.BLOCKS).i32(0).get(shift).i64(12n).op("i64.gt_u").select("i32").op("i32.or");
  body.i32(TLB_BANK_STATE.NOT_COHERENT).i32(0).get(from.table).i32(DIRECT).op("i32.and").select("i32");
  body.op("i32.or");
  body.memory("i32.store", TLB_BANK_FACTS.STATE);
  body.get(from.pe).get(from.pe).memory("i64.load", PE_LAYOUT.SHADOW_FILLS).i64(1n).op("i64.add");
  body.memory("i64.store", PE_LAYOUT.SHADOW_FILLS);
}

/** As TlbBank does: where the frame's write tags are. */
function emitNoteWritable(body: FunctionBody, map: PhysicalMap, frame: number, slot: number): void {
  const [at, known] = [body.local("i32"), body.local("i32")];
  body.get(frame).i32(12).op("i32.shr_u").i32(2).op("i32.shl").tee(at);
  body.memory("i32.load", map.frames.writableSlotsAddress).tee(known);
  body.i32(~1).op("i32.and").get(slot).op("i32.eq").get(known).i32(1).op("i32.and").op("i32.or");
  body.op("i32.eqz");
  body.if();
  body.get(at);
  body.get(known).i32(1).op("i32.or").get(slot);
  // Is the entry known before still one of this frame?
  body.get(known).i32(0).op("i32.ne");
  body.get(known).memory("i64.load", SOFT_TLB.WRITE_TAG).i64(INVALID).op("i64.ne").op("i32.and");
  body.get(known).memory("i32.load", SOFT_TLB.WRITE_TAG).get(known).memory("i32.load", SOFT_TLB.ADDEND);
  body.op("i32.add").i32(12).op("i32.shr_u").get(frame).i32(12).op("i32.shr_u").op("i32.eq").op("i32.and");
  body.select("i32");
  body.memory("i32.store", map.frames.writableSlotsAddress);
  body.end();
}

/** As GuestWriteBuffers does, for a double word that the caller is about to write. */
function emitRecord(body: FunctionBody, { map, buffers }: MissModuleParts): void {
  const [pe, host] = [0, 1];
  const [produced, record, page, last] = [
    body.local("i32"),
    body.local("i32"),
    body.local("i32"),
    body.local("i32"),
  ];
  body.get(pe).memory("i32.load", PE_LAYOUT.GWB_PRODUCED).tee(produced);
  body.get(pe).memory("i32.load", PE_LAYOUT.GWB_CONSUMED).op("i32.sub");
  body
    .i32(buffers.capacity * 0.75)
    .op("i32.ge_u")
    .get(pe)
    .memory("i32.load", PE_LAYOUT.GWB_DIRECT);
  body.op("i32.eqz").op("i32.or");
  failIf(body);
  const address = (count: () => void, into: number): void => {
    count();
    body
      .i32(buffers.capacity - 1)
      .op("i32.and")
      .i32(Math.log2(GWB_RECORD.SIZE))
      .op("i32.shl");
    body.get(pe).memory("i32.load", PE_LAYOUT.GWB_RING).op("i32.add").set(into);
  };
  // The record before may still wait for what was written.
  address(() => body.get(produced).i32(1).op("i32.sub"), last);
  body.get(last).memory("i32.load").i32(7).op("i32.and").i32(DEFERRED_SIZE_CODE).op("i32.eq");
  body.if();
  body.get(last);
  body.get(last).memory("i32.load", GWB_RECORD.FRAME).i32(12).op("i32.shl");
  body.get(last).memory("i32.load").i32(0xff8).op("i32.and").op("i32.or").memory("i64.load");
  body.memory("i64.store", GWB_RECORD.NEW);
  body
    .get(last)
    .get(last)
    .memory("i32.load")
    .i32(DEFERRED_SIZE_CODE ^ ENTRY_SIZE_CODE)
    .op("i32.xor");
  body.memory("i32.store");
  body.end();
  address(() => body.get(produced), record);
  body.get(host).i32(12).op("i32.shr_u").i32(2).op("i32.shl").memory("i32.load", map.frames.pagesAddress);
  body.set(page);
  body.get(record).get(page).i32(12).op("i32.shl").get(host).i32(0xff8).op("i32.and").op("i32.or");
  body.i32(DEFERRED_SIZE_CODE).op("i32.or").memory("i32.store");
  body.get(record).get(page).i32(20).op("i32.shr_u").memory("i32.store", 4);
  body.get(record).get(host).memory("i64.load").memory("i64.store", GWB_RECORD.OLD);
  body.get(record).i32(buffers.sequenceAddress).memory("i32.load").memory("i32.store", GWB_RECORD.SEQUENCE);
  body.i32(buffers.sequenceAddress).i32(buffers.sequenceAddress).memory("i32.load").i32(1).op("i32.add");
  body.memory("i32.store");
  body.get(record).get(host).i32(12).op("i32.shr_u").memory("i32.store", GWB_RECORD.FRAME);
  body.get(pe).get(produced).i32(1).op("i32.add").memory("i32.store", PE_LAYOUT.GWB_PRODUCED);
  body.i32(1);
}
