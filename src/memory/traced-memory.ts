import type { GuestMemory } from "./guest-memory.ts";
import { FRAME_SIZE, type MachineMemory } from "./machine-memory.ts";
import { MAP_ENTRY, type PhysicalMap, type RomBank } from "./physical-map.ts";
import type { TracedStore } from "./traced-store.ts";

const OFFSET_MASK = FRAME_SIZE - 1;
const HIGH = 2 ** 32;

/**
 * Guest-physical memory in one security state's view. Reads see RAM and visible ROM; every write goes frame
 * by frame through {@link TracedStore}.
 */
export class TracedMemory implements GuestMemory {
  readonly map: PhysicalMap;
  readonly store: TracedStore;
  readonly secure: boolean;
  readonly #memory: MachineMemory;

  constructor(map: PhysicalMap, store: TracedStore, secure = false) {
    this.map = map;
    this.store = store;
    this.secure = secure;
    this.#memory = map.memory;
  }

  /** The same memory as the other security state sees it. */
  inWorld(secure: boolean): TracedMemory {
    return secure === this.secure ? this : new TracedMemory(this.map, this.store, secure);
  }

  isMemory(address: number, length: number): boolean {
    return this.#covers(address, length, false);
  }

  readInto(address: number, target: Uint8Array): boolean {
    if (!this.#covers(address, target.length, false)) return false;
    let done = 0;
    while (done < target.length) {
      const at = address + done;
      const run = Math.min(target.length - done, FRAME_SIZE - (at % FRAME_SIZE));
      const host = this.#host(at);
      target.set(this.#memory.bytes.subarray(host, host + run), done);
      done += run;
    }
    return true;
  }

  write(address: number, source: Uint8Array): boolean {
    if (!this.#covers(address, source.length, true)) return false;
    let done = 0;
    while (done < source.length) {
      const at = address + done;
      const run = Math.min(source.length - done, FRAME_SIZE - (at % FRAME_SIZE));
      this.store.write(this.#host(at), source.subarray(done, done + run));
      done += run;
    }
    return true;
  }

  /** Writes a ROM's content, whether it is visible or not: loader and flash programming. */
  writeRom(bank: RomBank, offset: number, source: Uint8Array): void {
    let done = 0;
    while (done < source.length) {
      const host = bank.host + offset + done;
      const run = Math.min(source.length - done, FRAME_SIZE - (host & OFFSET_MASK));
      this.store.write(host, source.subarray(done, done + run));
      done += run;
    }
  }

  /** Reads a ROM's content, whether it is visible or not. The range lies inside it. */
  readRom(bank: RomBank, offset: number, target: Uint8Array): void {
    const host = bank.host + offset;
    target.set(this.#memory.bytes.subarray(host, host + target.length));
  }

  read8(address: number): number | undefined {
    const host = this.#host(address);
    return host === 0 ? undefined : this.#memory.bytes[host];
  }

  read16(address: number): number | undefined {
    const host = this.#hostOfWhole(address, 2);
    return host === 0
      ? this.#readSplit(address, 2)?.getUint16(0, true)
      : this.#memory.view.getUint16(host, true);
  }

  read32(address: number): number | undefined {
    const host = this.#hostOfWhole(address, 4);
    return host === 0
      ? this.#readSplit(address, 4)?.getUint32(0, true)
      : this.#memory.view.getUint32(host, true);
  }

  read64(address: number): bigint | undefined {
    const host = this.#hostOfWhole(address, 8);
    if (host !== 0) return this.#memory.view.getBigUint64(host, true);
    return this.#readSplit(address, 8)?.getBigUint64(0, true);
  }

  write8(address: number, value: number): boolean {
    return this.#writeNumber(address, 1, value);
  }

  write16(address: number, value: number): boolean {
    return this.#writeNumber(address, 2, value);
  }

  write32(address: number, value: number): boolean {
    return this.#writeNumber(address, 4, value);
  }

  write64(address: number, value: bigint): boolean {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    return this.write(address, bytes);
  }

  #writeNumber(address: number, length: 1 | 2 | 4, value: number): boolean {
    if (address % FRAME_SIZE <= FRAME_SIZE - length) {
      if (!this.#covers(address, length, true)) return false;
      this.store.writeNumber(this.#host(address), length, value);
      return true;
    }
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    return this.write(address, bytes.subarray(0, length));
  }

  #readSplit(address: number, length: number): DataView | undefined {
    const bytes = new Uint8Array(length);
    return this.readInto(address, bytes) ? new DataView(bytes.buffer) : undefined;
  }

  #covers(address: number, length: number, writable: boolean): boolean {
    if (!(address >= 0 && address + length <= 2 ** 48)) return false;
    const end = address + length;
    for (let page = address - (address % FRAME_SIZE); page < end; page += FRAME_SIZE) {
      const kind = this.map.entryAt(page, this.secure) & MAP_ENTRY.KIND_MASK;
      if (kind !== MAP_ENTRY.RAM && (writable || kind !== MAP_ENTRY.ROM)) return false;
    }
    return true;
  }

  #hostOfWhole(address: number, length: number): number {
    return address % FRAME_SIZE <= FRAME_SIZE - length ? this.#host(address) : 0;
  }

  #host(address: number): number {
    if (!(address >= 0 && address < 2 ** 48)) return 0;
    return this.map.hostAddress(address | 0, Math.floor(address / HIGH), this.secure);
  }
}
