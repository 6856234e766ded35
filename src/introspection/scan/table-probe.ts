import type { GuestReader, ReadingSpace } from "../../mmu/guest-reader.ts";
import { Stage1Configuration } from "../../mmu/regime.ts";
import type { TableGeometry } from "../../mmu/table-geometry.ts";
import { DESCRIPTOR_HIERARCHY, DESCRIPTOR_LOW } from "../../mmu/table-walk.ts";

/** The table entry that decides about an address. */
export interface TableEntry {
  /** "absent": the table's own page is not memory; then there is no descriptor. */
  readonly kind: "leaf" | "hole" | "absent";
  readonly level: number;
  /** log2 of the bytes that the entry maps. */
  readonly shift: number;
  readonly descriptor: bigint;
  /** Bits of the descriptors above, see DESCRIPTOR_HIERARCHY. */
  readonly above: number;
  /** Guest-physical address of the entry. */
  readonly address: number;
  /** Entry of the table, and how many the table has. */
  readonly index: number;
  readonly entries: number;
}

const OUTPUT = 0xffff_ffff_f000n;

/** Reads the descriptors of stage 1 that belong to an address, through the reader: nothing is checked or changed. */
export class TableProbe {
  readonly #reader: GuestReader;
  readonly #space: ReadingSpace;
  /** Intermediate physical addresses, where there is a stage 2. */
  readonly #intermediate: ReadingSpace | undefined;

  constructor(reader: GuestReader, space: ReadingSpace) {
    this.#reader = reader;
    this.#space = space;
    if (space.stage2 === undefined) return;
    const off = { sctlr: 0n, tcr: 0n, ttbr0: 0n, ttbr1: 0n, mair: 0n, hcr: 0n };
    const stage1 = new Stage1Configuration({
      ...{ regime: "EL1&0", ...off, secureFetchOnly: false, physicalAddressBits: 48 },
    });
    this.#intermediate = { stage1, stage2: space.stage2, request: space.request };
  }

  geometry(address: bigint): TableGeometry {
    const { lower, upper } = this.#space.stage1;
    return (address >> 55n) & 1n ? upper : lower;
  }

  /** The descent for an address of a half that is in use. */
  entryOf(address: bigint): TableEntry {
    const geometry = this.geometry(address);
    const { stride, granule, firstBlockLevel } = geometry;
    let base = geometry.baseHigh * 2 ** 32 + (geometry.baseLow >>> 0);
    let shift = geometry.startShift;
    let entries = geometry.startMask + 1;
    let above = 0;
    for (let level = geometry.startLevel; ; level++) {
      const index = Number((address >> BigInt(shift)) & BigInt(entries - 1));
      const place = this.#physical(base + index * 8);
      const descriptor = place === undefined ? undefined : this.#descriptor(place, geometry.bigEndian);
      const entry = { level, shift, above, index, entries, address: place ?? 0 };
      if (descriptor === undefined) return { kind: "absent", descriptor: 0n, ...entry };
      const low = Number(descriptor & 3n);
      const isTable = low === 3 && level < 3;
      const isLeaf = level === 3 ? low === 3 : low === 1 && level >= firstBlockLevel;
      if (!isTable) return { kind: isLeaf ? "leaf" : "hole", descriptor, ...entry };
      above |= Number(BigInt.asIntN(32, descriptor >> 32n)) & DESCRIPTOR_HIERARCHY;
      base = Number(descriptor & OUTPUT) - (Number(descriptor & OUTPUT) % 2 ** granule);
      shift -= stride;
      entries = 2 ** stride;
    }
  }

  #descriptor(place: number, bigEndian: boolean): bigint | undefined {
    const bytes = this.#reader.readPhysical(place, 8);
    if (bytes.length < 8) return undefined;
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, !bigEndian);
  }

  #physical(address: number): number | undefined {
    if (this.#intermediate === undefined) return address;
    return this.#reader.translate(this.#intermediate, BigInt(address))?.address;
  }
}

/** A descriptor says that its memory may be accessed without a fault that marks it as used. */
export function isAccessed(descriptor: bigint): boolean {
  return (descriptor & BigInt(DESCRIPTOR_LOW.ACCESS_FLAG)) !== 0n;
}
