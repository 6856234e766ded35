import type { GuestMemory } from "../../memory/guest-memory.ts";
import type { VirtioBuffer } from "./buffer.ts";
import { DESCRIPTOR, DESCRIPTOR_SIZE } from "./protocol.ts";

/** Guest-physical addresses of a queue's three parts, and its size in descriptors. */
export interface RingLayout {
  readonly size: number;
  /** The descriptor table (split) or ring (packed). */
  readonly descriptors: number;
  /** The available ring, or the driver's event suppression. */
  readonly driver: number;
  /** The used ring, or the device's event suppression. */
  readonly device: number;
}

export interface RingOptions {
  readonly memory: GuestMemory;
  readonly layout: RingLayout;
  readonly indirect: boolean;
  readonly eventIndex: boolean;
  /** Called with a sentence fragment when the driver broke a rule; the ring must not be used afterwards. */
  readonly fail: (reason: string) => void;
}

/** A ring, split or packed, as the device uses it. */
export interface Ring {
  /** The next available buffer, or undefined: nothing there, or the driver broke a rule (then `fail` was called). */
  take(): VirtioBuffer | undefined;
  /** Gives a buffer back; `written` counts bytes from the start of its device-writable part. */
  give(buffer: VirtioBuffer, written: number): void;
  /** Asks the driver to tell about new buffers; true when some came meanwhile. */
  arm(): boolean;
  /** True when the driver wants an interrupt for what was given back since the last call. */
  wantsInterrupt(): boolean;
  /** Numbers that make up its state besides what lies in memory. */
  state(): readonly number[];
  /** The place of the next buffer to take, as a number below 2^17. */
  readonly position: number;
  /** Goes on from what {@link state} gave; with `position`, what was taken from there on is to be taken again. */
  restore(state: readonly number[]): void;
  /** {@link state} as if nothing had been taken from `position` on. */
  stateAt(position: number): readonly number[];
}

export interface Descriptor {
  readonly address: number;
  readonly length: number;
  /** Split: the flags. Packed: the buffer id. */
  readonly first: number;
  /** Split: the next index. Packed: the flags. */
  readonly second: number;
}

/** Reads descriptors; both kinds of ring lay them out alike but for the last two fields. */
export class DescriptorReader {
  readonly #memory: GuestMemory;
  readonly #bytes = new Uint8Array(DESCRIPTOR_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Undefined outside memory. Addresses beyond 2^53 lose precision, which their range check does not mind. */
  read(address: number): Descriptor | undefined {
    if (!this.#memory.readInto(address, this.#bytes)) return undefined;
    return {
      address: this.#view.getUint32(4, true) * 2 ** 32 + this.#view.getUint32(0, true),
      length: this.#view.getUint32(8, true),
      first: this.#view.getUint16(12, true),
      second: this.#view.getUint16(14, true),
    };
  }
}

/** The walk over an indirect table: which descriptor follows, and whether one is device-writable. */
export interface IndirectFormat {
  flags(descriptor: Descriptor): number;
  /** Index after `index`, or undefined at the end. */
  next(descriptor: Descriptor, index: number, count: number): number | undefined;
}

/** Adds all descriptors of an indirect table to `buffer`; returns what is wrong, if anything is. */
export function addIndirect(
  buffer: VirtioBuffer,
  table: Descriptor,
  reader: DescriptorReader,
  format: IndirectFormat,
): string | undefined {
  const count = table.length / DESCRIPTOR_SIZE;
  if (!Number.isInteger(count) || count === 0) return "indirect table of odd length";
  let index: number | undefined = 0;
  for (let steps = 0; index !== undefined; steps++) {
    if (index >= count) return "indirect descriptor beyond its table";
    if (steps >= count) return "indirect descriptors in a loop";
    const descriptor: Descriptor | undefined =
      table.address > 2 ** 48 ? undefined : reader.read(table.address + index * DESCRIPTOR_SIZE);
    if (descriptor === undefined) return "indirect table outside memory";
    const flags = format.flags(descriptor);
    if (flags & DESCRIPTOR.INDIRECT) return "indirect table inside an indirect table";
    const wrong = buffer.add(descriptor, (flags & DESCRIPTOR.WRITE) !== 0);
    if (wrong !== undefined) return wrong;
    index = format.next(descriptor, index, count);
  }
  return undefined;
}

/** True when `event` lies in the half-open interval of 16-bit indices (old, new] (section 2.7.7.2). */
export function passedEvent(event: number, now: number, old: number): boolean {
  return ((now - event - 1) & 0xffff) < ((now - old) & 0xffff);
}
