/** A file that a user gave, with the name to call it by in messages. */
export interface BootFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A view of a file's bytes for reading numbers. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** True when the ASCII characters or byte values of `magic` stand at `offset`. */
export function hasMagic(bytes: Uint8Array, offset: number, magic: string | readonly number[]): boolean {
  const expected = typeof magic === "string" ? Array.from(magic, (char) => char.charCodeAt(0)) : magic;
  return expected.every((byte, index) => bytes[offset + index] === byte);
}
