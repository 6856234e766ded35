import { Bug } from "../base/errors.ts";
import type { AccessWidth } from "../memory/mmio-device.ts";
import { type AccessLog, unknownAccess } from "./access-log.ts";

/**
 * One register, or an array of equal ones, of a device: a row of its register map. Tables of rows are what the
 * reference generator reads and what {@link RegisterFile} executes.
 */
export interface Register<Device> {
  /** As in the device's manual; arrays carry "<n>" where the index stands. */
  readonly name: string;
  /** Byte offset of the first element. */
  readonly offset: number;
  /** Elements, one after the other; 1 when absent. */
  readonly count?: number;
  /** Bytes of one element; 4 when absent. Wider accesses reach several elements, lowest first. */
  readonly unit?: AccessWidth;
  /** Absent: write-only, reads as zero. `index` counts elements. */
  readonly read?: (device: Device, index: number, secure: boolean) => number;
  /** Absent: read-only, writes are ignored. `value` is unsigned and at most `unit` bytes wide. */
  readonly write?: (device: Device, value: number, index: number, secure: boolean) => void;
}

const NONE = 0xffff;

/**
 * Dispatches accesses through a register table. Rows whose unit is 4 bytes also answer narrower accesses: a
 * read gives the addressed bytes, a write to the lowest byte lane writes the whole register zero-extended (as
 * drivers of byte-sized registers expect), a write to another lane is ignored and reported. An access that
 * spans several rows is split in halves.
 */
export class RegisterFile<Device> {
  readonly #name: string;
  readonly #rows: readonly Register<Device>[];
  /** Row of every byte. */
  readonly #rowOfByte: Uint16Array;
  readonly #log: AccessLog;

  constructor(name: string, rows: readonly Register<Device>[], size: number, log: AccessLog) {
    this.#name = name;
    this.#rows = rows;
    this.#log = log;
    this.#rowOfByte = new Uint16Array(size).fill(NONE);
    rows.forEach((row, index) => {
      const end = row.offset + (row.count ?? 1) * (row.unit ?? 4);
      for (let byte = row.offset; byte < end; byte++) {
        if (this.#rowOfByte[byte] !== NONE) throw new Bug(`${name}: ${row.name} overlaps another register`);
        this.#rowOfByte[byte] = index;
      }
    });
  }

  read(device: Device, offset: number, width: AccessWidth, secure: boolean): number {
    const row = this.#rows[this.#rowOfByte[offset] ?? NONE];
    if (this.#spansRows(offset, width)) {
      const half = width === 4 ? 2 : 1;
      const low = this.read(device, offset, half, secure);
      return (low | (this.read(device, offset + half, half, secure) << (8 * half))) >>> 0;
    }
    if (row === undefined) {
      this.#log.report(this.#name, unknownAccess("read", offset, width));
      return 0;
    }
    if (row.read === undefined) return 0;
    const unit = row.unit ?? 4;
    const relative = offset - row.offset;
    const first = Math.floor(relative / unit);
    if (width <= unit) {
      const value = row.read(device, first, secure) >>> ((relative % unit) * 8);
      return width === 4 ? value >>> 0 : value & ((1 << (width * 8)) - 1);
    }
    const elements = Math.min(width / unit, (row.count ?? 1) - first);
    let value = 0;
    for (let i = 0; i < elements; i++) value |= row.read(device, first + i, secure) << (i * unit * 8);
    return value >>> 0;
  }

  write(device: Device, offset: number, width: AccessWidth, value: number, secure: boolean): void {
    const row = this.#rows[this.#rowOfByte[offset] ?? NONE];
    if (this.#spansRows(offset, width)) {
      const half = width === 4 ? 2 : 1;
      this.write(device, offset, half, value & (2 ** (8 * half) - 1), secure);
      this.write(device, offset + half, half, value >>> (8 * half), secure);
      return;
    }
    if (row === undefined) {
      this.#log.report(this.#name, unknownAccess("write", offset, width));
      return;
    }
    if (row.write === undefined) return;
    const unit = row.unit ?? 4;
    const relative = offset - row.offset;
    const first = Math.floor(relative / unit);
    if (width <= unit) {
      if (relative % unit !== 0)
        this.#log.report(this.#name, `${width}-byte write inside ${row.name} ignored`);
      else row.write(device, value >>> 0, first, secure);
      return;
    }
    const elements = Math.min(width / unit, (row.count ?? 1) - first);
    const mask = unit === 1 ? 0xff : 0xffff;
    for (let i = 0; i < elements; i++)
      row.write(device, (value >>> (i * unit * 8)) & mask, first + i, secure);
  }

  /** True when the bytes of an access belong to two different rows. */
  #spansRows(offset: number, width: AccessWidth): boolean {
    return width > 1 && this.#rowOfByte[offset] !== this.#rowOfByte[offset + width - 1];
  }
}

/** The read-only identification registers of an Arm PrimeCell: PIDR0-3 and CIDR0-3, one byte per word. */
export function identificationRows<Device>(offset: number, bytes: readonly number[]): Register<Device>[] {
  return bytes.map((byte, index) => ({
    name: index < bytes.length - 4 ? `PeriphID${index}` : `PCellID${index - (bytes.length - 4)}`,
    offset: offset + 4 * index,
    read: () => byte,
  }));
}
