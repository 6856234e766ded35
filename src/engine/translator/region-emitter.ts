import { Bug } from "../../base/errors.ts";
import { FPSR } from "../../isa/softfloat/control.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";
import { HandlerEmitter } from "../interpreter/emitter.ts";
import {
  floatingPointControl,
  type HandlerFrame,
  type HandlerImports,
} from "../interpreter/handler-frame.ts";
import type { Handler } from "../interpreter/handler-set.ts";
import { analyse, type ControlFlow } from "./control-flow.ts";
import { type EntryWords, spanOf } from "./entry-tables.ts";
import { LocalOperands } from "./local-operands.ts";
import { type BasicBlock, DISPATCH, type Edge, isFindable, type Region } from "./region.ts";
import { formsSet, NOTHING, onlyFlags, prepared, RegisterFlow, type RegisterState } from "./register-flow.ts";
import { FLAGS_SET, hasFlags, type RegisterSet } from "./register-use.ts";
import { WaysOut } from "./ways-out.ts";

/**
 * Parameters of a region's function: PE base, PC, fuel, number of the entry. It returns the fuel left. After the start
 * the second is the virtual address of the entry's page, and the fourth the entry to go to next.
 */
const PE = 0;
const PC = 1;
const PAGE = 1;
const FUEL = 2;
/** From 1, in the order of {@link RegionEmitter.entryWords}; 0 where the region has one entry. */
const ENTRY = 3;

/**
 * Where a region is left, as one number, so that an exit is two instructions: the offset of the next instruction
 * above PLACE_SHIFT bits of instructions that were charged and did not happen. COMPUTED: PC is stored already.
 */
const PLACE_SHIFT = 12n;
const CHARGE_MASK = 0xfff;
const COMPUTED: bigint = -(1n << 63n);

export interface RegionOptions {
  /** Registers stay in locals from block to block; see {@link RegisterFlow}. */
  readonly tracksRegisters: boolean;
  /** The base of the one processing element that will ever run it; undefined where there are several. */
  readonly element: number | undefined;
  /**
   * The function to call where FPCR is not 0 or nothing inexact has happened yet, in regions that would have to look
   * at every instruction; undefined: they look.
   */
  readonly unusual: number | undefined;
  /** The global with the address of the region's table of entries, minus its first word. */
  entryTable(): number;
  /** The global with the address of the records of a page, by its distance from the beginning's. */
  pageRecords(delta: number): number;
}

/** How the region finds an entry: the global of {@link RegionOptions.entryTable}, and which words have a byte. */
interface EntrySearch {
  readonly global: number;
  readonly low: number;
  readonly count: number;
}

/**
 * Writes one region as a WebAssembly function: guest registers in locals, structured control flow, and every
 * case that is not plain computation or a soft-TLB hit leaves it, with PC at the instruction concerned, so
 * that the interpreter does exactly that instruction. A region that returns the fuel it got did nothing.
 */
export class RegionEmitter {
  readonly #body: FunctionBody;
  readonly #imports: HandlerImports;
  readonly #region: Region;
  readonly #flow: ControlFlow;
  /** What a region with several entries needs a table of. */
  readonly entryWords: EntryWords | undefined;
  readonly #search: EntrySearch | undefined;
  readonly #operands: LocalOperands;
  readonly #registers: RegisterFlow;
  readonly #tracked: boolean;
  readonly #unusual: number | undefined;
  readonly #pageRecords: (delta: number) => number;
  readonly #bank: number;
  readonly #leave: number;
  readonly #place: number;
  /** Local, i64: the place of a computed address in the table of entries. */
  readonly #target: number;
  readonly #entry: number;
  readonly #labels = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  #waysOut: WaysOut | undefined;
  #floatingPoint: Pick<HandlerFrame, "pushFpcr" | "pushInexact">;
  #state = NOTHING;
  readonly #handler: HandlerEmitter;
  /** The instruction that is being emitted, and how many were charged that have not happened, with it. */
  #offset = 0;
  #charged = 0;

  constructor(
    body: FunctionBody,
    imports: HandlerImports,
    region: Region,
    { tracksRegisters, element, unusual, entryTable, pageRecords }: RegionOptions,
  ) {
    this.#unusual = unusual;
    this.#pageRecords = pageRecords;
    this.#tracked = tracksRegisters;
    // To the host's compiler a local that is set once is a constant, and its addresses are constants, too.
    if (element !== undefined) body.i32(element).set(PE);
    this.#body = body;
    this.#imports = imports;
    this.#region = region;
    const flow = analyse(region);
    const words = flow.entries.map((name) => {
      const block = region.blocks.get(name);
      return block !== undefined && isFindable(block) ? block.start / 4 : undefined;
    });
    const span = spanOf(words);
    this.entryWords = span && words;
    this.#search = span && { ...span, global: entryTable() };
    this.#flow = flow;
    this.#bank = body.local("i32");
    this.#leave = body.local("i32");
    this.#entry = body.local("i32");
    this.#place = body.local("i64");
    this.#target = body.local("i64");
    const forms = new Set([...region.blocks.values()].flatMap((block) => [...formsSet(block.instructions)]));
    this.#operands = new LocalOperands(body, PE, forms);
    this.#floatingPoint = floatingPointControl(body, PE);
    this.#registers = new RegisterFlow(region, this.#flow, tracksRegisters);
    this.#handler = new HandlerEmitter(this.#frame());
  }

  emit(): void {
    const body = this.#body;
    if (someInstruction(this.#region, ({ simd }) => simd)) {
      body.get(PE).memory("i32.load", PE_LAYOUT.FP_ENABLED).op("i32.eqz");
      body.if(undefined, "unlikely");
      body.get(FUEL).return().end();
    }
    if (usesFloatingPointControl(this.#region)) this.#keepFloatingPointControl();
    body.get(PE).memory("i32.load", PE_LAYOUT.TLB_BANK).set(this.#bank);
    const done = body.block();
    const waysOut = new WaysOut(body, this.#region, this.#flow, this.#registers);
    this.#waysOut = waysOut;
    body.get(PC).i64(-4096n).op("i64.and").set(PAGE);
    const [root = DISPATCH] = this.#flow.order;
    this.#state = NOTHING;
    this.#bringInto(this.#registers.entry(root));
    this.#tree(root);
    waysOut.close(this.#operands, done);
    body.end();
    this.#storePlace();
    body.get(FUEL);
  }

  /** PC from the place of the exit, and the fuel of instructions that did not happen. */
  #storePlace(): void {
    const body = this.#body;
    body.get(this.#place).i64(COMPUTED).op("i64.ne");
    body.if(undefined, "likely");
    body.get(PE).get(PAGE).get(this.#place).i64(PLACE_SHIFT).op("i64.shr_s").op("i64.add");
    body.memory("i64.store", PE_LAYOUT.PC);
    body.get(FUEL).get(this.#place).op("i32.wrap_i64").i32(CHARGE_MASK).op("i32.and").op("i32.add").set(FUEL);
    body.end();
  }

  /** FPCR does not change inside a region, and IXC, once set, stays. */
  #keepFloatingPointControl(): void {
    const body = this.#body;
    const [control, inexact] = [body.local("i32"), body.local("i32")];
    this.#floatingPoint.pushFpcr();
    body.set(control);
    this.#floatingPoint.pushInexact();
    body.set(inexact);
    if (this.#unusual !== undefined) {
      body.get(control).get(inexact).op("i32.eqz").op("i32.or").if(undefined, "unlikely");
      body.get(PE).get(PC).get(FUEL).get(ENTRY).call(this.#unusual).return().end();
      // From here on both are constants, and what depends on them is none of the host's compiler's work.
      body.i32(0).set(control).i32(FPSR.IXC).set(inexact);
    }
    this.#floatingPoint = { pushFpcr: () => body.get(control), pushInexact: () => body.get(inexact) };
  }

  /** A block and everything it dominates. */
  #tree(block: number): void {
    const body = this.#body;
    const merges = (this.#flow.children.get(block) ?? []).filter((child) =>
      this.#flow.mergePoints.has(child),
    );
    if (!this.#flow.loopHeaders.has(block)) {
      this.#within(block, merges);
      return;
    }
    this.#loops.set(block, body.loop());
    this.#within(block, merges);
    body.end();
  }

  /** `merges`: dominated merge points still to be placed after the block, in reverse postorder. */
  #within(block: number, merges: readonly number[]): void {
    const last = merges.at(-1);
    if (last === undefined) {
      this.#block(block);
      return;
    }
    const body = this.#body;
    this.#labels.set(last, body.block());
    this.#within(block, merges.slice(0, -1));
    body.end();
    this.#tree(last);
  }

  /** Sends control to the entry with the number in ENTRY; all registers are in memory. */
  #dispatch(): void {
    const body = this.#body;
    const { entries } = this.#flow;
    const nowhere = body.block();
    const doors = entries.map(() => body.block()).reverse();
    body.get(ENTRY).branchTable([nowhere, ...doors], nowhere);
    for (const name of entries) {
      body.end();
      const block = this.#region.blocks.get(name);
      const label = this.#labels.get(name);
      if (block === undefined || label === undefined) throw new Bug("an entry has no place");
      this.#state = NOTHING;
      if (block.page.delta !== 0) this.#guardPage(block);
      this.#bringInto(this.#registers.entry(name));
      body.branch(label);
    }
    body.end();
    body.unreachable();
  }

  /** Goes on at the entry with the number in ENTRY, where there is fuel; all registers are in memory. */
  #branchToDispatch(): void {
    const loop = this.#loops.get(DISPATCH);
    if (loop === undefined) throw new Bug("the place that dispatches is no loop");
    this.#body.get(FUEL).i32(0).op("i32.ge_s").branchIf(loop, "likely");
  }

  /** Stack: a computed address. Goes there inside the region, or leaves. */
  #computed(): void {
    const body = this.#body;
    const search = this.#search;
    const before = this.#state;
    body.set(this.#place);
    if (search !== undefined) {
      // A misaligned address becomes a huge number.
      body
        .get(this.#place)
        .get(PAGE)
        .op("i64.sub")
        .i64(BigInt(search.low * 4))
        .op("i64.sub");
      body.i64(2n).op("i64.rotr").tee(this.#target).i64(BigInt(search.count)).op("i64.lt_u").if();
      body.get(this.#target).op("i32.wrap_i64").i32(search.low).op("i32.add").global(search.global);
      body.op("i32.add").memory("i32.load8_u").tee(ENTRY).if();
      this.#saveAll();
      this.#branchToDispatch();
      body.get(PE).get(this.#place);
      this.#exitToComputed();
      body.end();
      body.end();
      this.#state = before;
    }
    body.get(PE).get(this.#place);
    this.#exitToComputed();
  }

  #saveAll(): void {
    this.#operands.save(this.#state.unsaved, this.#state.flags);
    this.#state = NOTHING;
  }

  /** Stores what was not, where a small loop is left for a block that expects it; the flags stay. */
  #saveAllBut(expected: RegisterSet): void {
    const rest = this.#state.unsaved & ~expected & ~FLAGS_SET;
    if (rest === 0n) return;
    this.#operands.save(rest, this.#state.flags);
    this.#state = onlyFlags(this.#state);
  }

  #block(name: number): void {
    if (name === DISPATCH) {
      this.#dispatch();
      return;
    }
    const block = this.#region.blocks.get(name);
    if (block === undefined) throw new Bug("control flow names a block that the region lacks");
    const { instructions, terminator } = block;
    const body = this.#body;
    this.#state = this.#registers.entry(name);
    if (instructions.length > 0) body.get(FUEL).i32(instructions.length).op("i32.sub").set(FUEL);
    this.#instructions(block);
    const end = this.#state;
    switch (terminator.kind) {
      case "leave":
        this.#exitTo(terminator.offset);
        break;
      case "goto":
        this.#edge(block, terminator.to);
        break;
      case "indirect":
        this.#pushLast(block);
        this.#computed();
        break;
      case "return":
        this.#pushLast(block);
        body.tee(this.#place);
        this.#pushAddress(terminator.to.offset);
        body.op("i64.eq").if(undefined, "likely");
        this.#edge(block, terminator.to);
        body.end();
        this.#state = end;
        body.get(PE).get(this.#place);
        this.#exitToComputed();
        break;
      case "conditional":
        this.#pushLast(block);
        body.if();
        this.#edge(block, terminator.taken);
        body.else();
        this.#state = end;
        this.#edge(block, terminator.next);
        body.end();
        body.unreachable();
        break;
    }
  }

  /** Emits all instructions but what the terminator makes of the last one. */
  #instructions({ name, instructions }: BasicBlock): void {
    instructions.forEach((instruction, position) => {
      this.#handler.finish();
      const { use, handler } = instruction.known;
      this.#operands.load(use.reads & ~this.#state.valid);
      const ready = prepared(this.#state, use);
      if (ready.flags !== this.#state.flags) this.#operands.storeVaryingFlags();
      this.#state = ready;
      this.#operands.begin(instruction, ready.flags);
      this.#offset = instruction.offset;
      this.#charged = instructions.length - position;
      this.#handler.emitStraight(handler.block);
      this.#operands.save(this.#registers.storedAtOnce(name, use), "stored");
      this.#state = this.#registers.after(name, this.#state, instruction.known);
    });
  }

  /** The condition or target that the block's last instruction computed. */
  #pushLast({ instructions }: BasicBlock): void {
    const last = instructions.at(-1)?.known.handler.block.statements.at(-1);
    if (last?.kind === "branch") this.#handler.push(last.target);
    else if (last?.kind === "branchRelativeIf") this.#handler.push(last.condition);
    else throw new Bug("a block's last instruction computes no branch");
  }

  #frame(): HandlerFrame {
    const body = this.#body;
    return {
      body,
      imports: this.#imports,
      operands: this.#operands,
      pe: PE,
      leave: this.#leave,
      leavesSlowCases: true,
      pushPc: () => this.#pushAddress(this.#offset),
      pushBank: () => body.get(this.#bank),
      pushFpcr: () => this.#floatingPoint.pushFpcr(),
      pushInexact: () => this.#floatingPoint.pushInexact(),
      spill: () => {},
      // This instruction and those after it in the block did not happen.
      exit: () => this.#exitTo(this.#offset, this.#charged),
      jumpInPage: undefined,
      notTaken: () => undefined,
      next: () => {
        throw new Bug("a region places its own branches");
      },
    };
  }

  /** Goes on at the edge's block with the registers it expects, or leaves. */
  #edge(from: BasicBlock, { block, offset }: Edge): void {
    const { position } = this.#flow;
    const to = this.#region.blocks.get(block);
    const body = this.#body;
    const number = this.#flow.entries.indexOf(block) + 1;
    if (to !== undefined && number > 0 && !this.#flow.isInside(from.name, block)) {
      this.#saveAll();
      body.i32(number).set(ENTRY);
      this.#branchToDispatch();
      this.#exitTo(offset);
      return;
    }
    if (to === undefined || !this.#flow.isInside(from.name, block)) {
      this.#exitTo(offset);
      return;
    }
    const isReturn = from.terminator.kind === "return";
    // The page of the region's beginning was found where it is, a caller's when the region came through it.
    if (to.page !== from.page && !isReturn && to.page.delta !== 0) this.#guardPage(to);
    const expected = this.#registers.entry(block);
    if (!this.#tracked) this.#saveAll();
    else this.#saveAllBut(expected.unsaved);
    this.#bringInto(expected);
    if ((position.get(block) ?? 0) <= (position.get(from.name) ?? 0)) {
      const header = this.#loops.get(block);
      if (header === undefined) throw new Bug("a back edge goes to no loop");
      // ATTENTION was 0 when the region was entered, and nothing that happens in regions sets it.
      body.get(FUEL).i32(0).op("i32.ge_s");
      body.branchIf(header, "likely");
      this.#exitTo(offset);
      return;
    }
    const label = this.#labels.get(block);
    if (this.#flow.mergePoints.has(block) && label !== undefined) body.branch(label);
    else this.#tree(block);
  }

  /** Makes the registers what the block there expects. */
  #bringInto(expected: RegisterState): void {
    const { valid, flags } = this.#state;
    this.#operands.load(expected.valid & ~valid);
    if (!hasFlags(expected.valid)) return;
    const form = hasFlags(valid) ? flags : "stored";
    if (form === expected.flags) return;
    if (form === "varying" || expected.flags !== "varying")
      throw new Bug("flags arrive in a form nobody expects");
    this.#operands.nameFlagsForm(form);
  }

  /** Leaves unless the block's page is mapped to the frame that it was translated from. */
  #guardPage({ page, start }: BasicBlock): void {
    const body = this.#body;
    const entry = this.#entry;
    const address = (): FunctionBody => body.get(PAGE).i64(BigInt(page.delta)).op("i64.add");
    body.get(this.#bank);
    address().op("i32.wrap_i64").i32(7).op("i32.shr_u");
    body
      .i32((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE)
      .op("i32.and")
      .op("i32.add")
      .tee(entry);
    body.memory("i64.load", SOFT_TLB.EXECUTE_TAG);
    address().op("i64.eq");
    body.get(entry).memory("i32.load", SOFT_TLB.RECORDS).global(this.#pageRecords(page.delta));
    body.op("i32.eq").op("i32.and");
    body.op("i32.eqz").if(undefined, "unlikely");
    this.#exitTo(start);
    body.end();
  }

  #pushAddress(offset: number): void {
    this.#body.get(PAGE).i64(BigInt(offset)).op("i64.add");
  }

  /** Leaves for a place known now; `charged` instructions did not happen. */
  #exitTo(offset: number, charged = 0): void {
    this.#body.i64((BigInt(offset) << PLACE_SHIFT) | BigInt(charged)).set(this.#place);
    this.#exit();
  }

  /** Stack: the element's base and where to go on. */
  #exitToComputed(): void {
    this.#body.memory("i64.store", PE_LAYOUT.PC).i64(COMPUTED).set(this.#place);
    this.#exit();
  }

  /** Leaves; the place is set. */
  #exit(): void {
    if (this.#waysOut === undefined) throw new Bug("nothing is being emitted");
    this.#body.branch(this.#waysOut.of(this.#state));
  }
}

/** Whether FPCR or FPSR.IXC decide something in the region. */
export function usesFloatingPointControl(region: Region): boolean {
  return someInstruction(region, (handler) => handler.usesFloatingPointControl);
}

function someInstruction({ blocks }: Region, test: (handler: Handler) => boolean): boolean {
  return [...blocks.values()].some(({ instructions }) =>
    instructions.some(({ known }) => test(known.handler)),
  );
}
