import type { MachineMemory } from "../../memory/machine-memory.ts";
import { SHADOW_TABLE_SIZE } from "./shadow-entry.ts";

/** Room for shadow tables and what is known about each. A table is named by its address; 0 is none. */
export class ShadowArena {
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #count: number;
  readonly #frames: Int32Array;
  readonly #levels: Uint8Array;
  readonly #roles: Uint16Array;
  readonly #parents: number[][] = [];
  readonly #byFrame = new Map<number, number[]>();
  readonly #free: number[] = [];
  /** Tables from here on were never used. */
  #next = 0;

  constructor(memory: MachineMemory, count: number) {
    this.#words = memory.words;
    this.#base = memory.allocate(count * SHADOW_TABLE_SIZE, SHADOW_TABLE_SIZE);
    this.#count = count;
    this.#frames = new Int32Array(count).fill(-1);
    this.#levels = new Uint8Array(count);
    this.#roles = new Uint16Array(count);
  }

  get isFull(): boolean {
    return this.#free.length === 0 && this.#next === this.#count;
  }

  get used(): number {
    return this.#next - this.#free.length;
  }

  /** A table without any known entry; not while {@link isFull}. */
  allocate(frame: number, level: number, role: number): number {
    const number = this.#free.pop() ?? this.#next++;
    this.#frames[number] = frame;
    this.#levels[number] = level;
    this.#roles[number] = role;
    this.#parents[number] = [];
    const table = this.#base + number * SHADOW_TABLE_SIZE;
    const others = this.#byFrame.get(frame);
    if (others === undefined) this.#byFrame.set(frame, [table]);
    else this.#byFrame.set(frame, [...others, table]);
    return table;
  }

  release(table: number): void {
    const number = this.#number(table);
    const frame = this.#frames[number]!;
    this.#frames[number] = -1;
    this.#words.fill(0, table >>> 2, (table + SHADOW_TABLE_SIZE) >>> 2);
    this.#free.push(number);
    const others = this.ofFrame(frame).filter((other) => other !== table);
    if (others.length === 0) this.#byFrame.delete(frame);
    else this.#byFrame.set(frame, others);
  }

  find(frame: number, level: number, role: number): number {
    for (const table of this.ofFrame(frame)) {
      const number = this.#number(table);
      if (this.#levels[number] === level && this.#roles[number] === role) return table;
    }
    return 0;
  }

  /** The shadows of one frame; the list is never changed. */
  ofFrame(frame: number): readonly number[] {
    return this.#byFrame.get(frame) ?? NONE;
  }

  live(): number[] {
    return [...this.#byFrame.values()].flat();
  }

  /** Host frame number of the guest's table; -1 for a table that was released. */
  frame(table: number): number {
    return this.#frames[this.#number(table)]!;
  }

  level(table: number): number {
    return this.#levels[this.#number(table)]!;
  }

  role(table: number): number {
    return this.#roles[this.#number(table)]!;
  }

  /** Addresses of the entries that lead to the table. */
  parents(table: number): number[] {
    return this.#parents[this.#number(table)]!;
  }

  tableOf(entry: number): number {
    return entry - ((entry - this.#base) % SHADOW_TABLE_SIZE);
  }

  #number(table: number): number {
    return (table - this.#base) / SHADOW_TABLE_SIZE;
  }
}

const NONE: readonly number[] = [];
