import { UserError } from "../base/errors.ts";

/** Appends values to bytes, little-endian. */
export class ByteWriter {
  #view = new DataView(new ArrayBuffer(1024));
  #length = 0;

  /** An integer that a double represents exactly. */
  number(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  u64(value: bigint): void {
    this.#room(8);
    this.#view.setBigUint64(this.#length, value, true);
    this.#length += 8;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#room(value.length);
    new Uint8Array(this.#view.buffer).set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(new TextEncoder().encode(value));
  }

  finish(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#view.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#view.byteLength));
    larger.set(new Uint8Array(this.#view.buffer, 0, this.#length));
    this.#view = new DataView(larger.buffer);
  }
}

/** Reads what {@link ByteWriter} wrote. Whatever the bytes are, it gives values in range or throws a UserError. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** An integer from `least` to `most`. */
  number(least: number, most: number): number {
    const value = this.#view.getFloat64(this.#take(8), true);
    if (!(Number.isSafeInteger(value) && value >= least && value <= most)) throw damaged();
    return value;
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** At most `longest` bytes, a copy. */
  bytes(longest: number): Uint8Array {
    const length = this.number(0, longest);
    const at = this.#take(length);
    return this.#bytes.slice(at, at + length);
  }

  text(longest: number): string {
    return new TextDecoder().decode(this.bytes(longest));
  }

  /** There must be nothing more. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw damaged();
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw damaged();
    this.#at += length;
    return at;
  }
}

export function damaged(): UserError {
  return new UserError("The snapshot is damaged or not complete; take another one.");
}
