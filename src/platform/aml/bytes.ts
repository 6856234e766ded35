/** Little-endian bytes, of which ACPI tables and AML are made. */

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
