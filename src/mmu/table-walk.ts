import { FRAME_FLAGS } from "../memory/frame-table.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedStore } from "../memory/traced-store.ts";
import { FAULT_STATUS, NO_FAULT } from "./memory-fault.ts";
import type { TableGeometry } from "./table-geometry.ts";
import { doubleWord } from "./translation-registers.ts";

/** Bits of a descriptor's low word. */
export const DESCRIPTOR_LOW = {
  VALID: 1 << 0,
  /** A table above level 3, a page at level 3. */
  TABLE: 1 << 1,
  NON_SECURE: 1 << 5,
  /** Stage 1 AP[1]: unprivileged access. */
  UNPRIVILEGED: 1 << 6,
  /** Stage 1 AP[2]: no writes. */
  READ_ONLY: 1 << 7,
  /** Stage 2 S2AP. */
  STAGE2_READ: 1 << 6,
  STAGE2_WRITE: 1 << 7,
  ACCESS_FLAG: 1 << 10,
  NOT_GLOBAL: 1 << 11,
} as const;

/** Bits of a descriptor's high word. */
export const DESCRIPTOR_HIGH = {
  DIRTY_BIT_MODIFIER: 1 << (51 - 32),
  PRIVILEGED_EXECUTE_NEVER: 1 << (53 - 32),
  EXECUTE_NEVER: 1 << (54 - 32),
  PXN_TABLE: 1 << (59 - 32),
  XN_TABLE: 1 << (60 - 32),
  /** APTable[0] and [1]. */
  TABLE_NO_UNPRIVILEGED: 1 << (61 - 32),
  TABLE_READ_ONLY: 1 << (62 - 32),
  NS_TABLE: 1 << (63 - 32),
} as const;

/** Bits of a table descriptor's high word that hold for everything below it. */
export const DESCRIPTOR_HIERARCHY: number =
  DESCRIPTOR_HIGH.PXN_TABLE |
  DESCRIPTOR_HIGH.XN_TABLE |
  DESCRIPTOR_HIGH.TABLE_NO_UNPRIVILEGED |
  DESCRIPTOR_HIGH.TABLE_READ_ONLY |
  DESCRIPTOR_HIGH.NS_TABLE;

/** Stage 2 for the addresses of stage 1 tables. */
export interface TableTranslator {
  /** NO_FAULT, with the physical address in `outLow` and `outHigh`, or a status of stage 2. */
  translateTable(low: number, high: number): number;
  readonly outLow: number;
  readonly outHigh: number;
}

/**
 * One descent through translation tables, either stage. Results stay in fields, so that a walk allocates
 * nothing. Descriptors are halves already in the processor's byte order.
 */
export class TableWalk {
  descriptorLow = 0;
  descriptorHigh = 0;
  /** Where the last descriptor lies: host address, and address in the table's own space. */
  descriptorHost = 0;
  descriptorAddressLow = 0;
  descriptorAddressHigh = 0;
  level = 0;
  /** log2 of the bytes the leaf maps. */
  shift = 0;
  /** The bits of all table descriptors passed, see DESCRIPTOR_HIGH. */
  hierarchy = 0;
  /** The status returned came from stage 2. */
  nestedFault = false;
  readonly #map: PhysicalMap;
  readonly #store: TracedStore;
  readonly #words: Int32Array;

  constructor(map: PhysicalMap, store: TracedStore) {
    this.#map = map;
    this.#store = store;
    this.#words = map.memory.words;
  }

  /** The last answer stays right without TLB maintenance: changes of its tables become known by themselves. */
  get isCoherent(): boolean {
    return false;
  }

  /** Makes up for writes to tables not known yet; true where the last answer may have been of before them. */
  freshen(): boolean {
    return false;
  }

  /**
   * Finds the leaf for an input address that the caller has range-checked. `secure` is the state of the first
   * table. Returns NO_FAULT or a status with its level.
   */
  descend(
    geometry: TableGeometry,
    low: number,
    high: number,
    secure: boolean,
    nested: TableTranslator | undefined,
  ): number {
    const words = this.#words;
    const { stride, granule, outputCheckHigh } = geometry;
    const granuleMask = (1 << granule) - 1;
    let level = geometry.startLevel;
    let shift = geometry.startShift;
    let mask = geometry.startMask;
    let baseLow = geometry.baseLow;
    let baseHigh = geometry.baseHigh;
    let hierarchy = 0;
    this.nestedFault = false;
    for (;;) {
      const position = shift >= 32 ? high >>> (shift - 32) : (low >>> shift) | (high << (32 - shift));
      const tableLow = baseLow | ((position & mask) << 3);
      let host: number;
      if (nested === undefined) host = this.#map.hostAddress(tableLow, baseHigh, secure && hierarchy >= 0);
      else {
        const status = nested.translateTable(tableLow, baseHigh);
        if (status !== NO_FAULT) {
          this.nestedFault = true;
          this.descriptorAddressLow = tableLow;
          this.descriptorAddressHigh = baseHigh;
          return status;
        }
        host = this.#map.hostAddress(nested.outLow, nested.outHigh, false);
      }
      if (host === 0) return FAULT_STATUS.EXTERNAL_ABORT_ON_WALK + level;
      let wordLow = words[host >>> 2]!;
      let wordHigh = words[(host >>> 2) + 1]!;
      if (geometry.bigEndian) {
        const first = wordLow;
        wordLow = swapBytes(wordHigh);
        wordHigh = swapBytes(first);
      }
      if ((wordLow & DESCRIPTOR_LOW.VALID) === 0) return FAULT_STATUS.TRANSLATION + level;
      const isTable = (wordLow & DESCRIPTOR_LOW.TABLE) !== 0;
      if (level === 3 ? !isTable : !isTable && level < geometry.firstBlockLevel) {
        return FAULT_STATUS.TRANSLATION + level;
      }
      if ((wordHigh & outputCheckHigh) !== 0) return FAULT_STATUS.ADDRESS_SIZE + level;
      if (level === 3 || !isTable) {
        this.descriptorLow = wordLow;
        this.descriptorHigh = wordHigh;
        this.descriptorHost = host;
        this.descriptorAddressLow = tableLow;
        this.descriptorAddressHigh = baseHigh;
        this.level = level;
        this.shift = shift;
        this.hierarchy = hierarchy;
        return NO_FAULT;
      }
      hierarchy |= wordHigh & DESCRIPTOR_HIERARCHY;
      baseLow = wordLow & ~granuleMask;
      baseHigh = wordHigh & 0xffff;
      level++;
      shift -= stride;
      mask = (1 << stride) - 1;
    }
  }

  /**
   * Replaces the low word of the last leaf as one step. "changed" when the leaf is no longer what the walk
   * read: walk again. "unsupported" when it does not lie in RAM.
   */
  updateLeaf(geometry: TableGeometry, newLow: number): "done" | "changed" | "unsupported" {
    const host = this.descriptorHost;
    if ((this.#store.frames.flagsAt(host) & FRAME_FLAGS.KIND_RAM) === 0) return "unsupported";
    const { descriptorLow: low, descriptorHigh: high } = this;
    const exchanged = geometry.bigEndian
      ? this.#store.compareExchange(
          host,
          doubleWord(swapBytes(high), swapBytes(low)),
          doubleWord(swapBytes(high), swapBytes(newLow)),
        )
      : this.#store.compareExchange(host, doubleWord(low, high), doubleWord(newLow, high));
    return exchanged ? "done" : "changed";
  }
}

export function swapBytes(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
