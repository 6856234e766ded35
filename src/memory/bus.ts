import { Bug } from "../base/errors.ts";
import type { MachineMemory } from "./machine-memory.ts";
import type { AccessWidth, MmioDevice } from "./mmio-device.ts";
import type { PhysicalMap } from "./physical-map.ts";

interface Region {
  readonly start: number;
  readonly end: number;
  readonly secure: boolean;
  readonly device: MmioDevice;
}

/**
 * Accesses to devices. The physical map says which pages have devices; here the range is found inside. A
 * guest's access is split into aligned pieces of 1, 2 and 4 bytes, in address order. Where no device answers
 * the access ends in an external abort, which is the caller's to report.
 */
export class Bus {
  readonly #map: PhysicalMap;
  readonly #memory: MachineMemory;
  /** By start address. */
  readonly #regions: Region[] = [];
  #last: Region | undefined;

  constructor(map: PhysicalMap) {
    this.#map = map;
    this.#memory = map.memory;
  }

  /** Places a device; a range that something else has is the board's defect. */
  attach(address: number, device: MmioDevice, options: { secure?: boolean } = {}): void {
    const secure = options.secure ?? false;
    const region = { start: address, end: address + device.size, secure, device };
    const other = this.#regions.find((each) => each.start < region.end && region.start < each.end);
    if (other !== undefined) throw new Bug(`${device.name} and ${other.device.name} overlap on the bus`);
    this.#map.mapDevice(address, device.size, secure);
    this.#regions.push(region);
    this.#regions.sort((a, b) => a.start - b.start);
    this.#last = undefined;
  }

  /** The devices with their addresses, ascending. */
  list(): readonly { address: number; device: MmioDevice; secure: boolean }[] {
    return this.#regions.map(({ start, device, secure }) => ({ address: start, device, secure }));
  }

  /** Reads `length` bytes to host address `target`, little-endian. False for an external abort. */
  readTo(address: number, length: number, secure: boolean, target: number): boolean {
    let done = 0;
    while (done < length) {
      const at = address + done;
      const width = pieceWidth(at, length - done);
      const region = this.#find(at, width, secure);
      if (region === undefined) return false;
      const value = region.device.read(at - region.start, width, secure);
      const { view } = this.#memory;
      if (width === 4) view.setUint32(target + done, value, true);
      else if (width === 2) view.setUint16(target + done, value, true);
      else view.setUint8(target + done, value);
      done += width;
    }
    return true;
  }

  /** Writes `length` bytes from host address `source`. False for an external abort; pieces before it are done. */
  writeFrom(address: number, length: number, secure: boolean, source: number): boolean {
    let done = 0;
    while (done < length) {
      const at = address + done;
      const width = pieceWidth(at, length - done);
      const region = this.#find(at, width, secure);
      if (region === undefined) return false;
      const { view } = this.#memory;
      let value: number;
      if (width === 4) value = view.getUint32(source + done, true);
      else if (width === 2) value = view.getUint16(source + done, true);
      else value = view.getUint8(source + done);
      region.device.write(at - region.start, width, value, secure);
      done += width;
    }
    return true;
  }

  #find(address: number, width: number, secure: boolean): Region | undefined {
    const region = this.#last;
    if (region !== undefined && address >= region.start && address + width <= region.end) {
      return region.secure && !secure ? undefined : region;
    }
    return this.#search(address, width, secure);
  }

  #search(address: number, width: number, secure: boolean): Region | undefined {
    let from = 0;
    let to = this.#regions.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const region = this.#regions[middle]!;
      if (address < region.start) to = middle;
      else if (address >= region.end) from = middle + 1;
      else {
        if (address + width > region.end || (region.secure && !secure)) return undefined;
        this.#last = region;
        return region;
      }
    }
    return undefined;
  }
}

/** The widest aligned piece that starts at `address`. */
function pieceWidth(address: number, remaining: number): AccessWidth {
  const alignment = address % 4;
  if (alignment === 0 && remaining >= 4) return 4;
  return alignment % 2 === 0 && remaining >= 2 ? 2 : 1;
}
