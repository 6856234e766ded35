import { alignUp } from "../base/bits.ts";
import type { FlashStorage } from "../devices/flash.ts";
import type { PhysicalMap, RomBank } from "../memory/physical-map.ts";
import type { TracedMemory } from "../memory/traced-memory.ts";

const SECTOR = 256 * 1024;
const ERASED = 0xff;

/** Called for every write, with offset and bytes; false when the host could not keep them. */
export type FlashWritten = (offset: number, bytes: Uint8Array) => boolean;

/**
 * What a flash bank holds. The sectors with firmware are ROM that the guest can execute; all others read as
 * what the contents are filled up with, or as erased, and take memory only once they are written.
 */
export class FlashContents implements FlashStorage {
  readonly #map: PhysicalMap;
  readonly #guest: TracedMemory;
  readonly #rom: RomBank | undefined;
  readonly #sectors = new Map<number, Uint8Array>();
  readonly #written: FlashWritten;
  /** Images of flash devices are often as large as these, and all but their first sectors one byte repeated. */
  readonly #filled: { readonly end: number; readonly byte: number };

  constructor(parts: {
    map: PhysicalMap;
    guest: TracedMemory;
    address: number;
    secure: boolean;
    contents: Uint8Array | undefined;
    written?: FlashWritten | undefined;
  }) {
    const { map, guest, address, secure, contents } = parts;
    this.#map = map;
    this.#guest = guest;
    this.#written = parts.written ?? (() => true);
    this.#filled = { end: contents?.length ?? 0, byte: contents?.at(-1) ?? ERASED };
    const size = FlashContents.romBytes(contents);
    if (contents === undefined || size === 0) return;
    this.#rom = map.mapRom(address, size, { secure });
    guest.writeRom(this.#rom, 0, contents.subarray(0, size));
    const rest = new Uint8Array(Math.max(0, size - contents.length));
    guest.writeRom(this.#rom, contents.length, rest.fill(ERASED));
  }

  /** Bytes of linear memory that a bank with these contents takes. */
  static romBytes(contents: Uint8Array | undefined): number {
    if (contents === undefined) return 0;
    const filler = contents.at(-1);
    let length = contents.length;
    while (length > 0 && contents[length - 1] === filler) length--;
    // The last sector in which there is anything else, and the one with the end of the contents if that is odd.
    return contents.length % SECTOR === 0 ? alignUp(length, SECTOR) : alignUp(contents.length, SECTOR);
  }

  /** Whether the ROM part is read directly, or every access reaches the device. */
  setVisible(visible: boolean): void {
    if (this.#rom !== undefined) this.#map.setRomVisible(this.#rom, visible);
  }

  readInto(offset: number, target: Uint8Array): void {
    this.#pieces(offset, target, (sector, at, piece) => {
      if (this.#rom !== undefined && sector * SECTOR < this.#rom.bytes) {
        this.#guest.readRom(this.#rom, sector * SECTOR + at, piece);
        return;
      }
      const bytes = this.#sectors.get(sector);
      if (bytes === undefined) piece.fill(this.#unwritten(sector));
      else piece.set(bytes.subarray(at, at + piece.length));
    });
  }

  /** Everything that may not read as erased: calls `visit` with offsets, ascending, and copies of the bytes. */
  forEachSector(visit: (offset: number, bytes: Uint8Array) => void): void {
    const romSectors = (this.#rom?.bytes ?? 0) / SECTOR;
    const written = [...this.#sectors.keys()].sort((a, b) => a - b);
    for (const sector of [...Array(romSectors).keys(), ...written]) {
      const bytes = new Uint8Array(SECTOR);
      this.readInto(sector * SECTOR, bytes);
      visit(sector * SECTOR, bytes);
    }
  }

  write(offset: number, source: Uint8Array): boolean {
    this.#pieces(offset, source, (sector, at, piece) => {
      if (this.#rom !== undefined && sector * SECTOR < this.#rom.bytes) {
        this.#guest.writeRom(this.#rom, sector * SECTOR + at, piece);
        return;
      }
      let bytes = this.#sectors.get(sector);
      if (bytes === undefined) {
        bytes = new Uint8Array(SECTOR).fill(this.#unwritten(sector));
        this.#sectors.set(sector, bytes);
      }
      bytes.set(piece, at);
    });
    return this.#written(offset, source);
  }

  /** What a sector outside of the ROM holds before it is written. */
  #unwritten(sector: number): number {
    return sector * SECTOR < this.#filled.end ? this.#filled.byte : ERASED;
  }

  #pieces(
    offset: number,
    bytes: Uint8Array,
    each: (sector: number, at: number, piece: Uint8Array) => void,
  ): void {
    for (let done = 0; done < bytes.length; ) {
      const at = (offset + done) % SECTOR;
      const length = Math.min(bytes.length - done, SECTOR - at);
      each(Math.floor((offset + done) / SECTOR), at, bytes.subarray(done, done + length));
      done += length;
    }
  }
}
