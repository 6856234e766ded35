import type { GuestMemory } from "../../src/memory/guest-memory.ts";

/** Guest memory for device tests: one stretch of RAM in a plain array. */
export class FlatMemory implements GuestMemory {
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(base: number, size: number) {
    this.base = base;
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  isMemory(address: number, length: number): boolean {
    return address >= this.base && length >= 0 && address + length <= this.base + this.bytes.length;
  }

  readInto(address: number, target: Uint8Array): boolean {
    if (!this.isMemory(address, target.length)) return false;
    target.set(this.bytes.subarray(address - this.base, address - this.base + target.length));
    return true;
  }

  write(address: number, source: Uint8Array): boolean {
    if (!this.isMemory(address, source.length)) return false;
    this.bytes.set(source, address - this.base);
    return true;
  }

  read8(address: number): number | undefined {
    return this.isMemory(address, 1) ? this.#view.getUint8(address - this.base) : undefined;
  }

  read16(address: number): number | undefined {
    return this.isMemory(address, 2) ? this.#view.getUint16(address - this.base, true) : undefined;
  }

  read32(address: number): number | undefined {
    return this.isMemory(address, 4) ? this.#view.getUint32(address - this.base, true) : undefined;
  }

  read64(address: number): bigint | undefined {
    return this.isMemory(address, 8) ? this.#view.getBigUint64(address - this.base, true) : undefined;
  }

  write8(address: number, value: number): boolean {
    return this.write(address, Uint8Array.of(value));
  }

  write16(address: number, value: number): boolean {
    return this.write(address, Uint8Array.of(value, value >>> 8));
  }

  write32(address: number, value: number): boolean {
    return this.write(address, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24));
  }

  write64(address: number, value: bigint): boolean {
    return (
      this.isMemory(address, 8) &&
      this.write32(address, Number(BigInt.asUintN(32, value))) &&
      this.write32(address + 4, Number(BigInt.asUintN(32, value >> 32n)))
    );
  }
}
