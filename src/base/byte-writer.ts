/** Little-endian bytes that grow, for formats that are written from front to back. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(256);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** The low 8 bits of `value`. */
  u8(value: number): this {
    this.#grow(1).setUint8(this.#length - 1, value);
    return this;
  }

  /** The low 16 bits of `value`. */
  u16(value: number): this {
    this.#grow(2).setUint16(this.#length - 2, value, true);
    return this;
  }

  /** The low 32 bits of `value`. */
  u32(value: number): this {
    this.#grow(4).setUint32(this.#length - 4, value, true);
    return this;
  }

  /** The low 64 bits of `value`. */
  u64(value: number | bigint): this {
    this.#grow(8).setBigUint64(this.#length - 8, BigInt(value), true);
    return this;
  }

  bytes(source: Uint8Array): this {
    this.#grow(source.length);
    this.#bytes.set(source, this.#length - source.length);
    return this;
  }

  /** Characters below 128, cut or filled up to `length` bytes with `filler`. */
  text(value: string, length: number = value.length, filler = 0): this {
    for (let i = 0; i < length; i++) this.u8(i < value.length ? value.charCodeAt(i) & 0x7f : filler);
    return this;
  }

  zeros(count: number): this {
    this.#grow(count);
    return this;
  }

  /** Zeros up to the next multiple of `boundary`. */
  align(boundary: number): this {
    return this.zeros((boundary - (this.#length % boundary)) % boundary);
  }

  /** Writes over what is at `offset`. */
  patch32(offset: number, value: number): this {
    new DataView(this.#bytes.buffer).setUint32(offset, value, true);
    return this;
  }

  /** A copy of everything written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(count: number): DataView {
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return new DataView(this.#bytes.buffer);
  }
}
