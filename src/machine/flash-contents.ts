import { alignUp } from "../base/bits.ts";
import type { FlashStorage } from "../devices/flash.ts";
import type { PhysicalMap, RomBank } from "../memory/physical-map.ts";
import type { TracedMemory } from "../memory/traced-memory.ts";

const SECTOR = 256 * 1024;
const ERASED = 0xff;

/**
 * What a flash bank holds. The sectors with firmware are ROM that the guest can execute; all others read as
 * erased, and take memory only once they are written.
 */
export class FlashContents implements FlashStorage {
  readonly #map: PhysicalMap;
  readonly #guest: TracedMemory;
  readonly #rom: RomBank | undefined;
  readonly #sectors = new Map<number, Uint8Array>();

  constructor(parts: {
    map: PhysicalMap;
    guest: TracedMemory;
    address: number;
    secure: boolean;
    contents: Uint8Array | undefined;
  }) {
    const { map, guest, address, secure, contents } = parts;
    this.#map = map;
    this.#guest = guest;
    if (contents === undefined || contents.length === 0) return;
    const size = alignUp(contents.length, SECTOR);
    this.#rom = map.mapRom(address, size, { secure });
    guest.writeRom(this.#rom, 0, contents);
    guest.writeRom(this.#rom, contents.length, new Uint8Array(size - contents.length).fill(ERASED));
  }

  /** Bytes of linear memory that a bank with these contents takes. */
  static romBytes(contents: Uint8Array | undefined): number {
    return alignUp(contents?.length ?? 0, SECTOR);
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
      if (bytes === undefined) piece.fill(ERASED);
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

  write(offset: number, source: Uint8Array): void {
    this.#pieces(offset, source, (sector, at, piece) => {
      if (this.#rom !== undefined && sector * SECTOR < this.#rom.bytes) {
        this.#guest.writeRom(this.#rom, sector * SECTOR + at, piece);
        return;
      }
      let bytes = this.#sectors.get(sector);
      if (bytes === undefined) {
        bytes = new Uint8Array(SECTOR).fill(ERASED);
        this.#sectors.set(sector, bytes);
      }
      bytes.set(piece, at);
    });
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
