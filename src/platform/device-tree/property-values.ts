/** Property values: what the Devicetree Specification v0.4, section 2.2.4 puts into a property's bytes. */

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8");

/** Big-endian u32 cells. */
export function encodeCells(...cells: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(cells.length * 4);
  const view = new DataView(bytes.buffer);
  cells.forEach((cell, index) => {
    view.setUint32(index * 4, cell);
  });
  return bytes;
}

/** The cells of a value; undefined when its length is no multiple of four. */
export function decodeCells(value: Uint8Array): number[] | undefined {
  if (value.length % 4 !== 0) return undefined;
  const cells: number[] = [];
  for (let at = 0; at < value.length; at += 4) {
    cells.push(((value[at]! << 24) | (value[at + 1]! << 16) | (value[at + 2]! << 8) | value[at + 3]!) >>> 0);
  }
  return cells;
}

/** A number below 2^53 as the cells, most significant first, that `#address-cells` or `#size-cells` asks for. */
export function wideCells(value: number, cellCount: number): number[] {
  return Array.from({ length: cellCount }, (_, index) => {
    const shift = 2 ** (32 * (cellCount - 1 - index));
    return Math.floor(value / shift) % 2 ** 32;
  });
}

/** Strings, each with its terminating zero. */
export function encodeStrings(...strings: readonly string[]): Uint8Array {
  return textEncoder.encode(strings.map((text) => `${text}\0`).join(""));
}

/**
 * The strings of a value; undefined unless it looks like a string list: printable ASCII, every string
 * non-empty and terminated. It is the rule by which `dtc` chooses a notation.
 */
export function decodeStrings(value: Uint8Array): string[] | undefined {
  if (value.length === 0 || value[value.length - 1] !== 0) return undefined;
  let runLength = 0;
  for (const byte of value) {
    if (byte === 0) {
      if (runLength === 0) return undefined;
      runLength = 0;
    } else {
      if (byte < 0x20 || byte > 0x7e) return undefined;
      runLength += 1;
    }
  }
  return textDecoder.decode(value.subarray(0, -1)).split("\0");
}
