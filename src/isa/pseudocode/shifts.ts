import type { ImmediateOperand } from "../operands.ts";
import { imm32 } from "../operands.ts";
import type { Semantics } from "../semantics.ts";
import type { Integer, Integers } from "./integers.ts";
import { asI32, asI64 } from "./value-types.ts";

/** ShiftType of the manual, in encoding order; "none" is a shift by nothing, by far the most frequent. */
export type ShiftType = "lsl" | "lsr" | "asr" | "ror" | "none";

const SHIFT_TYPES: readonly ShiftType[] = ["lsl", "lsr", "asr", "ror"];
const SHIFT_OPERATORS = { lsl: "shl", lsr: "shr_u", asr: "shr_s", ror: "rotr" } as const;

/** The static and dynamic operands of a shifted register. */
export function shiftOperands(
  shift: number,
  amount: number,
): { shift: ShiftType; amount: ImmediateOperand<32> } {
  return { shift: amount === 0 ? "none" : SHIFT_TYPES[shift]!, amount: imm32(amount) };
}

/** ShiftReg(): `value` shifted by a constant below the width. */
export function shiftValue(w: Integers, value: Integer, shift: ShiftType, amount: ImmediateOperand): Integer {
  return shift === "none" ? value : w.op(SHIFT_OPERATORS[shift], value, w.immediate(amount));
}

/** ExtendType of the manual; the widths that change nothing at the operation's size are "none". */
export type ExtendType = "uxtb" | "uxth" | "uxtw" | "sxtb" | "sxth" | "sxtw" | "none";

const EXTEND_TYPES: readonly ExtendType[] = ["uxtb", "uxth", "uxtw", "none", "sxtb", "sxth", "sxtw", "none"];

/** Decodes `option` for an operation of `size` bits. */
export function extendType(option: number, size: number): ExtendType {
  const type = EXTEND_TYPES[option]!;
  return size === 32 && (type === "uxtw" || type === "sxtw") ? "none" : type;
}

/** ExtendReg() without its shift. */
export function extendValue(s: Semantics, w: Integers, value: Integer, extend: ExtendType): Integer {
  switch (extend) {
    case "none":
      return value;
    case "uxtb":
      return w.op("and", value, w.constant(0xff));
    case "uxth":
      return w.op("and", value, w.constant(0xffff));
    case "uxtw":
      return s.op("i64.and", asI64(value), s.i64(0xffff_ffff));
    case "sxtb":
      return w.size === 64 ? s.op("i64.extend8_s", asI64(value)) : s.op("i32.extend8_s", asI32(value));
    case "sxth":
      return w.size === 64 ? s.op("i64.extend16_s", asI64(value)) : s.op("i32.extend16_s", asI32(value));
    case "sxtw":
      return s.op("i64.extend32_s", asI64(value));
  }
}
