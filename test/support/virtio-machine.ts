import type { BlockStore } from "../../src/devices/storage/block-store.ts";
import type { VirtioDevice } from "../../src/devices/virtio/device.ts";
import { VirtioMmio } from "../../src/devices/virtio/mmio-transport.ts";
import { FlatMemory } from "./flat-memory.ts";

/** Where the memory begins that devices reach. */
export const BASE = 0x4000_0000;

/** A slot with a device, memory behind it, what its interrupt line did, and what it reported. */
export function attach(device: VirtioDevice | undefined, bytes = 1 << 20) {
  const memory = new FlatMemory(BASE, bytes);
  const line = { level: false, rises: 0 };
  const reports: string[] = [];
  const mmio = new VirtioMmio({
    memory,
    line: {
      set: (level) => {
        if (level && !line.level) line.rises++;
        line.level = level;
      },
    },
    ...(device === undefined ? {} : { device }),
    log: { report: (name, what) => reports.push(`${name}: ${what}`) },
  });
  return { memory, mmio, line, reports };
}

/** A disk in memory; `late` makes every operation finish in a later turn. */
export class MemoryDisk implements BlockStore {
  readonly size: number;
  readonly readOnly: boolean;
  readonly serial = "elvisor-test";
  readonly bytes: Uint8Array;
  readonly late: boolean;
  flushes = 0;
  fail = false;

  constructor(size: number, options: { readOnly?: boolean; late?: boolean } = {}) {
    this.size = size;
    this.bytes = new Uint8Array(size);
    this.readOnly = options.readOnly ?? false;
    this.late = options.late ?? false;
  }

  read(offset: number, target: Uint8Array) {
    return this.#do(() => target.set(this.bytes.subarray(offset, offset + target.length)));
  }

  write(offset: number, source: Uint8Array) {
    return this.#do(() => this.bytes.set(source, offset));
  }

  flush() {
    return this.#do(() => this.flushes++);
  }

  discard(offset: number, length: number) {
    return this.#do(() => this.bytes.fill(0xdd, offset, offset + length));
  }

  #do(action: () => unknown): Promise<void> | undefined {
    if (this.fail) {
      if (this.late) return Promise.reject(new Error("disk on fire"));
      throw new Error("disk on fire");
    }
    if (this.late) return new Promise<void>((resolve) => setTimeout(resolve, 0)).then(() => void action());
    action();
    return undefined;
  }
}

/** A block request's header. */
export function header(type: number, sector: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return bytes;
}

/** Bytes that tell offsets and seeds apart. */
export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + seed + (index >> 8)) & 0xff);
}
