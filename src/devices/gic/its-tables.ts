import type { GuestMemory } from "../../memory/guest-memory.ts";
import { LPI_ID_BITS } from "./lpi-state.ts";

/**
 * The tables of the translation service, which lie in memory that the guest gives it and may overwrite: every
 * entry is checked when it is read. Their layout is ours to choose (IHI 0069, 5.2).
 */

/** Bits of DeviceID, EventID and collection ID. */
export const DEVICE_BITS = 16;
export const EVENT_BITS = 16;
export const COLLECTION_BITS = 16;

/** Bytes of an entry of the device and collection tables, and of an interrupt translation table, as on QEMU. */
export const TABLE_ENTRY = 8;
export const TRANSLATION_ENTRY = 12;

/** GITS_BASER<n>: Valid, Indirect, and the fields of the low half. Registers are kept in halves, low first. */
const VALID = 1 << 31;
const INDIRECT = 1 << 30;
const PAGE_SIZES = [0x1000, 0x4000, 0x1_0000, 0x1_0000] as const;

const HIGH = 2 ** 32;

/** A device and where its interrupt translation table is. */
interface DeviceEntry {
  /** EventIDs below this have entries. */
  readonly events: number;
  readonly table: number;
}

/** What an event means: an LPI and the collection it belongs to. */
export interface Translation {
  readonly intid: number;
  readonly collection: number;
}

/** One of the tables that a GITS_BASER register places. */
class PlacedTable {
  readonly #memory: GuestMemory;
  readonly #base: Uint32Array;

  /** `base` holds the register, in halves. */
  constructor(memory: GuestMemory, base: Uint32Array) {
    this.#memory = memory;
    this.#base = base;
  }

  /** Address of entry `index`, or undefined where the table has none. */
  entry(index: number): number | undefined {
    const [low, high] = [this.#base[0]!, this.#base[1]!];
    if ((high & VALID) === 0) return undefined;
    const page = PAGE_SIZES[((low >>> 8) & 3) as 0 | 1 | 2 | 3];
    const bytes = ((low & 0xff) + 1) * page;
    const base = this.#address(page);
    if ((high & INDIRECT) === 0) {
      return (index + 1) * TABLE_ENTRY <= bytes ? base + index * TABLE_ENTRY : undefined;
    }
    const inPage = page / TABLE_ENTRY;
    const first = Math.floor(index / inPage);
    if ((first + 1) * 8 > bytes) return undefined;
    const pointer = this.#memory.read64(base + first * 8);
    if (pointer === undefined || pointer >> 63n === 0n) return undefined;
    const second = Number(pointer & 0x000f_ffff_ffff_f000n);
    return second - (second % page) + (index % inPage) * TABLE_ENTRY;
  }

  /** With 64 KiB pages bits 15:12 of the field are bits 51:48 of the address. */
  #address(page: number): number {
    const [low, high] = [this.#base[0]!, this.#base[1]! & 0xffff];
    const field = high * HIGH + ((low & 0xffff_f000) >>> 0);
    if (page !== 0x1_0000) return field - (field % page);
    return ((low >>> 12) & 15) * 2 ** 48 + field - (field % page);
  }
}

/** Device, collection and interrupt translation tables. Where a method says false, there is no memory. */
export class ItsTables {
  readonly #memory: GuestMemory;
  readonly #devices: PlacedTable;
  readonly #collections: PlacedTable;

  /** The bases are GITS_BASER0 and GITS_BASER1, in halves. */
  constructor(memory: GuestMemory, deviceBase: Uint32Array, collectionBase: Uint32Array) {
    this.#memory = memory;
    this.#devices = new PlacedTable(memory, deviceBase);
    this.#collections = new PlacedTable(memory, collectionBase);
  }

  /** `table` is a multiple of 256. `size` is the number of EventID bits less one; undefined unmaps. */
  mapDevice(device: number, table: number, size: number | undefined): boolean {
    const place = this.#place(this.#devices, device, DEVICE_BITS);
    if (place === undefined) return false;
    const entry = size === undefined ? 0n : (1n << 63n) | BigInt(table) | BigInt(size);
    return this.#memory.write64(place, entry);
  }

  #device(device: number): DeviceEntry | undefined {
    const place = this.#place(this.#devices, device, DEVICE_BITS);
    const entry = place === undefined ? undefined : this.#memory.read64(place);
    if (entry === undefined || entry >> 63n === 0n) return undefined;
    const bits = Number(entry & 0x1fn) + 1;
    return bits > EVENT_BITS
      ? undefined
      : { events: 2 ** bits, table: Number(entry & 0x000f_ffff_ffff_ff00n) };
  }

  /** `element` is the number of a processing element; undefined unmaps. */
  mapCollection(collection: number, element: number | undefined): boolean {
    const place = this.#place(this.#collections, collection, COLLECTION_BITS);
    if (place === undefined) return false;
    return this.#memory.write64(place, element === undefined ? 0n : (1n << 63n) | BigInt(element));
  }

  /** The processing element that a collection's interrupts go to. */
  collection(collection: number): number | undefined {
    const place = this.#place(this.#collections, collection, COLLECTION_BITS);
    const entry = place === undefined ? undefined : this.#memory.read64(place);
    return entry === undefined || entry >> 63n === 0n ? undefined : Number(entry & 0xffffn);
  }

  /** Undefined for `translation` takes the entry away. */
  mapEvent(device: number, event: number, translation: Translation | undefined): boolean {
    const place = this.#eventPlace(device, event);
    if (place === undefined) return false;
    const entry =
      translation === undefined
        ? 0n
        : (1n << 63n) | (BigInt(translation.collection) << 32n) | BigInt(translation.intid);
    return this.#memory.write64(place, entry);
  }

  event(device: number, event: number): Translation | undefined {
    const place = this.#eventPlace(device, event);
    const entry = place === undefined ? undefined : this.#memory.read64(place);
    if (entry === undefined || entry >> 63n === 0n) return undefined;
    const intid = Number(entry & 0xffff_ffffn);
    return intid >= 2 ** LPI_ID_BITS ? undefined : { intid, collection: Number((entry >> 32n) & 0xffffn) };
  }

  #eventPlace(device: number, event: number): number | undefined {
    const entry = this.#device(device);
    return entry === undefined || event >= entry.events ? undefined : entry.table + event * TRANSLATION_ENTRY;
  }

  #place(table: PlacedTable, index: number, bits: number): number | undefined {
    return index < 2 ** bits ? table.entry(index) : undefined;
  }
}
