import { Bug } from "../../base/errors.ts";

/**
 * Places of the function table for regions. Few and close together, however many entries a region has: the host's
 * engine looks each call up in several tables of its own.
 */
export class FunctionPlaces {
  readonly #table: WebAssembly.Table;
  readonly #free: number[] = [];
  #next: number;

  /** Those from `first` to the table's end. */
  constructor(table: WebAssembly.Table, first: number) {
    this.#table = table;
    this.#next = first;
  }

  /** The place that now has an exported function. */
  put(compiled: unknown): number {
    const place = this.#free.pop() ?? this.#next++;
    if (place >= this.#table.length) throw new Bug("more regions than places in the function table");
    this.#table.set(place, compiled);
    return place;
  }

  remove(place: number): void {
    this.#table.set(place, null);
    this.#free.push(place);
  }
}
