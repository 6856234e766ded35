/** Named objects of AML: ACPI 6.5, section 20.2.5. */

import { type Bytes, concatenate, flat } from "../../base/bytes.ts";
import { Bug } from "../../base/errors.ts";
import { encodeNamePath } from "./name-path.ts";
import { packageLength } from "./package-length.ts";

const NAME = 0x08;
const SCOPE = 0x10;
const METHOD = 0x14;
const EXTENDED = 0x5b;
const DEVICE = 0x82;

/** `Name (path, value)`. */
export function name(path: string, value: Uint8Array): Uint8Array {
  return concatenate(Uint8Array.of(NAME), encodeNamePath(path), value);
}

/** `Scope (path) { ... }`: adds to an object that exists. */
export function scope(path: string, ...terms: readonly Bytes[]): Uint8Array {
  return packaged([SCOPE], encodeNamePath(path), terms);
}

/** `Device (path) { ... }`. */
export function device(path: string, ...terms: readonly Bytes[]): Uint8Array {
  return packaged([EXTENDED, DEVICE], encodeNamePath(path), terms);
}

/** A method's head: its number of arguments (0 to 7), and whether one caller at a time may be in it. */
export interface MethodOptions {
  readonly parameters?: number;
  readonly serialized?: boolean;
}

/** `Method (path, parameters, ...) { ... }`; the terms are made by ./statements.ts. */
export function method(path: string, options: MethodOptions, ...terms: readonly Bytes[]): Uint8Array {
  const { parameters = 0, serialized = false } = options;
  if (parameters < 0 || parameters > 7) throw new Bug(`method ${path} cannot have ${parameters} parameters`);
  const flags = Uint8Array.of(parameters | (serialized ? 1 << 3 : 0));
  return packaged([METHOD], concatenate(encodeNamePath(path), flags), terms);
}

function packaged(opcode: readonly number[], head: Uint8Array, terms: readonly Bytes[]): Uint8Array {
  const pieces = flat(terms);
  let length = head.length;
  for (const piece of pieces) length += piece.length;
  return concatenate(Uint8Array.from(opcode), packageLength(length), head, pieces);
}
