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
