import { Bug } from "../../base/errors.ts";
import type { ValueType } from "../../wasm/opcodes.ts";
import type { F32, F64, I32, I64, V128, Value } from "../semantics.ts";

/**
 * Meanings that are written once for several widths hold values whose type the compiler cannot follow: these say
 * which one it is at this place, and it is a bug in the table when that is not so.
 */
function expectType<T extends ValueType>(type: T, value: Value): Value<T> {
  if (!isOfType(type, value))
    throw new Bug(`a value of type ${type} is wanted here, and this one has ${value.type}`);
  return value;
}

function isOfType<T extends ValueType>(type: T, value: Value): value is Value<T> {
  return value.type === type;
}

export const asI32 = (value: Value): I32 => expectType("i32", value);
export const asI64 = (value: Value): I64 => expectType("i64", value);
export const asF32 = (value: Value): F32 => expectType("f32", value);
export const asF64 = (value: Value): F64 => expectType("f64", value);
export const asV128 = (value: Value): V128 => expectType("v128", value);
