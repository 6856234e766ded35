import { assert, Bug } from "../base/errors.ts";
import { FRAME_FLAGS, type FrameTable } from "./frame-table.ts";
import { FRAME_SHIFT, FRAME_SIZE, type MachineMemory } from "./machine-memory.ts";

/** Low bits of a map entry. For RAM and ROM, bits 31:12 are the host address of the frame. */
export const MAP_ENTRY = {
  KIND_MASK: 3,
  ABSENT: 0,
  RAM: 1,
  /** Reads and fetches go to the frame, writes to the device behind it, if any. */
  ROM: 2,
  DEVICE: 3,
  /** Set where only Secure accesses find anything. */
  SECURE_ONLY: 4,
} as const;

/** Physical addresses have at most this many bits anywhere. */
const PHYSICAL_ADDRESS_LIMIT = 2 ** 48;
/** RAM and ROM lie below this, so that a page number fits 32 bits. */
const MEMORY_ADDRESS_LIMIT = 2 ** 44;

const LEAF_PAGES_SHIFT = 18;
const LEAF_PAGES = 1 << LEAF_PAGES_SHIFT;
/** Bytes of addresses that a leaf maps. */
const LEAF_BYTES = LEAF_PAGES * FRAME_SIZE;
const ROOT_ENTRIES = 2 ** (48 - FRAME_SHIFT - LEAF_PAGES_SHIFT);

/** How a range is mapped. */
export interface MapOptions {
  /** Visible to Secure accesses only. */
  readonly secure?: boolean;
}

/** A bank that can be switched between its frames and the device in front of them. */
export interface RomBank {
  readonly address: number;
  readonly bytes: number;
  /** Host byte address of the first frame. */
  readonly host: number;
  readonly secure: boolean;
}

/**
 * Guest-physical page to host frame, by look-up in two levels in linear memory: a root of 2^18 pointers, each
 * to a leaf of 2^18 entries (1 GiB of addresses). Physical addresses come as halves: `low` is bits 31:0 as
 * i32, `high` bits 47:32.
 */
export class PhysicalMap {
  /** Byte address of the root. */
  readonly rootAddress: number;
  readonly memory: MachineMemory;
  readonly frames: FrameTable;
  readonly #words: Int32Array;
  readonly #root: number;
  readonly #listeners: (() => void)[] = [];
  /** A leaf of device pages only, which whole gibibytes of device windows share; 0 until needed. */
  #deviceLeaf = 0;

  constructor(memory: MachineMemory, frames: FrameTable) {
    this.memory = memory;
    this.frames = frames;
    this.rootAddress = memory.allocate(ROOT_ENTRIES * 4, FRAME_SIZE);
    this.#root = this.rootAddress >>> 2;
    this.#words = memory.words;
  }

  /** The entry of the page that holds the address, as i32; ABSENT where the access's state sees nothing. */
  entry(low: number, high: number, secure: boolean): number {
    const leaf = this.#words[this.#root + ((high << 2) | (low >>> 30))]!;
    if (leaf === 0) return MAP_ENTRY.ABSENT;
    const entry = this.#words[(leaf >>> 2) + ((low >>> FRAME_SHIFT) & (LEAF_PAGES - 1))]!;
    return (entry & MAP_ENTRY.SECURE_ONLY) !== 0 && !secure ? MAP_ENTRY.ABSENT : entry;
  }

  /** The same for an address as a number. */
  entryAt(address: number, secure: boolean): number {
    return this.entry(address | 0, (address / 2 ** 32) & 0xffff, secure);
  }

  /** Host byte address of the byte at a physical address in RAM or ROM; 0 where there is neither. */
  hostAddress(low: number, high: number, secure: boolean): number {
    const entry = this.entry(low, high, secure);
    const kind = entry & MAP_ENTRY.KIND_MASK;
    if (kind !== MAP_ENTRY.RAM && kind !== MAP_ENTRY.ROM) return 0;
    return ((entry & ~(FRAME_SIZE - 1)) | (low & (FRAME_SIZE - 1))) >>> 0;
  }

  /** Adds zeroed RAM. Address and size are multiples of 4096. Returns the host address of its first frame. */
  mapRam(address: number, bytes: number, options: MapOptions = {}): number {
    return this.#mapFrames({ address, bytes, kind: MAP_ENTRY.RAM, secure: options.secure ?? false });
  }

  /** Adds memory that only {@link TracedMemory.writeRom} writes. It starts visible. */
  mapRom(address: number, bytes: number, options: MapOptions = {}): RomBank {
    const secure = options.secure ?? false;
    const host = this.#mapFrames({ address, bytes, kind: MAP_ENTRY.ROM, secure });
    return { address, bytes, host, secure };
  }

  /** Switches the ROM's frames on (reads see them) or off (every access goes to the device). */
  setRomVisible(bank: RomBank, visible: boolean): void {
    for (let offset = 0; offset < bank.bytes; offset += FRAME_SIZE) {
      const entry = visible ? (bank.host + offset) | MAP_ENTRY.ROM : MAP_ENTRY.DEVICE;
      this.#setEntry(bank.address + offset, bank.secure ? entry | MAP_ENTRY.SECURE_ONLY : entry);
    }
    this.#changed();
  }

  /** Marks the pages of a device's range, except those of ROM. For the bus, which checks overlaps. */
  mapDevice(address: number, bytes: number, secure: boolean): void {
    const end = address + bytes;
    let page = address - (address % FRAME_SIZE);
    for (; page < end; page += FRAME_SIZE) {
      while (!secure && page % LEAF_BYTES === 0 && end - page >= LEAF_BYTES && this.#shareLeaf(page))
        page += LEAF_BYTES;
      if (page >= end) break;
      const present = this.entryAt(page, true);
      const kind = present & MAP_ENTRY.KIND_MASK;
      if (kind === MAP_ENTRY.ROM) continue;
      if (kind === MAP_ENTRY.RAM) throw new Bug(`a device would lie over RAM at 0x${page.toString(16)}`);
      const shared = kind === MAP_ENTRY.DEVICE && (present & MAP_ENTRY.SECURE_ONLY) === 0;
      this.#setEntry(page, secure && !shared ? MAP_ENTRY.DEVICE | MAP_ENTRY.SECURE_ONLY : MAP_ENTRY.DEVICE);
    }
    this.#changed();
  }

  /** Maps a gibibyte where there is nothing yet to device pages. False where there is something. */
  #shareLeaf(address: number): boolean {
    const root = this.#root + address / LEAF_BYTES;
    if (this.#words[root] !== 0) return false;
    if (this.#deviceLeaf === 0) {
      this.#deviceLeaf = this.memory.allocate(LEAF_PAGES * 4, FRAME_SIZE);
      this.#words.fill(MAP_ENTRY.DEVICE, this.#deviceLeaf >>> 2, (this.#deviceLeaf >>> 2) + LEAF_PAGES);
    }
    this.#words[root] = this.#deviceLeaf;
    return true;
  }

  /**
   * Shows all that another map of the same memory shows, from now on; what is mapped here besides must lie in
   * gibibytes of which that one has nothing. For views of the hypervisor's own.
   */
  include(other: PhysicalMap): void {
    for (let index = 0; index < ROOT_ENTRIES; index++) {
      const leaf = this.#words[other.#root + index]!;
      if (leaf !== 0) this.#words[this.#root + index] = leaf;
    }
  }

  /** Calls `listener` after every change, so that cached translations can be dropped. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #mapFrames(range: { address: number; bytes: number; kind: 1 | 2; secure: boolean }): number {
    const { address, bytes, kind, secure } = range;
    assert(address % FRAME_SIZE === 0 && bytes % FRAME_SIZE === 0, "RAM and ROM come in whole pages");
    assert(bytes > 0 && address + bytes <= MEMORY_ADDRESS_LIMIT, "RAM and ROM lie below 2^44");
    const host = this.memory.allocateFromEnd(bytes, FRAME_SIZE);
    const flag = kind === MAP_ENTRY.RAM ? FRAME_FLAGS.KIND_RAM : FRAME_FLAGS.KIND_ROM;
    for (let offset = 0; offset < bytes; offset += FRAME_SIZE) {
      const page = address + offset;
      const present = this.entryAt(page, true) & MAP_ENTRY.KIND_MASK;
      const free = present === MAP_ENTRY.ABSENT || (present === MAP_ENTRY.DEVICE && kind === MAP_ENTRY.ROM);
      if (!free) throw new Bug(`two things lie at guest-physical 0x${page.toString(16)}`);
      this.#setEntry(page, (host + offset) | kind | (secure ? MAP_ENTRY.SECURE_ONLY : 0));
      const frame = (host + offset) / FRAME_SIZE;
      this.frames.setFlags(frame, flag);
      this.frames.setPage(frame, page / FRAME_SIZE);
    }
    this.#changed();
    return host;
  }

  #setEntry(address: number, entry: number): void {
    assert(address < PHYSICAL_ADDRESS_LIMIT, "physical addresses have 48 bits");
    const page = address / FRAME_SIZE;
    const root = this.#root + Math.floor(page / LEAF_PAGES);
    assert(this.#words[root] === 0 || this.#words[root] !== this.#deviceLeaf, "a page inside a large device");
    if (this.#words[root] === 0) this.#words[root] = this.memory.allocate(LEAF_PAGES * 4, FRAME_SIZE);
    this.#words[(this.#words[root]! >>> 2) + (page % LEAF_PAGES)] = entry;
  }
}
