/** Data objects of AML: ACPI 6.5, section 20.2.3. Every function returns encoded bytes, ready to be nested. */

import { type Bytes, concatenate, flat } from "../../base/bytes.ts";
import { Bug } from "../../base/errors.ts";
import { littleEndian, zeroTerminated } from "./bytes.ts";
import { encodeNamePath } from "./name-path.ts";
import { packageLength } from "./package-length.ts";

const ZERO = 0x00;
const ONE = 0x01;
const ONES = 0xff;
export const BYTE_PREFIX = 0x0a;
const QWORD_PREFIX = 0x0e;
const INTEGER_PREFIXES = [
  { prefix: BYTE_PREFIX, width: 1 },
  { prefix: 0x0b, width: 2 },
  { prefix: 0x0c, width: 4 },
  { prefix: QWORD_PREFIX, width: 8 },
] as const;
export const STRING_PREFIX = 0x0d;
const BUFFER = 0x11;
export const PACKAGE = 0x12;
export const VARIABLE_PACKAGE = 0x13;
/** Elements that the one-byte count of a Package can say. */
export const LARGEST_PACKAGE = 255;

/** An unsigned integer below 2^64 in its shortest form. */
export function integer(value: number | bigint): Uint8Array {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return narrowInteger(value);
  const wide = BigInt(value);
  if (wide < 0n || wide >= 1n << 64n) throw new Bug(`${value} is no unsigned 64-bit integer`);
  if (wide <= BigInt(Number.MAX_SAFE_INTEGER)) return narrowInteger(Number(wide));
  if (wide === (1n << 64n) - 1n) return Uint8Array.of(ONES);
  return concatenate(Uint8Array.of(QWORD_PREFIX), littleEndian(wide, 8));
}

function narrowInteger(value: number): Uint8Array {
  if (value === 0) return Uint8Array.of(ZERO);
  if (value === 1) return Uint8Array.of(ONE);
  const { prefix, width } = INTEGER_PREFIXES.find((form) => value < 2 ** (8 * form.width))!;
  const bytes = new Uint8Array(1 + width);
  bytes[0] = prefix;
  bytes.set(littleEndian(value, width), 1);
  return bytes;
}

/** A string of ASCII characters other than NUL. */
export function text(value: string): Uint8Array {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code === 0 || code > 0x7f) throw new Bug(`"${value}" is not ASCII, so AML has no string for it`);
  }
  return concatenate(Uint8Array.of(STRING_PREFIX), zeroTerminated(value));
}

/** A buffer with this content. */
export function buffer(content: Uint8Array): Uint8Array {
  const size = integer(content.length);
  return concatenate(Uint8Array.of(BUFFER), packageLength(size.length + content.length), size, content);
}

/** A package of encoded elements. */
export function packageOf(...parts: readonly Bytes[]): Uint8Array {
  const elements = flat(parts);
  const many = elements.length > LARGEST_PACKAGE;
  const count = many ? integer(elements.length) : Uint8Array.of(elements.length);
  const content = concatenate(count, elements);
  return concatenate(
    Uint8Array.of(many ? VARIABLE_PACKAGE : PACKAGE),
    packageLength(content.length),
    content,
  );
}

/** A name where a value may stand: the object of that name, or in a package a reference to it. */
export function reference(path: string): Uint8Array {
  return encodeNamePath(path);
}

/** The compressed form of an id such as "PNP0A08" (section 19.6.36, EISAID), an integer. */
export function eisaId(id: string): Uint8Array {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(id)) throw new Bug(`"${id}" is no EISA id`);
  // Five bits a letter, big-endian, and the product number as it stands.
  const letter = (index: number): number => id.charCodeAt(index) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  const swap = (half: number): number => ((half & 0xff) << 8) | (half >> 8);
  return integer((BigInt(swap(product)) << 16n) | BigInt(swap(vendor)));
}

/**
 * A UUID as a buffer in the mixed order of ToUUID (section 19.6.142): the first three fields are
 * little-endian.
 */
export function uuid(value: string): Uint8Array {
  const fields = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(value);
  if (fields === null) throw new Bug(`"${value}" is no UUID`);
  const bytes = fields
    .slice(1)
    .map((field) => (field.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));
  const [low, middle, high, clock, node] = bytes;
  return buffer(Uint8Array.from([low!.reverse(), middle!.reverse(), high!.reverse(), clock!, node!].flat()));
}
