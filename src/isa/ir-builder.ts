import { Bug } from "../base/errors.ts";
import type { LaneOperatorName, OperatorName, ValueType } from "../wasm/opcodes.ts";
import { type Access, type Block, laneOperatorResult, Node, type NodeShape, operatorResult } from "./ir.ts";
import type { BaseOperand, ImmediateOperand, RegisterOperand } from "./operands.ts";
import { RUNTIME_FUNCTIONS, type RuntimeFunctionName } from "./runtime-functions.ts";
import type {
  AccessOptions,
  BranchKind,
  FlagsOperands,
  LoadedBytes,
  ProcessorOperation,
  Semantics,
  StorePart,
  Value,
} from "./semantics.ts";

type General = RegisterOperand<"x" | "sp">;
type Vector = RegisterOperand<"v">;

/** Values come back to the builder as what they are: its own nodes. */
function node<T extends ValueType>(value: Value<T>): Node<T> {
  if (value instanceof Node) return value;
  throw new Bug("a meaning used a value that its builder did not make");
}

function access(bytes: number, options: AccessOptions | undefined): Access {
  return {
    bytes,
    element: options?.element ?? bytes,
    unprivileged: options?.unprivileged ?? false,
    aligned: options?.aligned ?? false,
  };
}

/** Records the meaning of one instruction as a {@link Block}, which engines turn into code. */
export class IrBuilder {
  readonly fusedMultiplyAdd: boolean;
  #block: Block = { statements: [], results: [] };

  constructor(fusedMultiplyAdd = false) {
    this.fusedMultiplyAdd = fusedMultiplyAdd;
  }

  /** The steps recorded so far. */
  get block(): Block {
    return this.#block;
  }

  #define<T extends ValueType>(type: T, shape: NodeShape, inputs: readonly Value[] = []): Node<T> {
    const made = new Node(type, shape, inputs.map(node));
    this.#block.statements.push({ kind: "define", node: made });
    return made;
  }

  #inner(record: () => readonly Value[]): Block {
    const outer = this.#block;
    const inner: Block = { statements: [], results: [] };
    this.#block = inner;
    inner.results = record().map(node);
    this.#block = outer;
    return inner;
  }

  i32(value: number): Node<"i32"> {
    return new Node("i32", { kind: "constant", value: value | 0 }, []);
  }
  i64(value: bigint | number): Node<"i64"> {
    return new Node("i64", { kind: "constant", value: BigInt.asIntN(64, BigInt(value)) }, []);
  }
  f32(value: number): Node<"f32"> {
    return new Node("f32", { kind: "constant", value }, []);
  }
  f64(value: number): Node<"f64"> {
    return new Node("f64", { kind: "constant", value }, []);
  }
  v128(bytes: readonly number[]): Node<"v128"> {
    return new Node("v128", { kind: "constant", value: bytes }, []);
  }
  imm32(operand: ImmediateOperand<32>): Node<"i32"> {
    return new Node("i32", { kind: "immediate", operand }, []);
  }
  imm64(operand: ImmediateOperand): Node<"i64"> {
    return new Node("i64", { kind: "immediate", operand }, []);
  }

  op(name: OperatorName, ...operands: readonly Value[]): Node {
    return this.#define(operatorResult(name), { kind: "operator", name }, operands);
  }
  lane(name: LaneOperatorName, lane: number, ...operands: readonly Value[]): Node {
    return this.#define(laneOperatorResult(name), { kind: "lane", name, lane }, operands);
  }
  shuffle(a: Value<"v128">, b: Value<"v128">, lanes: readonly number[]): Node<"v128"> {
    return this.#define("v128", { kind: "shuffle", lanes }, [a, b]);
  }
  select<T extends ValueType>(condition: Value<"i32">, ifTrue: Value<T>, ifFalse: Value<T>): Node<T> {
    return this.#define(ifTrue.type, { kind: "select" }, [ifTrue, ifFalse, condition]);
  }
  choose<T extends ValueType>(
    type: T,
    condition: Value<"i32">,
    ifTrue: () => Value<T>,
    ifFalse: () => Value<T>,
  ): Node<T> {
    const taken = this.#inner(() => [ifTrue()]);
    const otherwise = this.#inner(() => [ifFalse()]);
    return this.#define(type, { kind: "choose", taken, otherwise }, [condition]);
  }
  when(condition: Value<"i32">, then: () => void, otherwise?: () => void): void {
    const statement = {
      kind: "when",
      condition: node(condition),
      taken: this.#inner(() => {
        then();
        return [];
      }),
      otherwise: this.#inner(() => {
        otherwise?.();
        return [];
      }),
    } as const;
    this.#block.statements.push(statement);
  }
  call(name: RuntimeFunctionName, ...operands: readonly Value[]): Node {
    return this.#define(RUNTIME_FUNCTIONS[name].result, { kind: "call", name }, operands);
  }

  readX(register: General): Node<"i64"> {
    return this.#define("i64", { kind: "readRegister", register, bits: 64 });
  }
  readW(register: General): Node<"i32"> {
    return this.#define("i32", { kind: "readRegister", register, bits: 32 });
  }
  writeX(register: General, value: Value<"i64">): void {
    this.#block.statements.push({ kind: "writeRegister", register, bits: 64, value: node(value) });
  }
  writeW(register: General, value: Value<"i32">): void {
    this.#block.statements.push({ kind: "writeRegister", register, bits: 32, value: node(value) });
  }
  readV(register: Vector): Node<"v128"> {
    return this.#define("v128", { kind: "readVector", register, part: "v128" });
  }
  readD(register: Vector): Node<"f64"> {
    return this.#define("f64", { kind: "readVector", register, part: "f64" });
  }
  readS(register: Vector): Node<"f32"> {
    return this.#define("f32", { kind: "readVector", register, part: "f32" });
  }
  readVLow(register: Vector): Node<"i64"> {
    return this.#define("i64", { kind: "readVector", register, part: "i64" });
  }
  writeV(register: Vector, value: Value<"v128">): void {
    this.#block.statements.push({ kind: "writeVector", register, part: "v128", value: node(value) });
  }
  writeD(register: Vector, value: Value<"f64">): void {
    this.#block.statements.push({ kind: "writeVector", register, part: "f64", value: node(value) });
  }
  writeS(register: Vector, value: Value<"f32">): void {
    this.#block.statements.push({ kind: "writeVector", register, part: "f32", value: node(value) });
  }
  writeVLow(register: Vector, value: Value<"i64">): void {
    this.#block.statements.push({ kind: "writeVector", register, part: "i64", value: node(value) });
  }

  setFlags(
    n: Value<"i64">,
    z: Value<"i64">,
    c: Value<"i64">,
    v: Value<"i64">,
    operands?: FlagsOperands,
  ): void {
    const origin = operands && {
      operation: operands.operation,
      bits: operands.bits,
      left: node(operands.left),
      right: operands.right && node(operands.right),
    };
    this.#block.statements.push({ kind: "setFlags", n: node(n), z: node(z), c: node(c), v: node(v), origin });
  }
  flagN(): Node<"i64"> {
    return this.#define("i64", { kind: "readFlag", flag: "N" });
  }
  flagZ(): Node<"i64"> {
    return this.#define("i64", { kind: "readFlag", flag: "Z" });
  }
  flagC(): Node<"i64"> {
    return this.#define("i64", { kind: "readFlag", flag: "C" });
  }
  flagV(): Node<"i64"> {
    return this.#define("i64", { kind: "readFlag", flag: "V" });
  }
  setFlagsFromBits(value: Value<"i64">): void {
    const shifted = (amount: number): Value<"i64"> =>
      this.#define("i64", { kind: "operator", name: "i64.shl" }, [value, this.i64(amount)]);
    const bit = (index: number): Value<"i64"> =>
      this.#define("i64", { kind: "operator", name: "i64.and" }, [
        this.#define("i64", { kind: "operator", name: "i64.shr_u" }, [value, this.i64(index)]),
        this.i64(1),
      ]);
    const notZ = this.#define("i64", { kind: "operator", name: "i64.xor" }, [bit(30), this.i64(1)]);
    this.setFlags(shifted(32), notZ, bit(29), shifted(35));
  }
  condition(condition: number): Node<"i32"> {
    return this.#define("i32", { kind: "condition", condition });
  }

  readFpcr(): Node<"i32"> {
    return this.#define("i32", { kind: "readFpcr" });
  }
  readInexact(): Node<"i32"> {
    return this.#define("i32", { kind: "readInexact" });
  }
  readFpsr(): Node<"i32"> {
    return this.#define("i32", { kind: "readFpsr" });
  }
  writeFpsr(value: Value<"i32">): void {
    this.#block.statements.push({ kind: "writeFpsr", value: node(value) });
  }

  /** A u64 of the element's block; only engines know such places. */
  readSlot(offset: ImmediateOperand<32>): Node<"i64"> {
    return this.#define("i64", { kind: "readSlot", offset });
  }
  writeSlot(offset: ImmediateOperand<32>, value: Value<"i64">): void {
    this.#block.statements.push({ kind: "writeSlot", offset, value: node(value) });
  }
  fastCondition(bit: number): Node<"i32"> {
    return this.#define("i32", { kind: "fastCondition", bit });
  }

  clockTicks(): Node<"f64"> {
    return this.#define("f64", { kind: "clockTicks" });
  }

  isWritable(address: Value<"i64">, bytes: number): Node<"i32"> {
    return this.#define("i32", { kind: "isWritable", access: access(bytes, undefined) }, [address]);
  }

  address(base: BaseOperand): Node<"i64"> {
    const value = this.readX(base.register);
    if (base.isStackPointer) {
      const low = this.op("i64.and", value, this.i64(15));
      const misaligned = this.#define("i32", { kind: "operator", name: "i64.ne" }, [low, this.i64(0)]);
      this.when(misaligned, () => this.processor("stackAlignmentCheck"));
    }
    return value;
  }
  loadBytes(address: Value<"i64">, bytes: number, options?: AccessOptions): LoadedBytes {
    const host = this.#define("i32", { kind: "loadAddress", access: access(bytes, options) }, [address]);
    return {
      i64: (offset, size) => this.#define("i64", { kind: "loadPart", offset, bytes: size }, [host]),
      v128: (offset) => this.#define("v128", { kind: "loadPart", offset, bytes: 16 }, [host]),
    };
  }
  load(address: Value<"i64">, bytes: 1 | 2 | 4 | 8, options?: AccessOptions): Value<"i64"> {
    return this.loadBytes(address, bytes, options).i64(0, bytes);
  }
  loadV(address: Value<"i64">, options?: AccessOptions): Value<"v128"> {
    return this.loadBytes(address, 16, options).v128(0);
  }
  storeBytes(
    address: Value<"i64">,
    bytes: number,
    parts: readonly StorePart[],
    options?: AccessOptions,
  ): void {
    this.#block.statements.push({
      kind: "store",
      address: node(address),
      access: access(bytes, options),
      parts: parts.map((part) => ({
        offset: part.offset,
        bytes: part.bytes,
        value: node<ValueType>(part.value),
      })),
    });
  }
  store(address: Value<"i64">, bytes: 1 | 2 | 4 | 8, value: Value<"i64">, options?: AccessOptions): void {
    this.storeBytes(address, bytes, [{ offset: 0, bytes, value }], options);
  }
  storeV(address: Value<"i64">, value: Value<"v128">, options?: AccessOptions): void {
    this.storeBytes(address, 16, [{ offset: 0, bytes: 16, value }], options);
  }
  #atomic(
    address: Value<"i64">,
    bytes: number,
    old: readonly Node<"i64">[],
    update: () => readonly Value<"i64">[],
  ): void {
    const block = this.#inner(update);
    const whole = access(bytes * old.length, { aligned: true });
    this.#define("i32", { kind: "atomic", access: whole, update: block, old }, [address]);
  }
  atomic(
    address: Value<"i64">,
    bytes: 1 | 2 | 4 | 8,
    update: (old: Value<"i64">) => Value<"i64">,
  ): Value<"i64"> {
    const old = new Node("i64", { kind: "bound" }, []);
    this.#atomic(address, bytes, [old], () => [update(old)]);
    return old;
  }
  atomicPair(
    address: Value<"i64">,
    bytes: 4 | 8,
    update: (old: readonly [Value<"i64">, Value<"i64">]) => readonly [Value<"i64">, Value<"i64">],
  ): readonly [Value<"i64">, Value<"i64">] {
    const first = new Node("i64", { kind: "bound" }, []);
    const second = new Node("i64", { kind: "bound" }, []);
    this.#atomic(address, bytes, [first, second], () => update([first, second]));
    return [first, second];
  }
  loadExclusive(
    address: Value<"i64">,
    bytes: 1 | 2 | 4 | 8,
    pair: boolean,
  ): readonly [Value<"i64">, Value<"i64">] {
    const whole = access(pair ? bytes * 2 : bytes, { aligned: true });
    const host = this.#define("i32", { kind: "loadAddress", access: whole }, [address]);
    const first = this.#define("i64", { kind: "loadPart", offset: 0, bytes }, [host]);
    const second = pair
      ? this.#define("i64", { kind: "loadPart", offset: bytes, bytes }, [host])
      : this.i64(0);
    this.#define("i32", { kind: "armExclusive", bytes, pair }, [host, first, second]);
    return [first, second];
  }
  storeExclusive(
    address: Value<"i64">,
    bytes: 1 | 2 | 4 | 8,
    value: Value<"i64">,
    second?: Value<"i64">,
  ): Node<"i32"> {
    const pair = second !== undefined;
    const whole = access(pair ? bytes * 2 : bytes, { aligned: true });
    const inputs = [address, value, second ?? this.i64(0)];
    return this.#define("i32", { kind: "storeExclusive", access: whole, bytes, pair }, inputs);
  }
  clearExclusive(): void {
    this.#block.statements.push({ kind: "clearExclusive" });
  }

  pc(): Node<"i64"> {
    return new Node("i64", { kind: "pc" }, []);
  }
  branch(target: Value<"i64">, kind: BranchKind): void {
    this.#block.statements.push({ kind: "branch", target: node(target), branch: kind });
  }
  branchRelative(offset: ImmediateOperand<32>, kind: BranchKind): void {
    this.#block.statements.push({ kind: "branchRelative", offset, branch: kind });
  }
  branchRelativeIf(condition: Value<"i32">, offset: ImmediateOperand<32>): void {
    this.#block.statements.push({ kind: "branchRelativeIf", condition: node(condition), offset });
  }
  processor(operation: ProcessorOperation, ...operands: readonly (Value<"i64"> | ImmediateOperand)[]): void {
    this.#block.statements.push({
      kind: "processor",
      operation,
      operands: operands.map((operand) => ("kind" in operand ? operand : node(operand))),
    });
  }
}

/** The builder as meanings see it. Its operators return exactly the type that the operator table gives them. */
export function semanticsOf(builder: IrBuilder): Semantics {
  return builder as unknown as Semantics;
}
