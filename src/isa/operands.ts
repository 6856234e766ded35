/**
 * What a decoded instruction hands to its meaning. Registers and immediates are handles: an engine decides
 * whether they are constants (translator) or read from a predecoded record (interpreter). Every other value
 * in an operand object (number, boolean, string) is static: it selects a specialisation of the meaning.
 */
export type RegisterFile = "x" | "sp" | "v";

/** One register operand. `x`: 31 is XZR. `sp`: 31 is the current stack pointer. `v`: 0 to 31. */
export interface RegisterOperand<F extends RegisterFile = RegisterFile> {
  readonly kind: "register";
  readonly file: F;
  readonly index: number;
}

/** A constant of the instruction, sign included; `width` says which value type it becomes. */
export interface ImmediateOperand<W extends 32 | 64 = 32 | 64> {
  readonly kind: "immediate";
  readonly width: W;
  /** Two's complement, already extended to `width`; a number for 32, a bigint for 64. */
  readonly value: W extends 32 ? number : bigint;
}

/** The base of an address. Whether it is the stack pointer is static, as only then its alignment is checked. */
export interface BaseOperand {
  readonly kind: "base";
  readonly register: RegisterOperand<"sp">;
  readonly isStackPointer: boolean;
}

/** What a meaning is applied to: handles, whose contents differ from word to word, and statics. */
export type Operand = RegisterOperand | ImmediateOperand | BaseOperand | number | boolean | string;

/** A general-purpose register where 31 is the zero register. */
export function x(index: number): RegisterOperand<"x"> {
  return { kind: "register", file: "x", index };
}

/** A general-purpose register where 31 is the stack pointer in use. */
export function xsp(index: number): RegisterOperand<"sp"> {
  return { kind: "register", file: "sp", index };
}

/** A SIMD and floating-point register; the index is taken modulo 32 (register lists wrap around). */
export function v(index: number): RegisterOperand<"v"> {
  return { kind: "register", file: "v", index: index & 31 };
}

/** The base register of a load or store. */
export function base(index: number): BaseOperand {
  return { kind: "base", register: xsp(index), isStackPointer: index === 31 };
}

/** A 32-bit constant (sign-extended when read as 64 bits). */
export function imm32(value: number): ImmediateOperand<32> {
  return { kind: "immediate", width: 32, value: value | 0 };
}

/** A 64-bit constant. */
export function imm64(value: bigint | number): ImmediateOperand<64> {
  return { kind: "immediate", width: 64, value: BigInt.asIntN(64, BigInt(value)) };
}
