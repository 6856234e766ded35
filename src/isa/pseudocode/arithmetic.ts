import type { FlagsOperands, Semantics } from "../semantics.ts";
import type { Integer, Integers } from "./integers.ts";

/** How an addition or subtraction treats PSTATE.NZCV and its result. */
export interface AddSubtract {
  readonly subtract: boolean;
  readonly setFlags: boolean;
}

/** `a + b` or `a - b` with the flags of AddWithCarry() when asked for: the comparisons of the flags are the cheapest. */
export function addSubtract(
  s: Semantics,
  w: Integers,
  { subtract, setFlags }: AddSubtract,
  a: Integer,
  b: Integer,
): Integer {
  const result = w.op(subtract ? "sub" : "add", a, b);
  if (setFlags) {
    const carry = subtract ? w.compare("ge_u", a, b) : w.compare("lt_u", result, a);
    const changed = w.op("xor", a, result);
    const overflow = w.op("and", changed, w.op("xor", b, subtract ? a : result));
    const signed = w.signed(result);
    s.setFlags(signed, signed, s.op("i64.extend_i32_u", carry), w.signed(overflow), {
      operation: subtract ? "subtract" : "add",
      bits: w.size,
      left: a,
      right: b,
    });
  }
  return result;
}

/** AddWithCarry() with PSTATE.C: ADC, SBC and siblings. For a subtraction, pass the inverted `b`. */
export function addWithCarry(s: Semantics, w: Integers, setFlags: boolean, a: Integer, b: Integer): Integer {
  const partial = w.op("add", a, b);
  const result = w.op("add", partial, w.fromI64(s.flagC()));
  if (setFlags) {
    const carry = s.op("i32.or", w.compare("lt_u", partial, a), w.compare("lt_u", result, partial));
    const overflow = w.op("and", w.op("xor", a, result), w.op("xor", b, result));
    const signed = w.signed(result);
    s.setFlags(signed, signed, s.op("i64.extend_i32_u", carry), w.signed(overflow));
  }
  return result;
}

/** The flags of a logical operation: C and V become 0. */
export function setLogicalFlags(s: Semantics, w: Integers, result: Integer): void {
  const signed = w.signed(result);
  const operands: FlagsOperands = { operation: "logical", bits: w.size, left: result, right: undefined };
  s.setFlags(signed, signed, s.i64(0), s.i64(0), operands);
}
