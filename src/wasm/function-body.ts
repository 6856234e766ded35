import { ByteWriter } from "./byte-writer.ts";
import {
  LANE_OPERATORS,
  type LaneOperatorName,
  MEMORY_OPERATORS,
  type MemoryOperatorName,
  OPERATORS,
  type OperatorName,
  type ValueType,
} from "./opcodes.ts";

export const VALUE_TYPE_CODE: Record<ValueType, number> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** Where a branch goes: made by block(), loop() and ifElse(); resolved to a relative depth when used. */
export interface Label {
  readonly depth: number;
}

/** The code of one function: locals, structured control flow and operators, written front to back. */
export class FunctionBody {
  readonly #code = new ByteWriter(1024);
  readonly #locals: ValueType[] = [];
  readonly #parameterCount: number;
  /** Hinted conditional branches: offset of the opcode in the code, and whether it is usually taken. */
  readonly #hints: [number, boolean][] = [];
  #depth = 0;
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };

  constructor(parameters: readonly ValueType[]) {
    this.#parameterCount = parameters.length;
  }

  /** A local of this type, recycled from {@link release} where possible. Its value is undetermined. */
  local(type: ValueType): number {
    return this.#free[type].pop() ?? this.#parameterCount + this.#locals.push(type) - 1;
  }

  /**
   * A local that no code before has used. What lives around a loop must not share one with a temporary of the loop,
   * whose code may be written before the local is first needed, and run after.
   */
  lastingLocal(type: ValueType): number {
    return this.#parameterCount + this.#locals.push(type) - 1;
  }

  release(type: ValueType, local: number): void {
    this.#free[type].push(local);
  }

  op(name: OperatorName): this {
    return this.#opcode(OPERATORS[name].code);
  }

  laneOp(name: LaneOperatorName, lane: number): this {
    this.#opcode(LANE_OPERATORS[name].code).#code.byte(lane);
    return this;
  }

  shuffle(lanes: readonly number[]): this {
    this.#opcode(0xfd000d).#code.bytes(lanes);
    return this;
  }

  /** A load or store, declared unaligned; `offset` is the constant part of the address. */
  memory(name: MemoryOperatorName, offset = 0): this {
    this.#opcode(MEMORY_OPERATORS[name].code).#code.byte(0).unsigned(offset);
    return this;
  }

  /** Fill memory: stack holds address, value, length. */
  memoryFill(): this {
    this.#opcode(0xfc0b).#code.byte(0);
    return this;
  }

  #opcode(code: number): this {
    if (code >= 0xfd0000) this.#code.byte(0xfd).unsigned(code & 0xffff);
    else if (code >= 0xfc00) this.#code.byte(0xfc).unsigned(code & 0xff);
    else this.#code.byte(code);
    return this;
  }

  i32(value: number): this {
    this.#code.byte(0x41).signed32(value);
    return this;
  }

  i64(value: bigint): this {
    this.#code.byte(0x42).signed64(BigInt.asIntN(64, value));
    return this;
  }

  f32(value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#code.byte(0x43).bytes(bytes);
    return this;
  }

  f64(value: number): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#code.byte(0x44).bytes(bytes);
    return this;
  }

  v128(bytes: readonly number[]): this {
    this.#opcode(0xfd000c).#code.bytes(bytes);
    return this;
  }

  get(local: number): this {
    this.#code.byte(0x20).unsigned(local);
    return this;
  }

  set(local: number): this {
    this.#code.byte(0x21).unsigned(local);
    return this;
  }

  tee(local: number): this {
    this.#code.byte(0x22).unsigned(local);
    return this;
  }

  /** Pushes a global. */
  global(index: number): this {
    this.#code.byte(0x23).unsigned(index);
    return this;
  }

  drop(): this {
    this.#code.byte(0x1a);
    return this;
  }

  select(type: ValueType): this {
    if (type === "v128") this.#code.byte(0x1c).byte(1).byte(VALUE_TYPE_CODE.v128);
    else this.#code.byte(0x1b);
    return this;
  }

  #begin(opcode: number, type: ValueType | undefined): Label {
    this.#code.byte(opcode).byte(type === undefined ? 0x40 : VALUE_TYPE_CODE[type]);
    return { depth: ++this.#depth };
  }

  /** Branches to the label go to the end. */
  block(type?: ValueType): Label {
    return this.#begin(0x02, type);
  }

  /** Branches to the label go back to the start. */
  loop(): Label {
    return this.#begin(0x03, undefined);
  }

  /** `hint`: whether the condition usually holds, for compilers that listen ("Branch Hinting" proposal). */
  if(type?: ValueType, hint?: "likely" | "unlikely"): Label {
    this.#hint(hint);
    return this.#begin(0x04, type);
  }

  #hint(hint: "likely" | "unlikely" | undefined): void {
    if (hint !== undefined) this.#hints.push([this.#code.length, hint === "likely"]);
  }

  else(): this {
    this.#code.byte(0x05);
    return this;
  }

  end(): this {
    this.#depth--;
    this.#code.byte(0x0b);
    return this;
  }

  branch(label: Label): this {
    this.#code.byte(0x0c).unsigned(this.#depth - label.depth);
    return this;
  }

  branchIf(label: Label, hint?: "likely" | "unlikely"): this {
    this.#hint(hint);
    this.#code.byte(0x0d).unsigned(this.#depth - label.depth);
    return this;
  }

  branchTable(labels: readonly Label[], otherwise: Label): this {
    this.#code.byte(0x0e).unsigned(labels.length);
    for (const label of labels) this.#code.unsigned(this.#depth - label.depth);
    this.#code.unsigned(this.#depth - otherwise.depth);
    return this;
  }

  return(): this {
    this.#code.byte(0x0f);
    return this;
  }

  unreachable(): this {
    this.#code.byte(0x00);
    return this;
  }

  call(functionIndex: number): this {
    this.#code.byte(0x10).unsigned(functionIndex);
    return this;
  }

  callIndirect(typeIndex: number, table = 0): this {
    this.#code.byte(0x11).unsigned(typeIndex).unsigned(table);
    return this;
  }

  /** Offsets from the start of {@link finish}'s bytes, in order, and whether the branch is usually taken. */
  hints(): [number, boolean][] {
    const start = this.#localDeclarations().length;
    return this.#hints.map(([offset, taken]) => [start + offset, taken]);
  }

  /** The bytes of the code section's entry, without its length. */
  finish(): Uint8Array {
    const out = new ByteWriter(this.#code.length + 64);
    out.bytes(this.#localDeclarations().view()).bytes(this.#code.view()).byte(0x0b);
    return out.view();
  }

  #localDeclarations(): ByteWriter {
    const out = new ByteWriter(16);
    const runs: [number, ValueType][] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last !== undefined && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    out.unsigned(runs.length);
    for (const [count, type] of runs) out.unsigned(count).byte(VALUE_TYPE_CODE[type]);
    return out;
  }
}
