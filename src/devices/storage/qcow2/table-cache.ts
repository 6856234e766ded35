import type { ByteStore } from "../byte-store.ts";

/** A cluster of metadata in memory: an L2 table or a block of reference counts. */
export class Table {
  /** In the file, bytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The bytes that the file does not have yet: [dirtyFrom, dirtyTo). */
  dirtyFrom: number = Number.POSITIVE_INFINITY;
  dirtyTo = 0;
  /** When it was used last, in the cache's own count. */
  used = 0;

  constructor(offset: number, bytes: Uint8Array) {
    this.offset = offset;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get isDirty(): boolean {
    return this.dirtyTo > 0;
  }

  touch(from: number, to: number): void {
    if (from < this.dirtyFrom) this.dirtyFrom = from;
    if (to > this.dirtyTo) this.dirtyTo = to;
  }
}

/** What is written at a time: a sector, so that no reader sees half of an entry. */
const SECTOR = 512;

/** The tables that were used last. Dirty ones stay until they are written, so the owner has to write in time. */
export class TableCache {
  readonly #store: ByteStore;
  readonly #tableSize: number;
  readonly #capacity: number;
  readonly #tables = new Map<number, Table>();
  readonly #loading = new Map<number, Promise<Table>>();
  #uses = 0;

  /** `bytes` is what the tables may take in memory; at least eight are kept. */
  constructor(store: ByteStore, tableSize: number, bytes: number) {
    this.#store = store;
    this.#tableSize = tableSize;
    this.#capacity = Math.max(8, Math.floor(bytes / tableSize));
  }

  /** The table at `offset` if it is here. */
  get(offset: number): Table | undefined {
    const table = this.#tables.get(offset);
    if (table !== undefined) table.used = ++this.#uses;
    return table;
  }

  /** The table at `offset`, read where needed. */
  load(offset: number): Promise<Table> {
    const present = this.get(offset);
    if (present !== undefined) return Promise.resolve(present);
    const pending = this.#loading.get(offset);
    if (pending !== undefined) return pending;
    const loading = this.#read(offset).finally(() => this.#loading.delete(offset));
    this.#loading.set(offset, loading);
    return loading;
  }

  /** A table that is not in the file yet. */
  add(offset: number, bytes: Uint8Array): Table {
    const table = new Table(offset, bytes);
    table.touch(0, bytes.length);
    this.#insert(table);
    return table;
  }

  drop(offset: number): void {
    this.#tables.delete(offset);
  }

  get hasDirty(): boolean {
    for (const table of this.#tables.values()) if (table.isDirty) return true;
    return false;
  }

  /** True when nearly all tables wait to be written: it is time to. */
  get isCrowded(): boolean {
    if (this.#tables.size < this.#capacity) return false;
    let dirty = 0;
    for (const table of this.#tables.values()) if (table.isDirty) dirty++;
    return dirty > this.#capacity - 4;
  }

  /** Writes what is dirty. A table that cannot be written stays dirty. */
  async write(): Promise<void> {
    for (const table of [...this.#tables.values()].sort((one, other) => one.offset - other.offset)) {
      if (!table.isDirty) continue;
      const from = Math.floor(table.dirtyFrom / SECTOR) * SECTOR;
      const to = Math.ceil(table.dirtyTo / SECTOR) * SECTOR;
      table.dirtyFrom = Number.POSITIVE_INFINITY;
      table.dirtyTo = 0;
      try {
        await this.#store.write(table.offset + from, table.bytes.subarray(from, to));
      } catch (error) {
        table.touch(from, to);
        throw error;
      }
    }
  }

  async #read(offset: number): Promise<Table> {
    const table = new Table(offset, new Uint8Array(this.#tableSize));
    await this.#store.read(offset, table.bytes);
    // Somebody may have made a new table at this place meanwhile.
    const present = this.#tables.get(offset);
    if (present !== undefined) return present;
    this.#insert(table);
    return table;
  }

  #insert(table: Table): void {
    table.used = ++this.#uses;
    this.#tables.set(table.offset, table);
    if (this.#tables.size <= this.#capacity) return;
    let oldest: Table | undefined;
    for (const other of this.#tables.values())
      if (!other.isDirty && other !== table && (oldest === undefined || other.used < oldest.used))
        oldest = other;
    if (oldest !== undefined) this.#tables.delete(oldest.offset);
  }
}
