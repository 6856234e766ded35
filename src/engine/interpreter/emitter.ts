import { Bug } from "../../base/errors.ts";
import {
  type Block,
  callsRuntime,
  type FlagName,
  isPure,
  isRemovable,
  Node,
  type Statement,
} from "../../isa/ir.ts";
import type { ImmediateOperand } from "../../isa/operands.ts";
import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import type { HandlerFrame, OperandAccess } from "./handler-frame.ts";
import { type ConditionEmitter, isQuietChoice, leaveUnless } from "./leave-unless.ts";
import { LOAD_I64, MemoryEmitter } from "./memory-emitter.ts";
import { PROCESSOR_OPERATION_NUMBER } from "./processor-operations.ts";

/** Writes the code of one handler from its meaning. */
export class HandlerEmitter {
  readonly #frame: HandlerFrame;
  readonly #operands: OperandAccess;
  readonly #body: FunctionBody;
  readonly #locals = new Map<Node, number>();
  readonly #taken: [ValueType, number][] = [];
  readonly #memory: MemoryEmitter;
  readonly #conditions: ConditionEmitter;

  constructor(frame: HandlerFrame) {
    this.#frame = frame;
    this.#operands = frame.operands;
    this.#body = frame.body;
    this.#conditions = {
      body: frame.body,
      isKept: (node) => this.#locals.has(node),
      push: (node) => this.#push(node),
      statements: (block) => this.#statements(block),
      exit: () => frame.exit(),
    };
    this.#memory = new MemoryEmitter(frame, {
      push: (node) => this.#push(node),
      statements: (block) => this.#statements(block),
      localOf: (node) => this.#locals.get(node),
      setLocal: (node, local) => this.#locals.set(node, local),
      temporary: (type) => this.#temporary(type),
    });
  }

  /** The whole handler, from operands to the next instruction. */
  emit(block: Block, simd: boolean): void {
    if (simd) this.#floatingPointCheck();
    this.#statements(block);
    const last = block.statements.at(-1);
    if (last?.kind !== "branch" && last?.kind !== "branchRelative") {
      if (this.#memory.mayLeave) this.#leaveIfAsked();
      this.#frame.next();
    }
    this.finish();
  }

  /** Everything but a final branch, which the caller turns into control flow. */
  emitStraight(block: Block): void {
    const last = block.statements.at(-1);
    const ends =
      last?.kind === "branchRelative" || last?.kind === "branchRelativeIf" || last?.kind === "branch";
    for (const statement of ends ? block.statements.slice(0, -1) : block.statements)
      this.#statement(statement);
  }

  /** Pushes the value of a node of the block just emitted: a branch's condition or target. */
  push(node: Node): void {
    this.#push(node);
  }

  /** Gives the temporaries back; another handler may follow. */
  finish(): void {
    if (this.#taken.length === 0 && this.#locals.size === 0) return;
    for (const [type, local] of this.#taken) this.#body.release(type, local);
    this.#taken.length = 0;
    this.#locals.clear();
  }

  #temporary(type: ValueType): number {
    const local = this.#body.local(type);
    this.#taken.push([type, local]);
    return local;
  }

  #floatingPointCheck(): void {
    const body = this.#body;
    body.get(this.#frame.pe).memory("i32.load", PE_LAYOUT.FP_ENABLED).op("i32.eqz");
    body.if();
    this.#callProcessor("floatingPointTrap", []);
    body.drop();
    this.#frame.exit();
    body.end();
  }

  #leaveIfAsked(): void {
    const { body, pe, leave } = this.#frame;
    body.get(leave);
    body.if();
    body.get(pe);
    this.#frame.pushPc();
    body.i64(4n).op("i64.add").memory("i64.store", PE_LAYOUT.PC);
    this.#frame.exit();
    body.end();
  }

  #statements(block: Block): void {
    for (const statement of block.statements) this.#statement(statement);
  }

  #statement(statement: Statement): void {
    const { body, pe } = this.#frame;
    switch (statement.kind) {
      case "define":
        this.#define(statement.node);
        break;
      case "writeRegister":
        this.#operands.writeRegister(statement.register, statement.bits, () => this.#push(statement.value));
        break;
      case "writeVector":
        this.#operands.writeVector(statement.register, statement.part, () => this.#push(statement.value));
        break;
      case "setFlags":
        this.#operands.writeFlags(statement, (node) => this.#push(node));
        break;
      case "writeSlot":
        this.#operands.pushImmediate(statement.offset, "i32");
        body.get(pe).op("i32.add");
        this.#push(statement.value);
        body.memory("i64.store");
        break;
      case "writeFpsr":
        body.get(pe);
        this.#push(statement.value);
        body.memory("i32.store", PE_LAYOUT.FPSR);
        break;
      case "when":
        if (this.#frame.leavesSlowCases && isOnlyCaller(statement.otherwise, statement.taken)) {
          leaveUnless(this.#conditions, statement.condition);
          this.#statements(statement.taken);
          break;
        }
        this.#push(statement.condition);
        body.if();
        this.#statements(statement.taken);
        if (statement.otherwise.statements.length > 0) {
          body.else();
          this.#statements(statement.otherwise);
        }
        body.end();
        break;
      case "store":
        this.#memory.store(statement.address, statement.access, statement.parts);
        break;
      case "clearExclusive":
        body.get(pe).i32(0).memory("i32.store", PE_LAYOUT.EXCLUSIVE_ADDRESS);
        break;
      case "branch":
        body.get(pe);
        this.#push(statement.target);
        body.memory("i64.store", PE_LAYOUT.PC);
        this.#frame.exit();
        break;
      case "branchRelative":
        this.#branchRelative(statement.offset);
        break;
      case "branchRelativeIf":
        this.#push(statement.condition);
        body.if();
        this.#branchRelative(statement.offset);
        body.end();
        this.#frame.notTaken();
        break;
      case "processor": {
        if (this.#frame.leavesSlowCases) {
          // Translated code leaves such cases to the interpreter, before anything has happened.
          this.#frame.exit();
          break;
        }
        this.#callProcessor(statement.operation, statement.operands);
        body.if();
        this.#frame.exit();
        body.end();
        break;
      }
    }
  }

  #branchRelative(offset: ImmediateOperand<32>): void {
    const { body, pe, jumpInPage } = this.#frame;
    if (jumpInPage !== undefined) {
      this.#operands.pushImmediate(offset, "i32");
      jumpInPage();
      return;
    }
    body.get(pe);
    this.#frame.pushPc();
    this.#operands.pushImmediate(offset, "i64");
    body.op("i64.add").memory("i64.store", PE_LAYOUT.PC);
    this.#frame.exit();
  }

  /** Leaves an i32 on the stack: 0 go on, otherwise leave. */
  #callProcessor(
    operation: keyof typeof PROCESSOR_OPERATION_NUMBER,
    operands: readonly (Node | ImmediateOperand)[],
  ): void {
    const { body, pe, imports } = this.#frame;
    this.#frame.spill();
    body.get(pe).i32(PROCESSOR_OPERATION_NUMBER[operation]);
    for (let index = 0; index < 3; index++) {
      const operand = operands[index];
      if (operand === undefined) body.i32(0);
      else if (operand instanceof Node) {
        this.#push(operand);
        body.op("i32.wrap_i64");
      } else this.#operands.pushImmediate(operand, "i32");
    }
    body.call(imports.processor);
  }

  #define(node: Node): void {
    if (node.uses === 0 && isRemovable(node)) return;
    if (isPure(node) && node.uses <= 1) return;
    if (this.#frame.leavesSlowCases && node.uses === 1 && isQuietChoice(node)) return;
    if (node.shape.kind === "atomic") {
      this.#memory.atomic(node);
      return;
    }
    const { shape } = node;
    const home = shape.kind === "readRegister" ? this.#operands.home(shape.register, shape.bits) : undefined;
    if (home !== undefined) {
      this.#locals.set(node, home);
      return;
    }
    this.#compute(node);
    const local = this.#temporary(node.type);
    this.#locals.set(node, local);
    this.#body.set(local);
  }

  #push(node: Node): void {
    const local = this.#locals.get(node);
    if (local === undefined) this.#compute(node);
    else this.#body.get(local);
  }

  #pushInputs(node: Node): void {
    for (const input of node.inputs) this.#push(input);
  }

  #compute(node: Node): void {
    const { shape } = node;
    const { body, pe, imports } = this.#frame;
    switch (shape.kind) {
      case "constant":
        this.#constant(node.type, shape.value);
        break;
      case "immediate":
        this.#operands.pushImmediate(shape.operand, node.type === "i32" ? "i32" : "i64");
        break;
      case "operator":
        this.#pushInputs(node);
        body.op(shape.name);
        break;
      case "lane":
        this.#pushInputs(node);
        body.laneOp(shape.name, shape.lane);
        break;
      case "shuffle":
        this.#pushInputs(node);
        body.shuffle(shape.lanes);
        break;
      case "select":
        this.#pushInputs(node);
        body.select(node.type);
        break;
      case "pc":
        this.#frame.pushPc();
        break;
      case "condition":
        this.#condition(shape.condition);
        break;
      case "readRegister":
        this.#operands.pushRegister(shape.register, shape.bits);
        break;
      case "readVector":
        this.#operands.pushVector(shape.register, shape.part);
        break;
      case "readFlag":
        this.#operands.pushFlag(shape.flag);
        break;
      case "readSlot":
        this.#operands.pushImmediate(shape.offset, "i32");
        body.get(pe).op("i32.add").memory("i64.load");
        break;
      case "fastCondition":
        body.get(pe).memory("i32.load", PE_LAYOUT.FAST_REGISTERS).i32(shape.bit).op("i32.shr_u");
        body.i32(1).op("i32.and");
        break;
      case "clockTicks":
        body.call(imports.ticks);
        break;
      case "isWritable":
        this.#memory.isWritable(node.inputs, shape.access);
        break;
      case "readFpcr":
        this.#frame.pushFpcr();
        break;
      case "readInexact":
        this.#frame.pushInexact();
        break;
      case "readFpsr":
        body.get(pe).memory("i32.load", PE_LAYOUT.FPSR);
        break;
      case "call":
        this.#pushInputs(node);
        body.call(imports.runtime(shape.name));
        break;
      case "choose":
        this.#choose(node, shape.taken, shape.otherwise);
        break;
      case "loadAddress":
        this.#memory.loadAddress(node.inputs, shape.access);
        break;
      case "loadPart":
        this.#pushInputs(node);
        if (shape.bytes === 16) body.memory("v128.load", shape.offset);
        else body.memory(LOAD_I64[shape.bytes], shape.offset);
        break;
      case "armExclusive":
        this.#memory.armExclusive(node, shape.bytes, shape.pair);
        break;
      case "storeExclusive":
        this.#memory.storeExclusive(node, shape.access, shape.bytes, shape.pair);
        break;
      case "bound":
      case "atomic":
        throw new Bug(`node ${shape.kind} is computed out of place`);
    }
  }

  /** An arm that calls where the other does not is the unlikely one. */
  #choose({ type, inputs: [condition] }: Node, taken: Block, otherwise: Block): void {
    if (condition === undefined) throw new Bug("a choice has no condition");
    const body = this.#body;
    const arm = (block: Block): void => {
      this.#statements(block);
      this.#pushResult(block);
    };
    if (this.#frame.leavesSlowCases && isOnlyCaller(otherwise, taken)) {
      leaveUnless(this.#conditions, condition);
      arm(taken);
      return;
    }
    this.#push(condition);
    if (this.#frame.leavesSlowCases && isOnlyCaller(taken, otherwise)) {
      body.if(undefined, "unlikely");
      this.#frame.exit();
      body.end();
      arm(otherwise);
      return;
    }
    if (isOnlyCaller(taken, otherwise)) body.if(type, "unlikely");
    else if (isOnlyCaller(otherwise, taken)) body.if(type, "likely");
    else body.if(type);
    arm(taken);
    body.else();
    arm(otherwise);
    body.end();
  }

  #pushResult(block: Block): void {
    const [result] = block.results;
    if (result === undefined) throw new Bug("a choice leaves no value");
    this.#push(result);
  }

  #constant(type: ValueType, value: number | bigint | readonly number[]): void {
    const body = this.#body;
    if (typeof value === "bigint") body.i64(value);
    else if (typeof value === "object") body.v128(value);
    else if (type === "i32") body.i32(value);
    else if (type === "f32") body.f32(value);
    else body.f64(value);
  }

  #condition(condition: number): void {
    const { body } = this.#frame;
    if (condition >> 1 === 7) {
      body.i32(1);
      return;
    }
    if (this.#operands.pushCondition(condition)) return;
    const flag = (name: FlagName): FunctionBody => {
      this.#operands.pushFlag(name);
      return body;
    };
    const negativeEqualsOverflow = (): void => {
      flag("N");
      flag("V").op("i64.xor").i64(0n).op("i64.ge_s");
    };
    switch (condition >> 1) {
      case 0:
        flag("Z").op("i64.eqz");
        break;
      case 1:
        flag("C").op("i32.wrap_i64");
        break;
      case 2:
        flag("N").i64(0n).op("i64.lt_s");
        break;
      case 3:
        flag("V").i64(0n).op("i64.lt_s");
        break;
      case 4:
        flag("C").op("i32.wrap_i64");
        flag("Z").i64(0n).op("i64.ne").op("i32.and");
        break;
      case 5:
        negativeEqualsOverflow();
        break;
      default:
        negativeEqualsOverflow();
        flag("Z").i64(0n).op("i64.ne").op("i32.and");
    }
    if (condition & 1) body.op("i32.eqz");
  }
}

/** An arm that calls the runtime where the other one does not: the unlikely one. */
function isOnlyCaller(arm: Block, other: Block): boolean {
  return callsRuntime(arm) && !callsRuntime(other);
}
