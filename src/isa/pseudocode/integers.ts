import type { ImmediateOperand, RegisterOperand } from "../operands.ts";
import type { I32, I64, Semantics, Value } from "../semantics.ts";
import { asI32, asI64 } from "./value-types.ts";

/** Width of a general-purpose operation: W or X registers. */
export type Size = 32 | 64;

/** The width that a field such as sf or sz says. */
export function sizeOf(sf: number | boolean): Size {
  return sf ? 64 : 32;
}

/** A value of the width in question. */
export type Integer = Value<"i32" | "i64">;

type Binary =
  | "add"
  | "sub"
  | "mul"
  | "div_s"
  | "div_u"
  | "and"
  | "or"
  | "xor"
  | "shl"
  | "shr_s"
  | "shr_u"
  | "rotl"
  | "rotr";
type Comparison = "eq" | "ne" | "lt_s" | "lt_u" | "gt_s" | "gt_u" | "le_s" | "le_u" | "ge_s" | "ge_u";
type Unary = "clz" | "ctz" | "popcnt";

/** The vocabulary for W and X registers alike, so that a meaning for both is written once. */
export class Integers {
  readonly size: Size;
  readonly #s: Semantics;
  readonly #type: "i32" | "i64";

  constructor(s: Semantics, size: Size) {
    this.#s = s;
    this.size = size;
    this.#type = size === 64 ? "i64" : "i32";
  }

  read(register: RegisterOperand<"x" | "sp">): Integer {
    return this.size === 64 ? this.#s.readX(register) : this.#s.readW(register);
  }

  write(register: RegisterOperand<"x" | "sp">, value: Integer): void {
    if (this.size === 64) this.#s.writeX(register, asI64(value));
    else this.#s.writeW(register, asI32(value));
  }

  /** An immediate; a 64-bit operand cannot be used at width 32. */
  immediate(operand: ImmediateOperand): Integer {
    // At width 32 rows make their immediates with imm32.
    return this.size === 64 ? this.#s.imm64(operand) : this.#s.imm32(operand as ImmediateOperand<32>);
  }

  constant(value: number): Integer {
    return this.size === 64 ? this.#s.i64(value) : this.#s.i32(value);
  }

  op(name: Binary, a: Integer, b: Integer): Integer {
    return this.size === 64
      ? this.#s.op(`i64.${name}`, asI64(a), asI64(b))
      : this.#s.op(`i32.${name}`, asI32(a), asI32(b));
  }

  unary(name: Unary, a: Integer): Integer {
    return this.size === 64 ? this.#s.op(`i64.${name}`, asI64(a)) : this.#s.op(`i32.${name}`, asI32(a));
  }

  not(a: Integer): Integer {
    return this.op("xor", a, this.constant(-1));
  }

  compare(name: Comparison, a: Integer, b: Integer): I32 {
    return this.size === 64
      ? this.#s.op(`i64.${name}`, asI64(a), asI64(b))
      : this.#s.op(`i32.${name}`, asI32(a), asI32(b));
  }

  isZero(a: Integer): I32 {
    return this.size === 64 ? this.#s.op("i64.eqz", asI64(a)) : this.#s.op("i32.eqz", asI32(a));
  }

  select(condition: I32, ifTrue: Integer, ifFalse: Integer): Integer {
    return this.#s.select(condition, ifTrue, ifFalse);
  }

  choose(condition: I32, ifTrue: () => Integer, ifFalse: () => Integer): Integer {
    return this.#s.choose<"i32" | "i64">(this.#type, condition, ifTrue, ifFalse);
  }

  /** From a 0 or 1. */
  fromBit(bit: I32): Integer {
    return this.size === 64 ? this.#s.op("i64.extend_i32_u", bit) : bit;
  }

  /** From a 64-bit value, its low bits. */
  fromI64(value: I64): Integer {
    return this.size === 64 ? value : this.#s.op("i32.wrap_i64", value);
  }

  /** Sign-extended, as {@link Semantics.setFlags} wants results. */
  signed(value: Integer): I64 {
    return this.size === 64 ? asI64(value) : this.#s.op("i64.extend_i32_s", asI32(value));
  }
}
