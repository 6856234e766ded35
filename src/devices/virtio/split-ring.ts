import type { GuestMemory } from "../../memory/guest-memory.ts";
import { VirtioBuffer } from "./buffer.ts";
import { DESCRIPTOR, DESCRIPTOR_SIZE } from "./protocol.ts";
import {
  addIndirect,
  type Descriptor,
  DescriptorReader,
  type IndirectFormat,
  passedEvent,
  type Ring,
  type RingLayout,
  type RingOptions,
} from "./ring.ts";

/** Available ring flag: the driver wants no interrupts. */
const NO_INTERRUPT = 1;

const INDIRECT_FORMAT: IndirectFormat = {
  flags: ({ first }) => first,
  next: ({ first, second }) => (first & DESCRIPTOR.NEXT ? second : undefined),
};

/** A split virtqueue (virtio 1.2, section 2.7). */
export class SplitRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #layout: RingLayout;
  readonly #options: RingOptions;
  readonly #reader: DescriptorReader;
  /** Free-running 16-bit indices: next to take, next to give, and given when last asked about an interrupt. */
  #taken = 0;
  #given = 0;
  #announced = 0;

  constructor(options: RingOptions) {
    this.#options = options;
    this.#memory = options.memory;
    this.#layout = options.layout;
    this.#reader = new DescriptorReader(options.memory);
  }

  take(): VirtioBuffer | undefined {
    const { size, driver } = this.#layout;
    const available = this.#memory.read16(driver + 2);
    if (available === undefined) return this.#fail("available ring outside memory");
    const waiting = (available - this.#taken) & 0xffff;
    if (waiting === 0) return undefined;
    if (waiting > size) return this.#fail("available index too far ahead");
    const head = this.#memory.read16(driver + 4 + 2 * (this.#taken % size));
    if (head === undefined) return this.#fail("available ring outside memory");
    const buffer = new VirtioBuffer(this.#memory);
    buffer.id = head;
    const wrong = this.#walk(buffer, head);
    if (wrong !== undefined) return this.#fail(wrong);
    this.#taken = (this.#taken + 1) & 0xffff;
    return buffer;
  }

  give(buffer: VirtioBuffer, written: number): void {
    const { size, device } = this.#layout;
    const entry = device + 4 + 8 * (this.#given % size);
    this.#given = (this.#given + 1) & 0xffff;
    const stored =
      this.#memory.write32(entry, buffer.id) &&
      this.#memory.write32(entry + 4, written) &&
      this.#memory.write16(device + 2, this.#given);
    if (!stored) this.#fail("used ring outside memory");
  }

  arm(): boolean {
    const { size, driver, device } = this.#layout;
    if (this.#options.eventIndex && !this.#memory.write16(device + 4 + 8 * size, this.#taken))
      this.#fail("used ring outside memory");
    const available = this.#memory.read16(driver + 2);
    return available !== undefined && available !== this.#taken;
  }

  wantsInterrupt(): boolean {
    const { size, driver } = this.#layout;
    const old = this.#announced;
    this.#announced = this.#given;
    if (old === this.#given) return false;
    if (!this.#options.eventIndex) return ((this.#memory.read16(driver) ?? 0) & NO_INTERRUPT) === 0;
    const event = this.#memory.read16(driver + 4 + 2 * size);
    return event === undefined || passedEvent(event, this.#given, old);
  }

  state(): readonly number[] {
    return this.stateAt(this.#taken);
  }

  get position(): number {
    return this.#taken;
  }

  stateAt(position: number): readonly number[] {
    return [position, this.#given, this.#announced];
  }

  restore([taken = 0, given = 0, announced = 0]: readonly number[]): void {
    this.#taken = taken & 0xffff;
    this.#given = given & 0xffff;
    this.#announced = announced & 0xffff;
  }

  #fail(reason: string): undefined {
    this.#options.fail(reason);
    return undefined;
  }

  #walk(buffer: VirtioBuffer, head: number): string | undefined {
    const { size, descriptors } = this.#layout;
    let index = head;
    for (let steps = 0; ; steps++) {
      if (index >= size) return "descriptor beyond the table";
      if (steps >= size) return "descriptors in a loop";
      const descriptor = this.#reader.read(descriptors + index * DESCRIPTOR_SIZE);
      if (descriptor === undefined) return "descriptor table outside memory";
      const wrong = this.#add(buffer, descriptor);
      if (wrong !== undefined) return wrong;
      if ((descriptor.first & DESCRIPTOR.NEXT) === 0) return undefined;
      index = descriptor.second;
    }
  }

  #add(buffer: VirtioBuffer, descriptor: Descriptor): string | undefined {
    const flags = descriptor.first;
    if ((flags & DESCRIPTOR.INDIRECT) === 0) return buffer.add(descriptor, (flags & DESCRIPTOR.WRITE) !== 0);
    if (!this.#options.indirect) return "indirect descriptor without the feature";
    if (flags & DESCRIPTOR.NEXT) return "indirect descriptor in the middle of a chain";
    return addIndirect(buffer, descriptor, this.#reader, INDIRECT_FORMAT);
  }
}
