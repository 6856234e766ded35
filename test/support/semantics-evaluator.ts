import type { Instruction } from "../../src/isa/instruction.ts";
import type { BaseOperand, ImmediateOperand, Operand, RegisterOperand } from "../../src/isa/operands.ts";
import {
  type FloatingPointContext,
  RUNTIME_FUNCTIONS,
  type RuntimeFunction,
} from "../../src/isa/runtime-functions.ts";
import type {
  AccessOptions,
  BranchKind,
  F32,
  F64,
  I32,
  I64,
  LoadedBytes,
  ProcessorOperation,
  Semantics,
  StorePart,
  V128,
  Value,
} from "../../src/isa/semantics.ts";
import type { ValueType } from "../../src/wasm/opcodes.ts";
import { type RawValue, WasmOperators } from "./wasm-operators.ts";

/**
 * What an instruction may do outside registers; the test gives what it needs. Bytes are little-endian.
 * A callback that throws ends the instruction, as a fault does.
 */
export interface EvaluatorWorld {
  readMemory?(address: bigint, bytes: number, options: AccessOptions): Uint8Array;
  writeMemory?(address: bigint, data: Uint8Array, options: AccessOptions): void;
  processor?(operation: ProcessorOperation, operands: readonly bigint[]): void;
}

/** Architectural state of one evaluation; tests set and compare it. */
export class EvaluatorState {
  /** X0 to X30 and, at 31, the stack pointer. */
  readonly x = new BigUint64Array(32);
  readonly v: Uint8Array[] = Array.from({ length: 32 }, () => new Uint8Array(16));
  /** N, Z, C, V as bits 3 to 0. */
  nzcv = 0;
  fpcr = 0;
  fpsr = 0;
  pc = 0n;
  /** Where the instruction branched to, if it did. */
  branched: { target: bigint; kind: BranchKind | "conditional" } | undefined;
  exclusive: { address: bigint; bytes: number } | undefined;
}

interface Evaluated {
  readonly type: ValueType;
  readonly raw: RawValue;
}

const CONDITIONS: readonly ((n: boolean, z: boolean, c: boolean, v: boolean) => boolean)[] = [
  (_n, z) => z,
  (_n, _z, c) => c,
  (n) => n,
  (_n, _z, _c, v) => v,
  (_n, z, c) => c && !z,
  (n, _z, _c, v) => n === v,
  (n, z, _c, v) => n === v && !z,
  () => true,
];

const sharedOperators = new WasmOperators();

/** Plain evaluator of the vocabulary over raw values: slow, obvious, the oracle for engines and tests. */
export class SemanticsEvaluator implements Semantics {
  readonly fusedMultiplyAdd: boolean;
  readonly state: EvaluatorState;
  readonly #world: EvaluatorWorld;
  readonly #context: FloatingPointContext;

  constructor(
    state: EvaluatorState = new EvaluatorState(),
    world: EvaluatorWorld = {},
    fusedMultiplyAdd = false,
  ) {
    this.fusedMultiplyAdd = fusedMultiplyAdd;
    this.state = state;
    this.#world = world;
    this.#context = {
      get control() {
        return state.fpcr;
      },
      raise(flags) {
        state.fpsr |= flags;
      },
    };
  }

  /**
   * Executes one row on field values. Returns false when the row declares them UNDEFINED. The PC advances by
   * 4 unless the instruction branched.
   */
  execute(row: Instruction, fields: Readonly<Record<string, number>>): boolean {
    const operands = row.operands === undefined ? {} : row.operands(fields);
    if (operands === undefined || row.execute === undefined) return false;
    this.run(row.execute, operands);
    return true;
  }

  run(
    meaning: (operands: Readonly<Record<string, Operand>>, s: Semantics) => void,
    operands: Readonly<Record<string, Operand>>,
  ): void {
    const { state } = this;
    state.branched = undefined;
    meaning(operands, this);
    state.pc = (state.branched as EvaluatorState["branched"])?.target ?? BigInt.asUintN(64, state.pc + 4n);
  }

  // Access to raw values, for tests.
  rawNumber(value: Value): number {
    return raw(value) as number;
  }
  rawBigint(value: Value): bigint {
    return raw(value) as bigint;
  }
  rawBytes(value: Value): Uint8Array {
    return raw(value) as Uint8Array;
  }

  i32(value: number): I32 {
    return make("i32", value | 0);
  }
  i64(value: bigint | number): I64 {
    return make("i64", BigInt.asUintN(64, BigInt(value)));
  }
  f32(value: number): F32 {
    return make("f32", float32Bits(value));
  }
  f64(value: number): F64 {
    return make("f64", float64Bits(value));
  }
  v128(bytes: readonly number[]): V128 {
    if (bytes.length !== 16) throw new Error("a vector constant has 16 bytes");
    return make("v128", Uint8Array.from(bytes));
  }
  imm32(operand: ImmediateOperand<32>): I32 {
    return this.i32(operand.value);
  }
  imm64(operand: ImmediateOperand): I64 {
    return this.i64(operand.value);
  }

  op: Semantics["op"] = (name, ...operands) => this.#operate(name, operands as readonly Value[]) as never;

  lane: Semantics["lane"] = (name, lane, ...operands) =>
    this.#operate(`${name} ${lane}`, operands as readonly Value[]) as never;

  #operate(name: string, operands: readonly Value[]): Value {
    const shape = sharedOperators.shape(name);
    operands.forEach((operand, index) => {
      if (operand.type !== shape.operands[index])
        throw new Error(`${name}: operand ${index} is ${operand.type}, not ${shape.operands[index]}`);
    });
    return make(shape.result, sharedOperators.run(name, operands.map(raw)));
  }

  shuffle(a: V128, b: V128, lanes: readonly number[]): V128 {
    const both = [...this.rawBytes(a), ...this.rawBytes(b)];
    if (lanes.length !== 16 || lanes.some((lane) => both[lane] === undefined))
      throw new Error("a shuffle has 16 lanes below 32");
    return make(
      "v128",
      Uint8Array.from(lanes, (lane) => both[lane]!),
    );
  }
  select<T extends ValueType>(condition: I32, ifTrue: Value<T>, ifFalse: Value<T>): Value<T> {
    if (ifTrue.type !== ifFalse.type) throw new Error("select between two types");
    return this.#truth(condition) ? ifTrue : ifFalse;
  }
  choose<T extends ValueType>(
    type: T,
    condition: I32,
    ifTrue: () => Value<T>,
    ifFalse: () => Value<T>,
  ): Value<T> {
    const result = this.#truth(condition) ? ifTrue() : ifFalse();
    if (result.type !== type) throw new Error(`choose gives ${result.type}, not ${type}`);
    return result;
  }
  when(condition: I32, then: () => void, otherwise?: () => void): void {
    if (this.#truth(condition)) then();
    else otherwise?.();
  }
  #truth(condition: I32): boolean {
    if (condition.type !== "i32") throw new Error(`a condition is i32, not ${condition.type}`);
    return this.rawNumber(condition) !== 0;
  }

  call: Semantics["call"] = (name, ...operands) => {
    const entry: RuntimeFunction = RUNTIME_FUNCTIONS[name];
    const values = (operands as readonly Value[]).map((operand, index) => {
      if (operand.type !== entry.operands[index])
        throw new Error(`${name}: operand ${index} is ${operand.type}, not ${entry.operands[index]}`);
      return toHost(operand);
    });
    if (values.length !== entry.operands.length) throw new Error(`${name}: wrong number of operands`);
    const run = entry.run as (
      context: FloatingPointContext,
      ...values: (number | bigint)[]
    ) => number | bigint;
    return fromHost(entry.result, run(this.#context, ...values)) as never;
  };

  readX(register: RegisterOperand<"x" | "sp">): I64 {
    const isZero = register.file === "x" && register.index === 31;
    return make("i64", isZero ? 0n : this.state.x[register.index]!);
  }
  readW(register: RegisterOperand<"x" | "sp">): I32 {
    return make("i32", Number(BigInt.asIntN(32, this.rawBigint(this.readX(register)))));
  }
  writeX(register: RegisterOperand<"x" | "sp">, value: I64): void {
    expectType(value, "i64");
    if (register.file === "x" && register.index === 31) return;
    this.state.x[register.index] = this.rawBigint(value);
  }
  writeW(register: RegisterOperand<"x" | "sp">, value: I32): void {
    expectType(value, "i32");
    this.writeX(register, make("i64", BigInt(this.rawNumber(value) >>> 0)));
  }
  readV(register: RegisterOperand<"v">): V128 {
    return make("v128", this.state.v[register.index]!.slice());
  }
  writeV(register: RegisterOperand<"v">, value: V128): void {
    expectType(value, "v128");
    this.state.v[register.index]!.set(this.rawBytes(value));
  }
  #low(register: RegisterOperand<"v">): DataView {
    return new DataView(this.state.v[register.index]!.buffer);
  }
  readD(register: RegisterOperand<"v">): F64 {
    return make("f64", this.#low(register).getBigUint64(0, true));
  }
  readS(register: RegisterOperand<"v">): F32 {
    return make("f32", this.#low(register).getInt32(0, true));
  }
  readVLow(register: RegisterOperand<"v">): I64 {
    return make("i64", this.#low(register).getBigUint64(0, true));
  }
  writeD(register: RegisterOperand<"v">, value: F64): void {
    expectType(value, "f64");
    this.#writeLow(register, this.rawBigint(value));
  }
  writeS(register: RegisterOperand<"v">, value: F32): void {
    expectType(value, "f32");
    this.#writeLow(register, BigInt(this.rawNumber(value) >>> 0));
  }
  writeVLow(register: RegisterOperand<"v">, value: I64): void {
    expectType(value, "i64");
    this.#writeLow(register, this.rawBigint(value));
  }
  #writeLow(register: RegisterOperand<"v">, bits: bigint): void {
    const view = this.#low(register);
    view.setBigUint64(0, bits, true);
    view.setBigUint64(8, 0n, true);
  }

  setFlags(n: I64, z: I64, c: I64, v: I64): void {
    for (const part of [n, z, c, v]) expectType(part, "i64");
    const carry = this.rawBigint(c);
    if (carry > 1n) throw new Error(`carry must be 0 or 1, not ${carry}`);
    const sign = (value: I64) => Number(this.rawBigint(value) >> 63n);
    const zero = this.rawBigint(z) === 0n ? 1 : 0;
    this.state.nzcv = (sign(n) << 3) | (zero << 2) | (Number(carry) << 1) | sign(v);
  }
  #flag(bit: number): boolean {
    return ((this.state.nzcv >> bit) & 1) === 1;
  }
  // The forms follow setFlags: N and V in the sign bit, Z as "is zero", C as 0 or 1.
  flagN(): I64 {
    return this.i64(this.#flag(3) ? -1 : 0);
  }
  flagZ(): I64 {
    return this.i64(this.#flag(2) ? 0 : 1);
  }
  flagC(): I64 {
    return this.i64(this.#flag(1) ? 1 : 0);
  }
  flagV(): I64 {
    return this.i64(this.#flag(0) ? -1 : 0);
  }
  setFlagsFromBits(value: I64): void {
    this.state.nzcv = Number((this.rawBigint(value) >> 28n) & 15n);
  }
  condition(condition: number): I32 {
    const holds = CONDITIONS[condition >> 1]!(this.#flag(3), this.#flag(2), this.#flag(1), this.#flag(0));
    const inverted = (condition & 1) === 1 && condition !== 15;
    return this.i32(holds !== inverted ? 1 : 0);
  }

  readFpcr(): I32 {
    return this.i32(this.state.fpcr);
  }
  readInexact(): I32 {
    return this.i32(this.state.fpsr & 16);
  }

  readFpsr(): I32 {
    return this.i32(this.state.fpsr);
  }
  writeFpsr(value: I32): void {
    expectType(value, "i32");
    this.state.fpsr = this.rawNumber(value) >>> 0;
  }

  address(base: BaseOperand): I64 {
    return this.readX(base.register);
  }
  #readBytes(address: I64, bytes: number, options: AccessOptions | undefined): Uint8Array {
    const read = this.#world.readMemory;
    if (read === undefined) throw new Error("this test has no memory");
    return read.call(this.#world, this.rawBigint(address), bytes, options ?? {});
  }
  #writeBytes(address: I64, data: Uint8Array, options: AccessOptions | undefined): void {
    const write = this.#world.writeMemory;
    if (write === undefined) throw new Error("this test has no memory");
    write.call(this.#world, this.rawBigint(address), data, options ?? {});
  }
  load(address: I64, bytes: 1 | 2 | 4 | 8, options?: AccessOptions): I64 {
    return make("i64", littleEndian(this.#readBytes(address, bytes, options)));
  }
  loadV(address: I64, options?: AccessOptions): V128 {
    return make("v128", this.#readBytes(address, 16, options).slice());
  }
  loadBytes(address: I64, bytes: number, options?: AccessOptions): LoadedBytes {
    const data = this.#readBytes(address, bytes, options).slice();
    return {
      i64: (offset, size) => make("i64", littleEndian(data.subarray(offset, offset + size))),
      v128: (offset) => make("v128", data.slice(offset, offset + 16)),
    };
  }
  store(address: I64, bytes: 1 | 2 | 4 | 8, value: I64, options?: AccessOptions): void {
    expectType(value, "i64");
    this.#writeBytes(address, toBytes(this.rawBigint(value), bytes), options);
  }
  storeV(address: I64, value: V128, options?: AccessOptions): void {
    expectType(value, "v128");
    this.#writeBytes(address, this.rawBytes(value).slice(), options);
  }
  storeBytes(address: I64, bytes: number, parts: readonly StorePart[], options?: AccessOptions): void {
    const data = new Uint8Array(bytes);
    for (const part of parts) {
      const from =
        part.bytes === 16 ? this.rawBytes(part.value) : toBytes(this.rawBigint(part.value), part.bytes);
      data.set(from, part.offset);
    }
    this.#writeBytes(address, data, options);
  }
  atomic(address: I64, bytes: 1 | 2 | 4 | 8, update: (old: I64) => I64): I64 {
    const old = this.load(address, bytes, { aligned: true });
    this.store(address, bytes, update(old), { aligned: true });
    return old;
  }
  atomicPair(
    address: I64,
    bytes: 4 | 8,
    update: (old: readonly [I64, I64]) => readonly [I64, I64],
  ): readonly [I64, I64] {
    const data = this.loadBytes(address, 2 * bytes, { aligned: true });
    const old = [data.i64(0, bytes), data.i64(bytes, bytes)] as const;
    const [first, second] = update(old);
    const parts: StorePart[] = [
      { offset: 0, bytes, value: first },
      { offset: bytes, bytes, value: second },
    ];
    this.storeBytes(address, 2 * bytes, parts, { aligned: true });
    return old;
  }
  loadExclusive(address: I64, bytes: 1 | 2 | 4 | 8, pair: boolean): readonly [I64, I64] {
    const size = pair ? 2 * bytes : bytes;
    const data = this.loadBytes(address, size, { aligned: true });
    this.state.exclusive = { address: this.rawBigint(address), bytes: size };
    return [data.i64(0, bytes), pair ? data.i64(bytes, bytes) : this.i64(0)];
  }
  storeExclusive(address: I64, bytes: 1 | 2 | 4 | 8, value: I64, second?: I64): I32 {
    const armed = this.state.exclusive;
    this.state.exclusive = undefined;
    const size = second === undefined ? bytes : 2 * bytes;
    if (armed?.address !== this.rawBigint(address) || armed.bytes !== size) return this.i32(1);
    const parts: StorePart[] = [{ offset: 0, bytes, value }];
    if (second !== undefined) parts.push({ offset: bytes, bytes, value: second });
    this.storeBytes(address, size, parts, { aligned: true });
    return this.i32(0);
  }
  clearExclusive(): void {
    this.state.exclusive = undefined;
  }

  pc(): I64 {
    return make("i64", this.state.pc);
  }
  branch(target: I64, kind: BranchKind): void {
    this.#branchTo(this.rawBigint(target), kind);
  }
  branchRelative(offset: ImmediateOperand<32>, kind: BranchKind): void {
    this.#branchTo(BigInt.asUintN(64, this.state.pc + BigInt(offset.value)), kind);
  }
  branchRelativeIf(condition: I32, offset: ImmediateOperand<32>): void {
    if (!this.#truth(condition)) return;
    this.#branchTo(BigInt.asUintN(64, this.state.pc + BigInt(offset.value)), "conditional");
  }
  #branchTo(target: bigint, kind: BranchKind | "conditional"): void {
    if (this.state.branched !== undefined) throw new Error("an instruction branches at most once");
    this.state.branched = { target, kind };
  }
  processor(operation: ProcessorOperation, ...operands: readonly (I64 | ImmediateOperand)[]): void {
    const handler = this.#world.processor;
    if (handler === undefined) throw new Error(`this test has no processor for ${operation}`);
    const values = operands.map((operand) =>
      "kind" in operand ? BigInt.asUintN(64, BigInt(operand.value)) : this.rawBigint(operand),
    );
    handler.call(this.#world, operation, values);
  }
}

function make<T extends ValueType>(type: T, value: RawValue): Value<T> {
  const evaluated: Evaluated = { type, raw: value };
  return evaluated as unknown as Value<T>;
}

function raw(value: Value): RawValue {
  return (value as unknown as Evaluated).raw;
}

function expectType(value: Value, type: ValueType): void {
  if (value.type !== type) throw new Error(`expected ${type}, got ${value.type}`);
}

const conversion = new DataView(new ArrayBuffer(8));

function float32Bits(value: number): number {
  conversion.setFloat32(0, value);
  return conversion.getInt32(0);
}

function float64Bits(value: number): bigint {
  conversion.setFloat64(0, value);
  return conversion.getBigUint64(0);
}

function toHost(value: Value): number | bigint {
  const bits = raw(value);
  if (value.type === "f32") {
    conversion.setInt32(0, bits as number);
    return conversion.getFloat32(0);
  }
  if (value.type === "f64") {
    conversion.setBigUint64(0, bits as bigint);
    return conversion.getFloat64(0);
  }
  if (value.type === "v128") throw new Error("runtime functions take no vectors");
  return bits as number | bigint;
}

function fromHost(type: ValueType, value: number | bigint): Value {
  switch (type) {
    case "i32":
      return make(type, (value as number) | 0);
    case "i64":
      return make(type, BigInt.asUintN(64, value as bigint));
    case "f32":
      return make(type, float32Bits(value as number));
    case "f64":
      return make(type, float64Bits(value as number));
    case "v128":
      throw new Error("runtime functions give no vectors");
  }
}

function littleEndian(data: Uint8Array): bigint {
  return data.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}
