import type { GuestMemory } from "../../memory/guest-memory.ts";

/** Memory as a PCI function reaches it: only while software lets it be a bus master. */
export class BusMasterMemory implements GuestMemory {
  readonly #memory: GuestMemory;
  readonly #isBusMaster: () => boolean;

  constructor(memory: GuestMemory, isBusMaster: () => boolean) {
    this.#memory = memory;
    this.#isBusMaster = isBusMaster;
  }

  isMemory(address: number, length: number): boolean {
    return this.#isBusMaster() && this.#memory.isMemory(address, length);
  }

  readInto(address: number, target: Uint8Array): boolean {
    return this.#isBusMaster() && this.#memory.readInto(address, target);
  }

  write(address: number, source: Uint8Array): boolean {
    return this.#isBusMaster() && this.#memory.write(address, source);
  }

  read8(address: number): number | undefined {
    return this.#isBusMaster() ? this.#memory.read8(address) : undefined;
  }

  read16(address: number): number | undefined {
    return this.#isBusMaster() ? this.#memory.read16(address) : undefined;
  }

  read32(address: number): number | undefined {
    return this.#isBusMaster() ? this.#memory.read32(address) : undefined;
  }

  read64(address: number): bigint | undefined {
    return this.#isBusMaster() ? this.#memory.read64(address) : undefined;
  }

  write8(address: number, value: number): boolean {
    return this.#isBusMaster() && this.#memory.write8(address, value);
  }

  write16(address: number, value: number): boolean {
    return this.#isBusMaster() && this.#memory.write16(address, value);
  }

  write32(address: number, value: number): boolean {
    return this.#isBusMaster() && this.#memory.write32(address, value);
  }

  write64(address: number, value: bigint): boolean {
    return this.#isBusMaster() && this.#memory.write64(address, value);
  }
}
