import type { ValueType } from "../../wasm/opcodes.ts";
import type { RegisterOperand } from "../operands.ts";
import type { RuntimeFunctionName } from "../runtime-functions.ts";
import type { I32, Semantics, Value } from "../semantics.ts";
import { asF32, asF64, asI32, asI64, asV128 } from "./value-types.ts";

/** Bits of one number that WebAssembly can compute with. */
export type FloatSize = 32 | 64;

type Arithmetic =
  | "abs"
  | "neg"
  | "sqrt"
  | "ceil"
  | "floor"
  | "trunc"
  | "nearest"
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "min"
  | "max";
type Comparison = "eq" | "ne" | "lt" | "gt" | "le" | "ge";

/** Runtime functions that exist for both sizes, by their name without the size. */
export type SizedFunction = Sized<RuntimeFunctionName>;
type Sized<N> = N extends `${infer Base}64`
  ? `${Base}32` extends RuntimeFunctionName
    ? Base
    : never
  : never;

/** An operator call whose types the static shape guarantees, which the compiler cannot see. */
type AnyOperator = (name: string, ...operands: readonly Value[]) => Value;
type AnyLaneOperator = (name: string, lane: number, ...operands: readonly Value[]) => Value;

/**
 * Floating point of one static shape: one number, or a whole vector of them. Meanings written against it
 * hold for both. A "truth" is the outcome of a comparison: 0 or 1 for one number, a lane mask for vectors.
 */
export class Floats {
  readonly s: Semantics;
  readonly size: FloatSize;
  /** Numbers that count: 1, or the low ones of a vector. */
  readonly lanes: number;
  readonly isVector: boolean;
  /** WebAssembly's type of a value of this shape. */
  readonly type: ValueType;
  readonly #prefix: string;
  readonly #operator: AnyOperator;
  readonly #laneOperator: AnyLaneOperator;
  readonly #call: AnyOperator;

  private constructor(s: Semantics, size: FloatSize, lanes: number, isVector: boolean) {
    this.s = s;
    this.size = size;
    this.lanes = lanes;
    this.isVector = isVector;
    this.type = isVector ? "v128" : size === 64 ? "f64" : "f32";
    this.#prefix = isVector ? (size === 64 ? "f64x2" : "f32x4") : this.type;
    // The names put together below exist for every size and number of lanes.
    this.#operator = (s.op as AnyOperator).bind(s);
    this.#laneOperator = (s.lane as AnyLaneOperator).bind(s);
    this.#call = (s.call as AnyOperator).bind(s);
  }

  /** One number, as an f32 or f64. */
  static scalar(s: Semantics, size: FloatSize): Floats {
    return new Floats(s, size, 1, false);
  }

  /** A vector whose low `lanes` numbers count; the others may hold copies of them. */
  static vector(s: Semantics, size: FloatSize, lanes: number): Floats {
    return new Floats(s, size, lanes, true);
  }

  op(name: Arithmetic, ...operands: readonly Value[]): Value {
    return this.#operator(`${this.#prefix}.${name}`, ...operands);
  }

  test(name: Comparison, a: Value, b: Value): Value {
    return this.#operator(`${this.#prefix}.${name}`, a, b);
  }

  /** The same number everywhere. */
  constant(value: number): Value {
    const { s, size } = this;
    if (!this.isVector) return size === 64 ? s.f64(value) : s.f32(value);
    const bytes = new DataView(new ArrayBuffer(16));
    for (let at = 0; at < 16; at += size / 8) {
      if (size === 64) bytes.setFloat64(at, value, true);
      else bytes.setFloat32(at, value, true);
    }
    return s.v128([...new Uint8Array(bytes.buffer)]);
  }

  /** `a` * `b` + `addend`, rounded once; where {@link Semantics.fusedMultiplyAdd} allows it. */
  multiplyAdd(a: Value, b: Value, addend: Value): Value {
    const vector = this.size === 64 ? "f64x2" : "f32x4";
    if (this.isVector) return this.#operator(`${vector}.relaxed_madd`, a, b, addend);
    const lanes = [a, b, addend].map((number) => this.#operator(`${vector}.splat`, number));
    return this.#laneOperator(
      `${vector}.extract_lane`,
      0,
      this.#operator(`${vector}.relaxed_madd`, ...lanes),
    );
  }

  /** A number of the shape of {@link one}, everywhere. */
  splat(number: Value): Value {
    return this.isVector ? this.#operator(`${this.#prefix}.splat`, number) : number;
  }

  and(a: Value, b: Value): Value {
    return this.#operator(this.isVector ? "v128.and" : "i32.and", a, b);
  }

  or(a: Value, b: Value): Value {
    return this.#operator(this.isVector ? "v128.or" : "i32.or", a, b);
  }

  /** Whether a truth holds everywhere. */
  all(truth: Value): I32 {
    return asI32(this.isVector ? this.#operator("i32x4.all_true", truth) : truth);
  }

  /** Where the truth holds, one value, elsewhere the other. */
  select(truth: Value, ifTrue: Value, ifFalse: Value): Value {
    if (this.isVector) return this.#operator("v128.bitselect", ifTrue, ifFalse, truth);
    return this.s.select(asI32(truth), ifTrue, ifFalse);
  }

  /** `magnitude` with the sign of `sign`. */
  copySign(magnitude: Value, sign: Value): Value {
    if (!this.isVector) return this.#operator(`${this.#prefix}.copysign`, magnitude, sign);
    return this.#operator("v128.bitselect", sign, magnitude, this.constant(-0));
  }

  /** 1 when the fractions of all operands end in so many zeros that a product of two of them is exact. */
  haveShortFractions(...values: readonly Value[]): I32 {
    const { s, size } = this;
    const mask = size === 64 ? 0x7ffffffn : 0xfffn;
    if (this.isVector) {
      const bits = asV128(values.reduce((a, b) => this.#operator("v128.or", a, b)));
      const masks = Array.from({ length: 16 }, (_, i) => Number((mask >> BigInt((8 * i) % size)) & 0xffn));
      return s.op("i32.eqz", s.op("v128.any_true", s.op("v128.and", bits, s.v128(masks))));
    }
    if (size === 64) {
      const bits = values.map((value) => asI64(this.bits(value))).reduce((a, b) => s.op("i64.or", a, b));
      return s.op("i64.eqz", s.op("i64.and", bits, s.i64(mask)));
    }
    const bits = values.map((value) => asI32(this.bits(value))).reduce((a, b) => s.op("i32.or", a, b));
    return s.op("i32.eqz", s.op("i32.and", bits, s.i32(Number(mask))));
  }

  /** The bits of one number (lane `lane` of a vector), as an i32 or i64. */
  bits(value: Value, lane = 0): Value {
    if (this.isVector)
      return this.#laneOperator(`${this.size === 64 ? "i64x2" : "i32x4"}.extract_lane`, lane, value);
    return this.#operator(this.size === 64 ? "i64.reinterpret_f64" : "i32.reinterpret_f32", value);
  }

  /** The number with these bits; not for vectors. */
  fromBits(bits: Value): Value {
    return this.#operator(this.size === 64 ? "f64.reinterpret_i64" : "f32.reinterpret_i32", bits);
  }

  /** The same size without lanes. */
  get one(): Floats {
    return Floats.scalar(this.s, this.size);
  }

  /** The number in one lane, in the shape of {@link one}. */
  number(value: Value, lane: number): Value {
    if (!this.isVector) return value;
    return this.#laneOperator(`${this.#prefix}.extract_lane`, lane, value);
  }

  /** Calls a runtime function on every number; lanes that do not count become zero. */
  call(name: SizedFunction, operands: readonly Value[], ...more: readonly I32[]): Value {
    return this.eachLane((lane) => this.callLane(lane, name, operands, ...more));
  }

  /** The same for one lane; the result is its bits. */
  callLane(lane: number, name: SizedFunction, operands: readonly Value[], ...more: readonly I32[]): Value {
    const bits = operands.map((operand) => this.bits(operand, lane));
    return this.#call(`${name}${this.size}`, ...bits, ...more);
  }

  /** FPCompare of one lane: NZCV in bits 31 to 28. */
  compare(a: Value, b: Value, signalQuiet: boolean, lane = 0): I32 {
    const { s, size } = this;
    const signal = s.i32(signalQuiet ? 1 : 0);
    return asI32(this.#call(`fpCompare${size}`, this.bits(a, lane), this.bits(b, lane), signal));
  }

  /** The bits of one number, all of them equal to `condition` (0 or 1). */
  spread(condition: I32): Value {
    const { s } = this;
    const bits = s.op("i32.sub", s.i32(0), condition);
    return this.size === 64 ? s.op("i64.extend_i32_s", bits) : bits;
  }

  /** A value from the bits (i32 or i64) of each of its numbers; lanes that do not count become zero. */
  eachLane(bits: (lane: number) => Value): Value {
    if (!this.isVector) return this.fromBits(bits(0));
    const replace = `${this.size === 64 ? "i64x2" : "i32x4"}.replace_lane`;
    let result: Value = this.s.v128(new Array(16).fill(0));
    for (let lane = 0; lane < this.lanes; lane++)
      result = this.#laneOperator(replace, lane, result, bits(lane));
    return result;
  }

  /** The value of a register in this shape; lanes that do not count are copies of those that do. */
  read(register: RegisterOperand<"v">): Value {
    const { s, size, lanes } = this;
    if (!this.isVector) return size === 64 ? s.readD(register) : s.readS(register);
    if (lanes * size === 128) return s.readV(register);
    const low = s.readVLow(register);
    if (lanes * size === 64) return s.op("i64x2.splat", low);
    return s.op("i32x4.splat", s.op("i32.wrap_i64", low));
  }

  /** Writes the numbers that count; the rest of the register becomes zero. */
  write(register: RegisterOperand<"v">, value: Value): void {
    const { s, size, lanes } = this;
    if (!this.isVector) {
      if (size === 64) s.writeD(register, asF64(value));
      else s.writeS(register, asF32(value));
      return;
    }
    const vector = asV128(value);
    if (lanes * size === 128) s.writeV(register, vector);
    else if (lanes * size === 64) s.writeVLow(register, s.lane("i64x2.extract_lane", 0, vector));
    else s.writeS(register, s.lane("f32x4.extract_lane", 0, vector));
  }
}
