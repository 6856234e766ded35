import { Bug } from "../../base/errors.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody, Label } from "../../wasm/function-body.ts";
import { HandlerEmitter } from "../interpreter/emitter.ts";
import type { HandlerFrame, HandlerImports } from "../interpreter/handler-frame.ts";
import { analyse, type ControlFlow } from "./control-flow.ts";
import { LocalOperands } from "./local-operands.ts";
import type { BasicBlock, Region, RegionInstruction } from "./region.ts";

/** Parameters of a region's function: PE base, virtual address of its page, fuel. It returns the fuel left. */
const PE = 0;
const PAGE = 1;
const FUEL = 2;

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
  readonly #operands: LocalOperands;
  readonly #bank: number;
  readonly #leave: number;
  readonly #labels = new Map<number, Label>();
  readonly #loops = new Map<number, Label>();
  #exitLabel: Label | undefined;

  constructor(body: FunctionBody, imports: HandlerImports, region: Region) {
    this.#body = body;
    this.#imports = imports;
    this.#region = region;
    this.#flow = analyse(region);
    this.#bank = body.local("i32");
    this.#leave = body.local("i32");
    this.#operands = new LocalOperands(body, PE, region);
  }

  emit(): void {
    const body = this.#body;
    if (this.#usesVectors()) {
      body.get(PE).memory("i32.load", PE_LAYOUT.FP_ENABLED).op("i32.eqz");
      body.if();
      body.get(FUEL).return().end();
    }
    this.#operands.load();
    body.get(PE).memory("i32.load", PE_LAYOUT.TLB_BANK).set(this.#bank);
    this.#exitLabel = body.block();
    this.#tree(this.#region.entry);
    body.end();
    this.#operands.save();
    body.get(FUEL);
  }

  #usesVectors(): boolean {
    for (const { instructions } of this.#region.blocks.values()) {
      if (instructions.some(({ handler }) => handler.simd)) return true;
    }
    return false;
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

  #block(start: number): void {
    const block = this.#region.blocks.get(start);
    if (block === undefined) throw new Bug("control flow names a block that the region lacks");
    const { instructions, terminator } = block;
    const body = this.#body;
    if (instructions.length > 0) body.get(FUEL).i32(instructions.length).op("i32.sub").set(FUEL);
    const lastEmitter = this.#instructions(block);
    switch (terminator.kind) {
      case "leave":
        this.#exitTo(terminator.at);
        break;
      case "exit":
        this.#exitTo(terminator.target);
        break;
      case "goto":
        this.#edge(start, terminator.target);
        break;
      case "indirect":
        body.get(PE);
        this.#pushLast(block, lastEmitter);
        body.memory("i64.store", PE_LAYOUT.PC);
        this.#exit();
        break;
      case "conditional":
        this.#pushLast(block, lastEmitter);
        body.if();
        this.#edge(start, terminator.taken);
        body.else();
        this.#edge(start, terminator.next);
        body.end();
        body.unreachable();
        break;
    }
    lastEmitter?.finish();
  }

  /** Emits all instructions; the last one's emitter stays open for the terminator. */
  #instructions({ instructions }: BasicBlock): HandlerEmitter | undefined {
    let open: HandlerEmitter | undefined;
    instructions.forEach((instruction, position) => {
      open?.finish();
      this.#operands.begin(instruction);
      open = new HandlerEmitter(this.#frame(instruction, instructions.length - position));
      open.emitStraight(instruction.handler.block);
    });
    return open;
  }

  /** The condition or target that the block's last instruction computed. */
  #pushLast({ instructions }: BasicBlock, emitter: HandlerEmitter | undefined): void {
    const last = instructions.at(-1)?.handler.block.statements.at(-1);
    if (last?.kind === "branch") emitter?.push(last.target);
    else if (last?.kind === "branchRelativeIf") emitter?.push(last.condition);
    else throw new Bug("a block's last instruction computes no branch");
  }

  #frame(instruction: RegionInstruction, charged: number): HandlerFrame {
    const body = this.#body;
    return {
      body,
      imports: this.#imports,
      operands: this.#operands,
      pe: PE,
      leave: this.#leave,
      leavesSlowCases: true,
      pushPc: () =>
        body
          .get(PAGE)
          .i64(BigInt(instruction.index * 4))
          .op("i64.add"),
      pushBank: () => body.get(this.#bank),
      spill: () => {},
      exit: () => {
        // This instruction and those after it in the block did not happen.
        body.get(FUEL).i32(charged).op("i32.add").set(FUEL);
        this.#exitTo(instruction.index);
      },
      jumpInPage: undefined,
      next: () => {
        throw new Bug("a region places its own branches");
      },
    };
  }

  #edge(from: number, to: number): void {
    const { position } = this.#flow;
    if (!this.#flow.isInside(from, to)) {
      this.#exitTo(to);
      return;
    }
    const body = this.#body;
    if ((position.get(to) ?? 0) <= (position.get(from) ?? 0)) {
      const header = this.#loops.get(to);
      if (header === undefined) throw new Bug("a back edge goes to no loop");
      body.get(FUEL).get(PE).memory("i32.load", PE_LAYOUT.ATTENTION).op("i32.or").i32(0).op("i32.ge_s");
      body.branchIf(header);
      this.#exitTo(to);
      return;
    }
    const label = this.#labels.get(to);
    if (this.#flow.mergePoints.has(to) && label !== undefined) body.branch(label);
    else this.#tree(to);
  }

  #exitTo(index: number): void {
    this.#body
      .get(PE)
      .get(PAGE)
      .i64(BigInt(index * 4))
      .op("i64.add")
      .memory("i64.store", PE_LAYOUT.PC);
    this.#exit();
  }

  #exit(): void {
    if (this.#exitLabel === undefined) throw new Bug("a region has no exit yet");
    this.#body.branch(this.#exitLabel);
  }
}
