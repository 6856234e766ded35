import { Bug } from "../../base/errors.ts";
import {
  type Access,
  type Block,
  type FlagName,
  isPure,
  isRemovable,
  Node,
  type Statement,
  type VectorPart,
} from "../../isa/ir.ts";
import type { ImmediateOperand, RegisterOperand } from "../../isa/operands.ts";
import type { RuntimeFunctionName } from "../../isa/runtime-functions.ts";
import { accessFlags } from "../../memory/access-flags.ts";
import { PE_LAYOUT, SOFT_TLB } from "../../memory/pe-layout.ts";
import type { FunctionBody } from "../../wasm/function-body.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import { PROCESSOR_OPERATION_NUMBER } from "./processor-operations.ts";

/** Functions outside that handlers call, by index in the module at hand. */
export interface HandlerImports {
  readonly slowLoad: number;
  readonly slowStore: number;
  readonly prepareWrite: number;
  readonly processor: number;
  runtime(name: RuntimeFunctionName): number;
}

/** How a meaning's operands and the flags are reached: through a record, or as locals and constants. */
export interface OperandAccess {
  pushRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64): void;
  /** `push` leaves an i64 (bits 64) or i32 (bits 32, zero-extended here). */
  writeRegister(register: RegisterOperand<"x" | "sp">, bits: 32 | 64, push: () => void): void;
  pushVector(register: RegisterOperand<"v">, part: VectorPart): void;
  /** The rest of the register becomes zero. */
  writeVector(register: RegisterOperand<"v">, part: VectorPart, push: () => void): void;
  pushImmediate(operand: ImmediateOperand, type: "i32" | "i64"): void;
  pushFlag(flag: FlagName): void;
  writeFlag(flag: FlagName, push: () => void): void;
}

/** Where a handler's code stands: a function of its own, or an arm of the interpreter's switch. */
export interface HandlerFrame {
  readonly body: FunctionBody;
  readonly imports: HandlerImports;
  readonly operands: OperandAccess;
  /** Local with the PE's base address. */
  readonly pe: number;
  /** Local, i32, 0 at entry: set when the loop must be left after this instruction. */
  readonly leave: number;
  /** Pushes the instruction's address (i64). */
  pushPc(): void;
  /** Pushes the soft TLB's bank for ordinary accesses. */
  pushBank(): void;
  /** Stores PC and fuel before something outside may look at them. */
  spill(): void;
  /** Leaves: PC in the PE's block is where to go on. */
  exit(): void;
  /**
   * True where stores that miss the soft TLB ask `prepareWrite` for a place to write (and leave when there is
   * none), false where they go through SCRATCH and `slowStore`.
   */
  readonly storesInPlace: boolean;
  /** Goes on at PC + (i32 on the stack), a target known to lie in this page. Undefined where not offered. */
  readonly jumpInPage: (() => void) | undefined;
  /** Goes on with the next instruction. */
  next(): void;
}

const LOAD_I64 = { 1: "i64.load8_u", 2: "i64.load16_u", 4: "i64.load32_u", 8: "i64.load" } as const;
const STORE_I64 = { 1: "i64.store8", 2: "i64.store16", 4: "i64.store32", 8: "i64.store" } as const;

/** Writes the code of one handler from its meaning. */
export class HandlerEmitter {
  readonly #frame: HandlerFrame;
  readonly #operands: OperandAccess;
  readonly #body: FunctionBody;
  readonly #locals = new Map<Node, number>();
  readonly #taken: [ValueType, number][] = [];
  #mayLeave = false;

  constructor(frame: HandlerFrame) {
    this.#frame = frame;
    this.#operands = frame.operands;
    this.#body = frame.body;
  }

  /** The whole handler, from operands to the next instruction. */
  emit(block: Block, simd: boolean): void {
    if (simd) this.#floatingPointCheck();
    this.#statements(block);
    const last = block.statements.at(-1);
    if (last?.kind !== "branch" && last?.kind !== "branchRelative") {
      if (this.#mayLeave) this.#leaveIfAsked();
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

  /** Gives the temporaries back. */
  finish(): void {
    for (const [type, local] of this.#taken) this.#body.release(type, local);
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
        for (const [flag, value] of [
          ["N", statement.n],
          ["Z", statement.z],
          ["C", statement.c],
          ["V", statement.v],
        ] as const) {
          this.#operands.writeFlag(flag, () => this.#push(value));
        }
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
        this.#store(statement.address, statement.access, statement.parts);
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
        break;
      case "processor": {
        if (this.#frame.storesInPlace) {
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
    if (node.shape.kind === "atomic") {
      this.#atomic(node);
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
      case "readFpcr":
        body.get(pe).memory("i32.load", PE_LAYOUT.FPCR);
        break;
      case "readFpsr":
        body.get(pe).memory("i32.load", PE_LAYOUT.FPSR);
        break;
      case "call":
        this.#pushInputs(node);
        body.call(imports.runtime(shape.name));
        break;
      case "choose":
        this.#pushInputs(node);
        body.if(node.type);
        this.#statements(shape.taken);
        this.#pushResult(shape.taken);
        body.else();
        this.#statements(shape.otherwise);
        this.#pushResult(shape.otherwise);
        body.end();
        break;
      case "loadAddress":
        this.#loadAddress(node.inputs, shape.access);
        break;
      case "loadPart":
        this.#pushInputs(node);
        if (shape.bytes === 16) body.memory("v128.load", shape.offset);
        else body.memory(LOAD_I64[shape.bytes], shape.offset);
        break;
      case "armExclusive":
        this.#armExclusive(node, shape.bytes, shape.pair);
        break;
      case "storeExclusive":
        this.#storeExclusive(node, shape.access, shape.bytes, shape.pair);
        break;
      case "bound":
      case "atomic":
        throw new Bug(`node ${shape.kind} is computed out of place`);
    }
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
      case 6:
        negativeEqualsOverflow();
        flag("Z").i64(0n).op("i64.ne").op("i32.and");
        break;
      default:
        body.i32(1);
        return;
    }
    if (condition & 1) body.op("i32.eqz");
  }

  /** Leaves 1 on the stack when the fast path may be taken; sets `entry` to the soft-TLB entry. */
  #probe(address: number, entry: number, access: Access, tag: number): void {
    const { body, pe } = this.#frame;
    if (access.unprivileged) body.get(pe).memory("i32.load", PE_LAYOUT.TLB_BANK_UNPRIVILEGED);
    else this.#frame.pushBank();
    body.get(address).op("i32.wrap_i64").i32(7).op("i32.shr_u");
    body
      .i32((SOFT_TLB.ENTRIES - 1) * SOFT_TLB.ENTRY_SIZE)
      .op("i32.and")
      .op("i32.add")
      .tee(entry);
    body.memory("i64.load", tag).get(address);
    if (access.bytes > 1) body.i64(BigInt(access.bytes - 1)).op("i64.add");
    body.i64(-4096n).op("i64.and").op("i64.eq");
    if (access.aligned && access.bytes > 1) {
      body
        .get(address)
        .op("i32.wrap_i64")
        .i32(access.bytes - 1)
        .op("i32.and")
        .op("i32.eqz")
        .op("i32.and");
    }
  }

  #hostAddress(address: number, entry: number): void {
    this.#body.get(address).op("i32.wrap_i64").get(entry).memory("i32.load", SOFT_TLB.ADDEND).op("i32.add");
  }

  #callSlow(index: number, address: number, access: Access): void {
    const { body, pe } = this.#frame;
    this.#frame.spill();
    body.get(pe).get(address).op("i32.wrap_i64").get(address).i64(32n).op("i64.shr_u").op("i32.wrap_i64");
    body.i32(access.bytes).i32(accessFlags(access)).call(index);
  }

  /** A virtual address as a local, so that it can be used several times. */
  #addressLocal(address: Node): number {
    const known = this.#locals.get(address);
    if (known !== undefined) return known;
    const local = this.#temporary("i64");
    this.#push(address);
    this.#body.set(local);
    this.#locals.set(address, local);
    return local;
  }

  #loadAddress(inputs: readonly Node[], access: Access): void {
    const [input] = inputs;
    if (input === undefined) throw new Bug("a load has no address");
    const { body } = this.#frame;
    const address = this.#addressLocal(input);
    const entry = this.#temporary("i32");
    this.#probe(address, entry, access, SOFT_TLB.READ_TAG);
    body.if("i32");
    this.#hostAddress(address, entry);
    body.else();
    this.#callSlow(this.#frame.imports.slowLoad, address, access);
    this.#exitIfZero(entry);
    body.end();
  }

  /** Leaves the handler when the i32 on the stack is 0, keeps it otherwise. */
  #exitIfZero(temporary: number): void {
    const { body } = this.#frame;
    body.tee(temporary).op("i32.eqz");
    body.if();
    this.#frame.exit();
    body.end();
    body.get(temporary);
  }

  #store(
    addressNode: Node,
    access: Access,
    parts: readonly { offset: number; bytes: number; value: Node }[],
  ): void {
    const address = this.#addressLocal(addressNode);
    const values = parts.map(({ value }) => {
      const known = this.#locals.get(value);
      if (known !== undefined) return known;
      const local = this.#temporary(value.type);
      this.#push(value);
      this.#body.set(local);
      return local;
    });
    this.#storeLocals(
      address,
      access,
      parts.map(({ offset, bytes }, index) => ({ offset, bytes, local: values[index] ?? 0 })),
    );
  }

  #storeLocals(
    address: number,
    access: Access,
    parts: readonly { offset: number; bytes: number; local: number }[],
  ): void {
    const { body, pe } = this.#frame;
    const entry = this.#temporary("i32");
    const writeParts = (host: number, base: number): void => {
      for (const { offset, bytes, local } of parts) {
        body.get(host).get(local);
        if (bytes === 16) body.memory("v128.store", base + offset);
        else body.memory(STORE_I64[storeSize(bytes)], base + offset);
      }
    };
    this.#probe(address, entry, access, SOFT_TLB.WRITE_TAG);
    if (this.#frame.storesInPlace) {
      this.#placeToWrite(address, entry, access);
      body.set(entry);
      writeParts(entry, 0);
      return;
    }
    body.if();
    this.#hostAddress(address, entry);
    body.set(entry);
    writeParts(entry, 0);
    body.else();
    writeParts(pe, PE_LAYOUT.SCRATCH);
    this.#callSlow(this.#frame.imports.slowStore, address, access);
    this.#afterSlowStore(entry);
    body.end();
  }

  /** Stack: whether the probe hit. Leaves the host address, or leaves the handler when there is none. */
  #placeToWrite(address: number, entry: number, access: Access): void {
    const { body } = this.#frame;
    body.if("i32");
    this.#hostAddress(address, entry);
    body.else();
    this.#callSlow(this.#frame.imports.prepareWrite, address, access);
    this.#exitIfZero(entry);
    body.end();
  }

  /** Stack: slowStore's answer (0 done, 1 fault, 2 leave after this instruction). */
  #afterSlowStore(temporary: number): void {
    const { body, leave } = this.#frame;
    this.#mayLeave = true;
    body.tee(temporary);
    body.if();
    body.get(temporary).i32(1).op("i32.eq");
    body.if();
    this.#frame.exit();
    body.end();
    body.i32(1).set(leave);
    body.end();
  }

  #atomic(node: Node): void {
    const { shape } = node;
    const [input] = node.inputs;
    if (shape.kind !== "atomic" || input === undefined) throw new Bug("an atomic has no address");
    const { body, pe } = this.#frame;
    const { access, update, old } = shape;
    const bytes = storeSize(access.bytes / old.length);
    const address = this.#addressLocal(input);
    const entry = this.#temporary("i32");
    const host = this.#temporary("i32");
    this.#probe(address, entry, access, SOFT_TLB.WRITE_TAG);
    this.#placeToWrite(address, entry, access);
    body.set(host);
    old.forEach((node, index) => {
      const local = this.#temporary("i64");
      body
        .get(host)
        .memory(LOAD_I64[bytes], index * bytes)
        .set(local);
      this.#locals.set(node, local);
    });
    this.#statements(update);
    update.results.forEach((value, index) => {
      body.get(host);
      this.#push(value);
      body.memory(STORE_I64[bytes], index * bytes);
    });
    if (this.#frame.storesInPlace) return;
    body.get(host).get(pe).i32(PE_LAYOUT.SCRATCH).op("i32.add").op("i32.eq");
    body.if();
    this.#callSlow(this.#frame.imports.slowStore, address, access);
    this.#afterSlowStore(entry);
    body.end();
  }

  #armExclusive(node: Node, bytes: number, pair: boolean): void {
    const { body, pe } = this.#frame;
    const [host, first, second] = node.inputs;
    if (host === undefined || first === undefined || second === undefined) throw new Bug("bad exclusive");
    body.get(pe);
    this.#push(host);
    body.memory("i32.store", PE_LAYOUT.EXCLUSIVE_ADDRESS);
    body
      .get(pe)
      .i32(pair ? bytes * 2 : bytes)
      .memory("i32.store", PE_LAYOUT.EXCLUSIVE_SIZE);
    body.get(pe);
    this.#push(first);
    body.memory("i64.store", PE_LAYOUT.EXCLUSIVE_VALUE).get(pe);
    this.#push(second);
    body.memory("i64.store", PE_LAYOUT.EXCLUSIVE_VALUE + 8);
    body.i32(0);
  }

  /** Leaves the status on the stack. The monitor is by host address, so aliases of a page agree. */
  #storeExclusive(node: Node, access: Access, size: number, pair: boolean): void {
    const { body, pe } = this.#frame;
    const [input, ...values] = node.inputs;
    if (input === undefined) throw new Bug("an exclusive store has no address");
    const bytes = storeSize(size);
    const address = this.#addressLocal(input);
    const host = this.#temporary("i32");
    const status = this.#temporary("i32");
    this.#loadAddress([input], access);
    body.set(host).i32(1).set(status);
    body.get(pe).memory("i32.load", PE_LAYOUT.EXCLUSIVE_ADDRESS).get(host).op("i32.eq");
    body.get(pe).memory("i32.load", PE_LAYOUT.EXCLUSIVE_SIZE).i32(access.bytes).op("i32.eq").op("i32.and");
    body.get(host).memory(LOAD_I64[bytes]);
    body.get(pe).memory("i64.load", PE_LAYOUT.EXCLUSIVE_VALUE).op("i64.eq").op("i32.and");
    if (pair) {
      body.get(host).memory(LOAD_I64[bytes], bytes);
      body
        .get(pe)
        .memory("i64.load", PE_LAYOUT.EXCLUSIVE_VALUE + 8)
        .op("i64.eq")
        .op("i32.and");
    }
    body.get(pe).i32(0).memory("i32.store", PE_LAYOUT.EXCLUSIVE_ADDRESS);
    body.if();
    const locals = values.map((value) => {
      const local = this.#temporary("i64");
      this.#push(value);
      body.set(local);
      return local;
    });
    const parts = locals.slice(0, pair ? 2 : 1);
    this.#storeLocals(
      address,
      access,
      parts.map((local, index) => ({ offset: index * bytes, bytes, local })),
    );
    body.i32(0).set(status).end().get(status);
  }
}

function storeSize(bytes: number): 1 | 2 | 4 | 8 {
  if (bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8) return bytes;
  throw new Bug(`no store of ${bytes} bytes exists`);
}
