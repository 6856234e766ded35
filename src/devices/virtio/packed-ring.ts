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

/** Event suppression flags (section 2.8.10). */
const EVENT = { ENABLE: 0, DISABLE: 1, DESCRIPTOR: 2 } as const;

/** Entries of a packed indirect table follow each other; only their WRITE flag counts. */
const INDIRECT_FORMAT: IndirectFormat = {
  flags: ({ second }) => second & DESCRIPTOR.WRITE,
  next: (_, index, count) => (index + 1 < count ? index + 1 : undefined),
};

/** A place in the ring with the wrap counter of its round. */
interface Place {
  index: number;
  wrap: boolean;
}

/** In a position, added to the index while the wrap counter is 1. */
const WRAP = 2 ** 16;

/** A packed virtqueue (virtio 1.2, section 2.8). */
export class PackedRing implements Ring {
  readonly #memory: GuestMemory;
  readonly #layout: RingLayout;
  readonly #options: RingOptions;
  readonly #reader: DescriptorReader;
  readonly #take: Place = { index: 0, wrap: true };
  readonly #give: Place = { index: 0, wrap: true };
  /** Where the giving place was when last asked about an interrupt, and whether something was given since. */
  #announced = 0;
  #gave = false;
  #wrapped = false;

  constructor(options: RingOptions) {
    this.#options = options;
    this.#memory = options.memory;
    this.#layout = options.layout;
    this.#reader = new DescriptorReader(options.memory);
  }

  take(): VirtioBuffer | undefined {
    let descriptor = this.#at(this.#take.index);
    if (descriptor === undefined) return this.#fail("descriptor ring outside memory");
    if (!isAvailable(descriptor.second, this.#take.wrap)) return undefined;
    const buffer = new VirtioBuffer(this.#memory);
    let slots = 0;
    for (;;) {
      const wrong = this.#add(buffer, descriptor);
      if (wrong !== undefined) return this.#fail(wrong);
      slots++;
      if ((descriptor.second & DESCRIPTOR.NEXT) === 0) break;
      if (slots >= this.#layout.size) return this.#fail("descriptors in a loop");
      descriptor = this.#at((this.#take.index + slots) % this.#layout.size);
      if (descriptor === undefined) return this.#fail("descriptor ring outside memory");
    }
    buffer.id = descriptor.first;
    buffer.slots = slots;
    this.#advance(this.#take, slots);
    return buffer;
  }

  give(buffer: VirtioBuffer, written: number): void {
    const { index, wrap } = this.#give;
    const address = this.#layout.descriptors + index * DESCRIPTOR_SIZE;
    const flags =
      (wrap ? DESCRIPTOR.AVAIL | DESCRIPTOR.USED : 0) | (buffer.writable.length > 0 ? DESCRIPTOR.WRITE : 0);
    // The flags come last: they hand the descriptor over.
    const stored =
      this.#memory.write32(address + 8, written) &&
      this.#memory.write16(address + 12, buffer.id) &&
      this.#memory.write16(address + 14, flags);
    if (!stored) {
      this.#fail("descriptor ring outside memory");
      return;
    }
    this.#gave = true;
    if (this.#advance(this.#give, buffer.slots)) this.#wrapped = true;
  }

  arm(): boolean {
    const { device } = this.#layout;
    const { index, wrap } = this.#take;
    const armed = this.#options.eventIndex
      ? this.#memory.write16(device, index | (wrap ? 0x8000 : 0)) &&
        this.#memory.write16(device + 2, EVENT.DESCRIPTOR)
      : this.#memory.write16(device + 2, EVENT.ENABLE);
    if (!armed) this.#fail("event suppression area outside memory");
    const descriptor = this.#at(index);
    return descriptor !== undefined && isAvailable(descriptor.second, wrap);
  }

  wantsInterrupt(): boolean {
    const { size, driver } = this.#layout;
    const old = this.#announced;
    const wrapped = this.#wrapped;
    const gave = this.#gave;
    this.#announced = this.#give.index;
    this.#wrapped = false;
    this.#gave = false;
    if (!gave) return false;
    const flags = (this.#memory.read16(driver + 2) ?? EVENT.ENABLE) & 3;
    if (flags === EVENT.DISABLE) return false;
    // After a turn of the ring one interrupt too many is allowed and simpler than telling rounds apart.
    if (flags !== EVENT.DESCRIPTOR || !this.#options.eventIndex || wrapped) return true;
    const event = this.#memory.read16(driver) ?? 0;
    const sameRound = (event >>> 15 === 1) === this.#give.wrap;
    const place = (event & 0x7fff) - (sameRound ? 0 : size);
    return passedEvent(place, this.#give.index, old);
  }

  state(): readonly number[] {
    return this.stateAt(this.position);
  }

  get position(): number {
    return this.#take.index + (this.#take.wrap ? WRAP : 0);
  }

  stateAt(position: number): readonly number[] {
    const flags = [position >= WRAP, this.#give.wrap, this.#gave, this.#wrapped].map(Number);
    return [position % WRAP, this.#give.index, this.#announced, ...flags];
  }

  restore([take = 0, give = 0, announced = 0, ...flags]: readonly number[]): void {
    const { size } = this.#layout;
    this.#take.index = take % size;
    this.#give.index = give % size;
    this.#announced = announced % size;
    const [takeWrap, giveWrap, gave, wrapped] = flags.map((flag) => flag === 1);
    this.#take.wrap = takeWrap ?? true;
    this.#give.wrap = giveWrap ?? true;
    this.#gave = gave ?? false;
    this.#wrapped = wrapped ?? false;
  }

  #at(index: number): Descriptor | undefined {
    return this.#reader.read(this.#layout.descriptors + index * DESCRIPTOR_SIZE);
  }

  /** Moves a place on; true when it went round. */
  #advance(place: Place, slots: number): boolean {
    place.index += slots;
    if (place.index < this.#layout.size) return false;
    place.index -= this.#layout.size;
    place.wrap = !place.wrap;
    return true;
  }

  #fail(reason: string): undefined {
    this.#options.fail(reason);
    return undefined;
  }

  #add(buffer: VirtioBuffer, descriptor: Descriptor): string | undefined {
    const flags = descriptor.second;
    if ((flags & DESCRIPTOR.INDIRECT) === 0) return buffer.add(descriptor, (flags & DESCRIPTOR.WRITE) !== 0);
    if (!this.#options.indirect) return "indirect descriptor without the feature";
    if (flags & DESCRIPTOR.NEXT) return "indirect descriptor in the middle of a chain";
    return addIndirect(buffer, descriptor, this.#reader, INDIRECT_FORMAT);
  }
}

/** A descriptor is available when its AVAIL flag equals the wrap counter and its USED flag does not. */
function isAvailable(flags: number, wrap: boolean): boolean {
  return ((flags & DESCRIPTOR.AVAIL) !== 0) === wrap && ((flags & DESCRIPTOR.USED) !== 0) !== wrap;
}
