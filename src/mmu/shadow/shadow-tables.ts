import type { GuestWriteBuffers, TableWrite } from "../../memory/guest-write-buffer.ts";
import { FRAME_SHIFT, FRAME_SIZE } from "../../memory/machine-memory.ts";
import type { PhysicalMap } from "../../memory/physical-map.ts";
import type { TracedStore } from "../../memory/traced-store.ts";
import type { TableGeometry } from "../table-geometry.ts";
import { DESCRIPTOR_LOW, swapBytes } from "../table-walk.ts";
import { ShadowArena } from "./shadow-arena.ts";
import { DIRECT, HIGH, KIND, LOW, NEXT, SHADOW_ENTRIES, SHADOW_ENTRY, STATE } from "./shadow-entry.ts";
import { classify, type ShadowRole, ShadowRoles } from "./shadow-roles.ts";

/** Those who keep translations that were made from shadow tables: the soft TLBs. Halves of addresses as i32. */
export interface TranslationKeepers {
  /** Drops the page's translations in the regime of the role. */
  dropPage(role: ShadowRole, low: number, high: number): void;
  /** Drops every translation of the regime in the role's half. */
  dropHalf(role: ShadowRole): void;
  /** Drops what was translated through the root at guest-physical page `page`. */
  dropRoot(role: ShadowRole, page: number): void;
  dropEverything(): void;
  /** A root is in some element's registers. */
  isActive(root: number): boolean;
  /** The root's shadow, or with 0 every one, is gone: whoever has its address must look it up again. */
  forgetRoot(root: number): void;
}

/** One change of a guest's mappings, for {@link ShadowTables.onDrain}. */
export interface MappingChange {
  readonly role: ShadowRole;
  readonly level: number;
  /** First addresses that the entry maps: several where a table is linked several times. */
  readonly addresses: readonly bigint[];
  readonly old: bigint;
  readonly new: bigint;
}

const UNSHADOWED = -1;
const NO_TRANSLATIONS: TranslationKeepers = {
  dropPage() {},
  dropHalf() {},
  dropRoot() {},
  dropEverything() {},
  isActive: () => false,
  forgetRoot() {},
};

/**
 * The shadow tables of a machine, kept coherent with the guest's tables by the records of the guest write
 * buffers (rows M1, M2, M4). Entries are filled when they are first needed; as their table is traced from
 * before its first entry is read, whatever is in them is exactly what the guest's table held when the buffers
 * were last empty.
 */
export class ShadowTables {
  readonly roles = new ShadowRoles();
  readonly buffers: GuestWriteBuffers;
  keepers: TranslationKeepers = NO_TRANSLATIONS;
  /** Told of every change of a known mapping, at drains. */
  onDrain: ((change: MappingChange) => void) | undefined;
  readonly statistics = {
    /** Guest entries read. */
    fills: 0,
    drains: 0,
    /** Records whose table nobody links any more. */
    lateRecords: 0,
    /** Records that contradicted what was known: defects of ours. */
    lostUpdates: 0,
    /** Times that all was forgotten. */
    purges: 0,
    rootsDropped: 0,
    links: 0,
    /** Known entries that map pages or blocks; how many ever went, or came to map something else or with less rights. */
    leaves: 0,
    leavesLost: 0,
    /** TLBI of ASIDs and regimes, and the sums of the leaves known before each and of those that were lost by it. */
    wideInvalidations: 0,
    wideLeaves: 0,
    wideLeavesLost: 0,
  };
  readonly #map: PhysicalMap;
  readonly #store: TracedStore;
  readonly #words: Int32Array;
  readonly #arena: ShadowArena;
  /** Roots with the time of their last use. */
  readonly #roots = new Map<number, number>();
  #time = 0;
  #draining = false;
  readonly #leaves: boolean;

  constructor(options: {
    map: PhysicalMap;
    store: TracedStore;
    buffers: GuestWriteBuffers;
    /** Most tables at a time. */
    tables: number;
    /** Tables of the last level are traced and shadowed too, so that TLBI has nothing to do. */
    leaves: boolean;
  }) {
    const { map, store, buffers } = options;
    this.#map = map;
    this.#store = store;
    this.buffers = buffers;
    this.#words = map.memory.words;
    this.#leaves = options.leaves;
    this.#arena = new ShadowArena(map.memory, options.tables);
    store.hooks.onTableWrite = (write, old) => buffers.note(write, old);
    buffers.onHigh = () => this.drain();
  }

  get liveTables(): number {
    return this.#arena.used;
  }

  /** Shadow table of the geometry's base, 0 where it cannot have one. */
  rootOf(geometry: TableGeometry): number {
    if ((geometry.baseLow & (FRAME_SIZE - 1)) !== 0) return 0;
    const host = this.#map.hostAddress(geometry.baseLow, geometry.baseHigh, false);
    if (host === 0) return 0;
    const root = this.#acquire(host >>> FRAME_SHIFT, geometry.startLevel, geometry.shadowRole);
    if (root === 0) return 0;
    this.#roots.set(root, ++this.#time);
    geometry.shadowRoot = root;
    return root;
  }

  /**
   * Finds out about an entry that is UNKNOWN, while no record pends. Returns its STATE, or UNSHADOWED where
   * only a walk can tell (a table outside of memory, no room).
   */
  fill(table: number, index: number): number {
    const arena = this.#arena;
    const words = this.#words;
    const role = this.roles.get(arena.role(table));
    const level = arena.level(table);
    const host = ((arena.frame(table) << FRAME_SHIFT) >>> 2) + index * 2;
    let low = words[host]!;
    let high = words[host + 1]!;
    if (role.bigEndian) [low, high] = [swapBytes(high), swapBytes(low)];
    const state = classify(role, level, low, high);
    const entry = table + index * SHADOW_ENTRY.SIZE;
    const at = entry >>> 2;
    if (state === KIND.TABLE) {
      const next = this.#map.hostAddress(low & -FRAME_SIZE, high & 0xffff, false);
      if (next === 0) return UNSHADOWED;
      if (level === 2 && !this.#leaves) words[at + NEXT] = next | DIRECT;
      else if (!this.#link(entry, next, level + 1, role.number)) return UNSHADOWED;
    }
    words[at + LOW] = low;
    words[at + HIGH] = high;
    words[at + STATE] = state;
    this.statistics.fills++;
    if ((state & KIND.MASK) === KIND.LEAF) this.statistics.leaves++;
    return state;
  }

  /** Makes an entry lead to the shadow of the guest's table at a host address. False where there is no room. */
  #link(entry: number, table: number, level: number, role: number): boolean {
    const child = this.#acquire(table >>> FRAME_SHIFT, level, role);
    if (child === 0) return false;
    this.#arena.parents(child).push(entry);
    this.#words[(entry >>> 2) + NEXT] = child;
    return true;
  }

  /** Host address of the guest's entry. */
  hostOf(table: number, index: number): number {
    return ((this.#arena.frame(table) << FRAME_SHIFT) >>> 0) + index * 8;
  }

  /** Applies all records. Returns whether there were any. */
  drain(): boolean {
    if (this.#draining || !this.buffers.pending) return false;
    this.#draining = true;
    this.statistics.drains++;
    if (this.buffers.overflowed) {
      this.buffers.drain(() => {});
      this.buffers.overflowed = false;
      this.purge();
    } else this.buffers.drain((write) => this.#apply(write));
    this.#draining = false;
    return true;
  }

  /** Applies all records because of a TLBI of an ASID or a regime, and counts the leaves that stay. */
  drainWide(): void {
    const { statistics } = this;
    const { leavesLost } = statistics;
    statistics.wideInvalidations++;
    statistics.wideLeaves += statistics.leaves;
    this.drain();
    statistics.wideLeavesLost += statistics.leavesLost - leavesLost;
  }

  /** Forgets every table, and every translation. */
  purge(): void {
    this.statistics.purges++;
    this.keepers.dropEverything();
    this.keepers.forgetRoot(0);
    this.#roots.clear();
    for (const table of this.#arena.live()) this.#free(table);
  }

  /** Where a known entry differs from the guest's table, for checks while no record pends; undefined: nowhere. */
  difference(): string | undefined {
    const arena = this.#arena;
    for (const table of arena.live()) {
      const role = this.roles.get(arena.role(table));
      for (let index = 0; index < SHADOW_ENTRIES; index++) {
        const at = (table + index * SHADOW_ENTRY.SIZE) >>> 2;
        if ((this.#words[at + STATE]! & KIND.MASK) === KIND.UNKNOWN) continue;
        const host = ((arena.frame(table) << FRAME_SHIFT) >>> 2) + index * 2;
        let low = this.#words[host]!;
        let high = this.#words[host + 1]!;
        if (role.bigEndian) [low, high] = [swapBytes(high), swapBytes(low)];
        if (low === this.#words[at + LOW] && high === this.#words[at + HIGH]) continue;
        return `entry ${index} of the level ${arena.level(table)} table in frame ${arena.frame(table)}`;
      }
    }
    const leaves = arena.live().reduce((sum, table) => sum + this.#leavesOf(table), 0);
    if (leaves !== this.statistics.leaves) return `${this.statistics.leaves} leaves counted of ${leaves}`;
    return undefined;
  }

  #acquire(frame: number, level: number, role: number): number {
    const arena = this.#arena;
    const known = arena.find(frame, level, role);
    if (known !== 0) return known;
    while (arena.isFull) if (!this.#dropOldestRoot()) return 0;
    this.statistics.links++;
    this.#store.trace.add(frame, "TR_PT");
    return arena.allocate(frame, level, role);
  }

  #dropOldestRoot(): boolean {
    let oldest = 0;
    let time = Number.POSITIVE_INFINITY;
    for (const [root, lastUse] of this.#roots) {
      if (lastUse >= time || this.keepers.isActive(root)) continue;
      oldest = root;
      time = lastUse;
    }
    if (oldest === 0) return false;
    this.#dropRoot(oldest);
    return true;
  }

  #dropRoot(root: number): void {
    const arena = this.#arena;
    this.statistics.rootsDropped++;
    this.#roots.delete(root);
    this.keepers.forgetRoot(root);
    this.keepers.dropRoot(this.roles.get(arena.role(root)), this.#store.frames.page(arena.frame(root)));
    if (arena.parents(root).length === 0) this.#freeTree(root);
  }

  #apply(write: TableWrite): void {
    const tables = this.#arena.ofFrame(write.frame);
    if (tables.length === 0) this.statistics.lateRecords++;
    for (const table of tables) {
      if (this.#roots.has(table) && !this.keepers.isActive(table)) {
        // The address space is probably gone and its root about to be used for something else.
        this.#dropRoot(table);
      }
      // One record may have taken away another shadow of the same frame.
      if (this.#arena.frame(table) !== write.frame) continue;
      const first = write.first >>> 3;
      for (let index = first; index < first + (write.length >>> 3); index++)
        this.#change(table, index, write);
    }
  }

  #change(table: number, index: number, write: TableWrite): void {
    const words = this.#words;
    const arena = this.#arena;
    const entry = table + index * SHADOW_ENTRY.SIZE;
    const at = entry >>> 2;
    const kind = words[at + STATE]! & KIND.MASK;
    if (kind === KIND.UNKNOWN) return;
    const role = this.roles.get(arena.role(table));
    let { oldLow, oldHigh, newLow: low, newHigh: high } = write;
    if (role.bigEndian) {
      [oldLow, oldHigh] = [swapBytes(oldHigh), swapBytes(oldLow)];
      [low, high] = [swapBytes(high), swapBytes(low)];
    }
    const knownLow = words[at + LOW]!;
    const knownHigh = words[at + HIGH]!;
    if (write.length === 8 && (oldLow !== knownLow || oldHigh !== knownHigh)) {
      this.statistics.lostUpdates++;
      this.purge();
      return;
    }
    if (low === knownLow && high === knownHigh) return;
    const level = arena.level(table);
    if (this.onDrain !== undefined) this.#announce(role, entry, [knownLow, knownHigh], [low, high]);
    if (kind === KIND.TABLE) this.#unlink(entry);
    else if (kind === KIND.LEAF && !onlyAddsRights(knownLow, knownHigh, low, high)) {
      this.statistics.leavesLost++;
      if (level < 3) this.keepers.dropHalf(role);
      else {
        for (const address of this.#addressesOf(entry)) {
          this.keepers.dropPage(role, address.low, address.high);
        }
      }
    }
    const state = classify(role, level, low, high);
    words[at + LOW] = low;
    words[at + HIGH] = high;
    // A table is linked when a walk comes to it.
    words[at + STATE] = state === KIND.TABLE ? KIND.UNKNOWN : state;
    this.statistics.leaves += Number((state & KIND.MASK) === KIND.LEAF) - Number(kind === KIND.LEAF);
  }

  #announce(role: ShadowRole, entry: number, old: readonly number[], now: readonly number[]): void {
    const double = ([low, high]: readonly number[]) => (BigInt(high! >>> 0) << 32n) | BigInt(low! >>> 0);
    this.onDrain?.({
      role,
      level: this.#arena.level(this.#arena.tableOf(entry)),
      addresses: this.#addressesOf(entry).map(({ low, high }) => double([low, high])),
      old: double(old),
      new: double(now),
    });
  }

  /** The guest's entry no longer leads to the table that `entry` does. */
  #unlink(entry: number): void {
    const arena = this.#arena;
    const words = this.#words;
    const role = this.roles.get(arena.role(arena.tableOf(entry)));
    const child = words[(entry >>> 2) + NEXT]!;
    // What was read from the guest's table directly goes by TLBI.
    if ((child & DIRECT) !== 0) return;
    for (const address of this.#addressesOf(entry)) this.#dropTree(role, child, address);
    this.#removeParent(child, entry);
    if (!this.#isNeeded(child)) this.#freeTree(child);
  }

  /** Drops the translations that a table leads to, from its first address on. */
  #dropTree(role: ShadowRole, top: number, first: { low: number; high: number }): void {
    const work = [{ table: top, ...first }];
    for (let item = work.pop(); item !== undefined; item = work.pop()) {
      const { table } = item;
      const level = this.#arena.level(table);
      for (let index = 0; index < SHADOW_ENTRIES; index++) {
        const at = (table + index * SHADOW_ENTRY.SIZE) >>> 2;
        const kind = this.#words[at + STATE]! & KIND.MASK;
        if (kind !== KIND.LEAF && kind !== KIND.TABLE) continue;
        const { low, high } = offsetBy(item, level, index);
        if (kind === KIND.TABLE) {
          const next = this.#words[at + NEXT]!;
          if ((next & DIRECT) === 0) work.push({ table: next, low, high });
        } else if (level === 3) this.keepers.dropPage(role, low, high);
        else {
          this.keepers.dropHalf(role);
          return;
        }
      }
    }
  }

  /** Frees a table that nothing leads to, and those that nothing leads to any more then. */
  #freeTree(top: number): void {
    const words = this.#words;
    const work = [top];
    for (let table = work.pop(); table !== undefined; table = work.pop()) {
      for (let index = 0; index < SHADOW_ENTRIES; index++) {
        const entry = table + index * SHADOW_ENTRY.SIZE;
        const at = entry >>> 2;
        if ((words[at + STATE]! & KIND.MASK) !== KIND.TABLE) continue;
        const child = words[at + NEXT]!;
        if ((child & DIRECT) !== 0) continue;
        this.#removeParent(child, entry);
        if (!this.#isNeeded(child)) work.push(child);
      }
      this.#free(table);
    }
  }

  #free(table: number): void {
    const frame = this.#arena.frame(table);
    const leaves = this.#leavesOf(table);
    this.statistics.leaves -= leaves;
    this.statistics.leavesLost += leaves;
    this.#arena.release(table);
    if (this.#arena.ofFrame(frame).length === 0) this.#store.trace.remove(frame, "TR_PT");
  }

  #leavesOf(table: number): number {
    let leaves = 0;
    for (let index = 0; index < SHADOW_ENTRIES; index++) {
      const state = this.#words[((table + index * SHADOW_ENTRY.SIZE) >>> 2) + STATE]!;
      if ((state & KIND.MASK) === KIND.LEAF) leaves++;
    }
    return leaves;
  }

  #isNeeded(table: number): boolean {
    return this.#roots.has(table) || this.#arena.parents(table).length > 0;
  }

  #removeParent(table: number, entry: number): void {
    const parents = this.#arena.parents(table);
    const at = parents.indexOf(entry);
    if (at !== -1) parents.splice(at, 1);
  }

  /** Where the range begins that an entry maps, once for each way that leads to it. */
  #addressesOf(entry: number): { low: number; high: number }[] {
    const arena = this.#arena;
    const table = arena.tableOf(entry);
    const index = (entry - table) >>> SHADOW_ENTRY.SHIFT;
    const level = arena.level(table);
    const starts = arena.parents(table).flatMap((parent) => this.#addressesOf(parent));
    if (this.#roots.has(table)) {
      const { upper } = this.roles.get(arena.role(table));
      starts.push({ low: 0, high: upper ? -1 << 16 : 0 });
    }
    return starts.map((start) => offsetBy(start, level, index));
  }
}

function offsetBy(start: { low: number; high: number }, level: number, index: number) {
  const shift = 12 + 9 * (3 - level);
  const low = shift >= 32 ? 0 : index << shift;
  const high = shift >= 32 ? index << (shift - 32) : index >>> (32 - shift);
  return { low: start.low | low, high: start.high | high };
}

/** Software bits 58:55 and the dirty bit modifier, in the high word. */
const WITHOUT_EFFECT = 0x0788_0000;

/** Whoever has the old translation may keep it, and asks again for what it does not allow. */
function onlyAddsRights(oldLow: number, oldHigh: number, low: number, high: number): boolean {
  if (((oldHigh ^ high) & ~WITHOUT_EFFECT) !== 0) return false;
  const { READ_ONLY, ACCESS_FLAG } = DESCRIPTOR_LOW;
  if (((oldLow ^ low) & ~(READ_ONLY | ACCESS_FLAG)) !== 0) return false;
  return (low & ~oldLow & READ_ONLY) === 0 && (oldLow & ~low & ACCESS_FLAG) === 0;
}
