import type { MmioDevice } from "../../src/memory/mmio-device.ts";
import type { FlatMemory } from "./flat-memory.ts";

/** One part of a buffer that the driver offers: bytes for the device, or a length to be written. */
export type Part = Uint8Array | number;

export interface Returned {
  readonly token: number;
  readonly written: number;
  /** The device-writable parts, joined. */
  readonly bytes: Uint8Array;
}

interface Queue {
  readonly size: number;
  readonly descriptors: number;
  readonly driver: number;
  readonly device: number;
  free: number[];
  /** By token (head or id): addresses and lengths of the writable parts, and descriptors used. */
  readonly pending: Map<number, { writable: [number, number][]; slots: number[]; count: number }>;
  availableIndex: number;
  usedIndex: number;
  wrap: boolean;
  usedPlace: number;
  usedWrap: boolean;
}

/** The driver's side of virtio over MMIO, split or packed, as small as the device tests need it. */
export class VirtioDriver {
  readonly device: MmioDevice;
  readonly memory: FlatMemory;
  readonly packed: boolean;
  readonly eventIndex: boolean;
  readonly indirect: boolean;
  readonly queueReset: boolean;
  readonly #queues = new Map<number, Queue>();
  #allocated: number;
  /** Where buffers begin, after the rings. */
  #buffers = 0;

  constructor(
    device: MmioDevice,
    memory: FlatMemory,
    options: { packed?: boolean; eventIndex?: boolean; indirect?: boolean; queueReset?: boolean } = {},
  ) {
    this.device = device;
    this.memory = memory;
    this.packed = options.packed ?? false;
    this.eventIndex = options.eventIndex ?? false;
    this.indirect = options.indirect ?? false;
    this.queueReset = options.queueReset ?? false;
    this.#allocated = memory.base;
  }

  read(offset: number): number {
    return this.device.read(offset, 4);
  }

  write(offset: number, value: number): void {
    this.device.write(offset, 4, value >>> 0);
  }

  allocate(length: number): number {
    const address = this.#allocated;
    this.#allocated += Math.ceil(length / 16) * 16;
    if (!this.memory.isMemory(address, length)) throw new Error("the test driver is out of memory");
    return address;
  }

  /** Gives the memory of all buffers back; none may be under way. */
  rewind(): void {
    this.#allocated = this.#buffers;
  }

  /** Negotiates `features` of the device type besides the ring's, sets queues up, and says DRIVER_OK. */
  start(queues: readonly number[], features = 0): void {
    this.#allocated = this.memory.base;
    this.write(0x70, 0);
    this.write(0x70, 1);
    this.write(0x70, 3);
    this.write(0x24, 0);
    this.write(0x20, features | (this.indirect ? 1 << 28 : 0) | (this.eventIndex ? 1 << 29 : 0));
    this.write(0x24, 1);
    this.write(0x20, 1 | (this.packed ? 4 : 0) | (this.queueReset ? 1 << 8 : 0));
    this.write(0x70, 11);
    if ((this.read(0x70) & 8) === 0) throw new Error("the device did not accept the features");
    queues.forEach((size, index) => {
      this.setUp(index, size);
    });
    this.#buffers = this.#allocated;
    this.write(0x70, 15);
  }

  queue(index: number): Queue {
    return this.#queues.get(index)!;
  }

  /** Makes a buffer available, returning its token. Does not notify. */
  add(index: number, parts: readonly Part[]): number {
    const queue = this.queue(index);
    const segments = parts.map((part) => {
      const length = typeof part === "number" ? part : part.length;
      const address = this.allocate(length);
      if (typeof part !== "number") this.memory.write(address, part);
      return { address, length, writable: typeof part === "number" };
    });
    const writable = segments
      .filter((segment) => segment.writable)
      .map(({ address, length }): [number, number] => [address, length]);
    return this.packed
      ? this.#addPacked(queue, segments, writable)
      : this.#addSplit(queue, segments, writable);
  }

  notify(index: number): void {
    this.write(0x50, index);
  }

  /** Buffers that the device returned since the last call. */
  returned(index: number): Returned[] {
    const queue = this.queue(index);
    const results: Returned[] = [];
    for (;;) {
      const next = this.packed ? this.#nextPacked(queue) : this.#nextSplit(queue);
      if (next === undefined) break;
      const entry = queue.pending.get(next.token);
      if (entry === undefined) throw new Error(`the device returned ${next.token}, which it did not have`);
      queue.pending.delete(next.token);
      queue.free.push(...entry.slots);
      const total = entry.writable.reduce((sum, [, length]) => sum + length, 0);
      const bytes = new Uint8Array(total);
      let at = 0;
      for (const [address, length] of entry.writable) {
        this.memory.readInto(address, bytes.subarray(at, at + length));
        at += length;
      }
      results.push({ ...next, bytes });
    }
    if (this.eventIndex) this.#wantNext(queue);
    return results;
  }

  /** Sets a queue up and makes it ready. */
  setUp(index: number, size: number): void {
    const queue: Queue = {
      size,
      descriptors: this.allocate(16 * size),
      driver: this.allocate(6 + 2 * size),
      device: this.allocate(6 + 8 * size),
      free: Array.from({ length: size }, (_, slot) => slot),
      pending: new Map(),
      availableIndex: 0,
      usedIndex: 0,
      wrap: true,
      usedPlace: 0,
      usedWrap: true,
    };
    this.memory.write(queue.descriptors, new Uint8Array(16 * size));
    this.memory.write(queue.driver, new Uint8Array(6 + 2 * size));
    this.memory.write(queue.device, new Uint8Array(6 + 8 * size));
    this.#queues.set(index, queue);
    this.write(0x30, index);
    this.write(0x38, size);
    this.write(0x80, queue.descriptors);
    this.write(0x84, 0);
    this.write(0x90, queue.driver);
    this.write(0x94, 0);
    this.write(0xa0, queue.device);
    this.write(0xa4, 0);
    this.write(0x44, 1);
    if (this.eventIndex) this.#wantNext(queue);
  }

  #addSplit(queue: Queue, segments: Segment[], writable: [number, number][]): number {
    let slots: number[];
    if (this.indirect) {
      slots = queue.free.splice(0, 1);
      const table = this.allocate(16 * segments.length);
      segments.forEach((segment, place) => {
        const last = place === segments.length - 1;
        this.#descriptor(table + 16 * place, segment, (segment.writable ? 2 : 0) | (last ? 0 : 1), place + 1);
      });
      const address = queue.descriptors + 16 * slots[0]!;
      this.#descriptor(address, { address: table, length: 16 * segments.length }, 4, 0);
    } else {
      slots = queue.free.splice(0, segments.length);
      segments.forEach((segment, place) => {
        const last = place === segments.length - 1;
        const flags = (segment.writable ? 2 : 0) | (last ? 0 : 1);
        this.#descriptor(queue.descriptors + 16 * slots[place]!, segment, flags, slots[place + 1] ?? 0);
      });
    }
    const head = slots[0]!;
    queue.pending.set(head, { writable, slots, count: slots.length });
    this.memory.write16(queue.driver + 4 + 2 * (queue.availableIndex % queue.size), head);
    queue.availableIndex = (queue.availableIndex + 1) & 0xffff;
    this.memory.write16(queue.driver + 2, queue.availableIndex);
    return head;
  }

  #addPacked(queue: Queue, segments: Segment[], writable: [number, number][]): number {
    const token = queue.free.shift()!;
    let entries: { segment: { address: number; length: number }; flags: number }[] = segments.map(
      (segment, place) => ({
        segment,
        flags: (segment.writable ? 2 : 0) | (place === segments.length - 1 ? 0 : 1),
      }),
    );
    if (this.indirect) {
      const table = this.allocate(16 * segments.length);
      segments.forEach((segment, place) => {
        this.#descriptor(table + 16 * place, segment, 0, segment.writable ? 2 : 0);
      });
      entries = [{ segment: { address: table, length: 16 * segments.length }, flags: 4 }];
    }
    const first = { place: queue.availableIndex, flags: 0 };
    entries.forEach(({ segment, flags }, index) => {
      const all = flags | (queue.wrap ? 1 << 7 : 1 << 15);
      // The first descriptor's flags are written last, as drivers must.
      const address = queue.descriptors + 16 * queue.availableIndex;
      this.#descriptor(address, segment, token, index === 0 ? this.memory.read16(address + 14)! : all);
      if (index === 0) first.flags = all;
      queue.availableIndex++;
      if (queue.availableIndex === queue.size) {
        queue.availableIndex = 0;
        queue.wrap = !queue.wrap;
      }
    });
    this.memory.write16(queue.descriptors + 16 * first.place + 14, first.flags);
    queue.pending.set(token, { writable, slots: [token], count: entries.length });
    return token;
  }

  #nextSplit(queue: Queue): { token: number; written: number } | undefined {
    if (this.memory.read16(queue.device + 2) === queue.usedIndex) return undefined;
    const entry = queue.device + 4 + 8 * (queue.usedIndex % queue.size);
    queue.usedIndex = (queue.usedIndex + 1) & 0xffff;
    return { token: this.memory.read32(entry)!, written: this.memory.read32(entry + 4)! };
  }

  #nextPacked(queue: Queue): { token: number; written: number } | undefined {
    const address = queue.descriptors + 16 * queue.usedPlace;
    const flags = this.memory.read16(address + 14)!;
    const [available, used] = [(flags & (1 << 7)) !== 0, (flags & (1 << 15)) !== 0];
    if (available !== used || used !== queue.usedWrap) return undefined;
    const token = this.memory.read16(address + 12)!;
    queue.usedPlace += queue.pending.get(token)?.count ?? 1;
    if (queue.usedPlace >= queue.size) {
      queue.usedPlace -= queue.size;
      queue.usedWrap = !queue.usedWrap;
    }
    return { token, written: this.memory.read32(address + 8)! };
  }

  /** Asks for an interrupt at the next returned buffer. */
  #wantNext(queue: Queue): void {
    if (this.packed) {
      this.memory.write16(queue.driver, queue.usedPlace | (queue.usedWrap ? 0x8000 : 0));
      this.memory.write16(queue.driver + 2, 2);
    } else this.memory.write16(queue.driver + 4 + 2 * queue.size, queue.usedIndex);
  }

  #descriptor(at: number, segment: { address: number; length: number }, first: number, second: number): void {
    this.memory.write64(at, BigInt(segment.address));
    this.memory.write32(at + 8, segment.length);
    this.memory.write16(at + 12, first);
    this.memory.write16(at + 14, second);
  }
}

interface Segment {
  readonly address: number;
  readonly length: number;
  readonly writable: boolean;
}
