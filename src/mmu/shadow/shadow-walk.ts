import { Bug } from "../../base/errors.ts";
import type { PhysicalMap } from "../../memory/physical-map.ts";
import type { TracedStore } from "../../memory/traced-store.ts";
import { FAULT_STATUS, NO_FAULT } from "../memory-fault.ts";
import type { TableGeometry } from "../table-geometry.ts";
import {
  DESCRIPTOR_HIERARCHY,
  DESCRIPTOR_LOW,
  swapBytes,
  type TableTranslator,
  TableWalk,
} from "../table-walk.ts";
import { DIRECT, HIGH, KIND, LOW, NEXT, SHADOW_ENTRY, STATE, STATUS_SHIFT } from "./shadow-entry.ts";
import type { ShadowTables } from "./shadow-tables.ts";

/** Position of the "no room or no memory for it" answer of {@link ShadowTables.fill}. */
const UNSHADOWED = -1;
const PAGE = DESCRIPTOR_LOW.VALID | DESCRIPTOR_LOW.TABLE;
/** No status that a walk returns. */
const UNSHADOWED_STATUS = -2;

/**
 * A descent that answers from shadow tables where the regime has them, faults included, and otherwise reads
 * the guest's tables as any walk does.
 */
export class ShadowWalk extends TableWalk {
  /** Descents answered without reading the guest's tables, whole descents, and faults among the former. */
  hits = 0;
  walks = 0;
  absentHits = 0;
  /** Compare every answer with a walk. */
  check = false;
  checked = 0;
  readonly #tables: ShadowTables;
  readonly #words: Int32Array;
  /** The last answer came from shadow tables. */
  #shadowed = false;
  /** ... but its page's descriptor from the guest's own table. */
  #direct = false;

  constructor(map: PhysicalMap, store: TracedStore, tables: ShadowTables) {
    super(map, store);
    this.#tables = tables;
    this.#words = map.memory.words;
  }

  override get isCoherent(): boolean {
    return this.#shadowed && !this.#direct;
  }

  override freshen(): boolean {
    return this.#shadowed && this.#tables.drain();
  }

  override descend(
    geometry: TableGeometry,
    low: number,
    high: number,
    secure: boolean,
    nested: TableTranslator | undefined,
  ): number {
    if (geometry.shadowRole !== 0 && nested === undefined) {
      const status = this.#shadowDescend(geometry, low, high);
      if (status !== undefined) {
        return this.check ? this.#compare(status, geometry, low, high) : status;
      }
    }
    this.#shadowed = false;
    this.walks++;
    return super.descend(geometry, low, high, secure, nested);
  }

  /** As {@link descend}; undefined where the shadow has no answer. */
  #shadowDescend(geometry: TableGeometry, low: number, high: number): number | undefined {
    const words = this.#words;
    let restarts = 0;
    this.#direct = false;
    restart: for (;;) {
      let table = geometry.shadowRoot || this.#tables.rootOf(geometry);
      if (table === 0) return undefined;
      let mask = geometry.startMask;
      let shift = geometry.startShift;
      let level = geometry.startLevel;
      let hierarchy = 0;
      let filled = false;
      for (;;) {
        const position = shift >= 32 ? high >>> (shift - 32) : (low >>> shift) | (high << (32 - shift));
        const index = position & mask;
        const at = (table + index * SHADOW_ENTRY.SIZE) >>> 2;
        let state = words[at + STATE]!;
        if (state === KIND.UNKNOWN) {
          // What the buffers hold may be about this entry, or take the table itself away.
          if (this.#tables.drain() && restarts++ < 2) continue restart;
          state = this.#tables.fill(table, index);
          if (state === UNSHADOWED) return undefined;
          filled = true;
        }
        const kind = state & KIND.MASK;
        if (kind === KIND.TABLE) {
          hierarchy |= words[at + HIGH]! & DESCRIPTOR_HIERARCHY;
          table = words[at + NEXT]!;
          if ((table & DIRECT) !== 0) {
            const host = ((table & ~DIRECT) >>> 0) + ((low >>> 12) & 511) * 8;
            const status = this.#readLeaf(geometry, host, hierarchy);
            if (status !== NO_FAULT && this.#tables.drain() && restarts++ < 2) continue restart;
            if (filled) this.walks++;
            else if (status === NO_FAULT) this.hits++;
            else this.absentHits++;
            return status;
          }
          level++;
          shift -= 9;
          mask = 511;
          continue;
        }
        if (kind === KIND.ABSENT) {
          // Row M5's delivery rule: a marker counts only while the buffers are empty.
          if (this.#tables.drain() && restarts++ < 2) continue restart;
          this.#shadowed = true;
          this.nestedFault = false;
          if (filled) this.walks++;
          else this.absentHits++;
          return state >>> STATUS_SHIFT;
        }
        this.#shadowed = true;
        this.nestedFault = false;
        if (filled) this.walks++;
        else this.hits++;
        this.descriptorLow = words[at + LOW]!;
        this.descriptorHigh = words[at + HIGH]!;
        this.level = level;
        this.shift = shift;
        this.hierarchy = hierarchy;
        this.descriptorHost = this.#tables.hostOf(table, index);
        return NO_FAULT;
      }
    }
  }

  /** Reads a page's descriptor in the guest's own table of the last level. */
  #readLeaf(geometry: TableGeometry, host: number, hierarchy: number): number {
    let low = this.#words[host >>> 2]!;
    let high = this.#words[(host >>> 2) + 1]!;
    if (geometry.bigEndian) [low, high] = [swapBytes(high), swapBytes(low)];
    this.#shadowed = true;
    this.#direct = true;
    this.nestedFault = false;
    if ((low & PAGE) !== PAGE) return FAULT_STATUS.TRANSLATION + 3;
    if ((high & geometry.outputCheckHigh) !== 0) return FAULT_STATUS.ADDRESS_SIZE + 3;
    this.descriptorLow = low;
    this.descriptorHigh = high;
    this.level = 3;
    this.shift = 12;
    this.hierarchy = hierarchy;
    this.descriptorHost = host;
    return NO_FAULT;
  }

  /**
   * Row M5's check mode, with spec 2.5's rule for stale translations: an answer may differ from the guest's
   * tables only while a record says why, and must not any more when that was applied. Returns the status to use.
   */
  #compare(status: number, geometry: TableGeometry, low: number, high: number): number {
    this.checked++;
    let answer = status;
    let seen = this.#describe(answer);
    const walked = this.#describe(super.descend(geometry, low, high, false, undefined));
    if (walked === seen) return answer;
    if (this.#tables.drain()) {
      answer = this.#shadowDescend(geometry, low, high) ?? UNSHADOWED_STATUS;
      seen = this.#describe(answer);
      if (walked === seen) return answer;
    }
    const address = `0x${(high >>> 0).toString(16)}_${(low >>> 0).toString(16).padStart(8, "0")}`;
    throw new Bug(`shadow tables say ${seen} for ${address}, the guest's tables ${walked}`);
  }

  #describe(status: number): string {
    if (status !== NO_FAULT) return `fault ${status}`;
    const { descriptorLow, descriptorHigh, level, shift, hierarchy, descriptorHost } = this;
    return [descriptorLow, descriptorHigh, level, shift, hierarchy, descriptorHost].join();
  }
}
