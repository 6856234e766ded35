/** What methods are made of: ACPI 6.5, section 20.2.5.3 and 20.2.5.4, as much of it as generated tables need. */

import { concatenate } from "../../base/bytes.ts";
import { Bug } from "../../base/errors.ts";
import { encodeNamePath } from "./name-path.ts";
import { packageLength } from "./package-length.ts";

const OPCODE = {
  local0: 0x60,
  argument0: 0x68,
  store: 0x70,
  add: 0x72,
  subtract: 0x74,
  and: 0x7b,
  or: 0x7d,
  notify: 0x86,
  index: 0x88,
  createDwordField: 0x8a,
  logicalAnd: 0x90,
  logicalOr: 0x91,
  logicalNot: 0x92,
  equal: 0x93,
  greater: 0x94,
  less: 0x95,
  if: 0xa0,
  else: 0xa1,
  return: 0xa4,
} as const;

/** Where a result goes that nobody wants. */
const NO_TARGET = Uint8Array.of(0);

function operation(opcode: number, ...operands: readonly Uint8Array[]): Uint8Array {
  return concatenate(Uint8Array.of(opcode), ...operands);
}

/** `Local0` to `Local7`. */
export function local(index: number): Uint8Array {
  if (index < 0 || index > 7) throw new Bug(`there is no Local${index}`);
  return Uint8Array.of(OPCODE.local0 + index);
}

/** `Arg0` to `Arg6`. */
export function argument(index: number): Uint8Array {
  if (index < 0 || index > 6) throw new Bug(`there is no Arg${index}`);
  return Uint8Array.of(OPCODE.argument0 + index);
}

/** `target = value`. */
export function store(value: Uint8Array, target: Uint8Array): Uint8Array {
  return operation(OPCODE.store, value, target);
}

/** `target = one + other`; without a target it is the value of an expression. So are those that follow. */
export function add(one: Uint8Array, other: Uint8Array, target: Uint8Array = NO_TARGET): Uint8Array {
  return operation(OPCODE.add, one, other, target);
}

export function subtract(one: Uint8Array, other: Uint8Array, target: Uint8Array = NO_TARGET): Uint8Array {
  return operation(OPCODE.subtract, one, other, target);
}

/** Bitwise. */
export function and(one: Uint8Array, other: Uint8Array, target: Uint8Array = NO_TARGET): Uint8Array {
  return operation(OPCODE.and, one, other, target);
}

/** Bitwise. */
export function or(one: Uint8Array, other: Uint8Array, target: Uint8Array = NO_TARGET): Uint8Array {
  return operation(OPCODE.or, one, other, target);
}

/** `container[position]`, a reference to an element. */
export function index(container: Uint8Array, position: Uint8Array): Uint8Array {
  return operation(OPCODE.index, container, position, NO_TARGET);
}

export function logicalAnd(one: Uint8Array, other: Uint8Array): Uint8Array {
  return operation(OPCODE.logicalAnd, one, other);
}

export function logicalOr(one: Uint8Array, other: Uint8Array): Uint8Array {
  return operation(OPCODE.logicalOr, one, other);
}

export function logicalNot(value: Uint8Array): Uint8Array {
  return operation(OPCODE.logicalNot, value);
}

export function equal(one: Uint8Array, other: Uint8Array): Uint8Array {
  return operation(OPCODE.equal, one, other);
}

export function greater(one: Uint8Array, other: Uint8Array): Uint8Array {
  return operation(OPCODE.greater, one, other);
}

export function less(one: Uint8Array, other: Uint8Array): Uint8Array {
  return operation(OPCODE.less, one, other);
}

/** `Notify (object, code)`: an event for the driver of a device. */
export function notify(path: string, code: Uint8Array): Uint8Array {
  return operation(OPCODE.notify, encodeNamePath(path), code);
}

/** `CreateDWordField (source, offset, path)`: 32 bits of a buffer at a byte offset, by a name. */
export function createDwordField(source: Uint8Array, offset: Uint8Array, path: string): Uint8Array {
  return operation(OPCODE.createDwordField, source, offset, encodeNamePath(path));
}

/** `If (condition) { ... }`. */
export function when(condition: Uint8Array, ...terms: readonly Uint8Array[]): Uint8Array {
  return block(OPCODE.if, condition, ...terms);
}

/** `Else { ... }`, directly after {@link when}. */
export function otherwise(...terms: readonly Uint8Array[]): Uint8Array {
  return block(OPCODE.else, ...terms);
}

/** `Return (value)`. */
export function returns(value: Uint8Array): Uint8Array {
  return operation(OPCODE.return, value);
}

function block(opcode: number, ...terms: readonly Uint8Array[]): Uint8Array {
  const content = concatenate(...terms);
  return concatenate(Uint8Array.of(opcode), packageLength(content.length), content);
}
