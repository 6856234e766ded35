/** Little-endian bytes, of which ACPI's tables and AML are made. */

/** Bytes, or a list of them, which may be longer than a function's arguments may be. */
export type Bytes = Uint8Array | readonly Uint8Array[];

/** The parts one after the other. */
export function concatenate(...parts: readonly Bytes[]): Uint8Array {
  const pieces = flat(parts);
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The parts with those of the lists in their places. */
export function flat(parts: readonly Bytes[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    if (part instanceof Uint8Array) pieces.push(part);
    else for (const piece of part) pieces.push(piece);
  }
  return pieces;
}

/** `value` modulo 2^(8 `width`) in `width` bytes (1 to 8). A number must be a non-negative safe integer. */
export function littleEndian(value: number | bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(width);
  if (typeof value === "bigint") {
    let rest = value;
    for (let index = 0; index < width; index++) {
      bytes[index] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }
  let rest = value;
  for (let index = 0; index < width; index++) {
    bytes[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** ASCII characters with a terminating zero. */
export function zeroTerminated(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length + 1);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
