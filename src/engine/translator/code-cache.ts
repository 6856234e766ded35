import type { KeptRegion } from "./cached-region.ts";
import type { Region } from "./region.ts";
import { describeRegion, type RegionDescription } from "./region-description.ts";

/** What the code of a region depends on besides its instructions. */
export interface CodeParameters {
  /** Of linear memory, 64 KiB each. */
  readonly memoryPages: number;
  readonly tracksRegisters: boolean;
  /** The base of the one processing element; undefined where there are several. */
  readonly element: number | undefined;
}

/** A module of regions, each at its position. */
export interface KeptModule {
  readonly module: WebAssembly.Module;
  readonly codeBytes: number;
  readonly regions: readonly KeptRegion[];
  /** Told when one of the regions is put in place. */
  readonly onUse?: () => void;
}

/** Keeps the code of regions from one machine to the next. Whatever it hands out was checked. */
export interface CodeStore {
  load(parameters: CodeParameters): readonly KeptModule[];
  /** Takes regions that were not among what was loaded; it fails silently, as the machine goes on without. */
  save(parameters: CodeParameters, regions: readonly RegionDescription[]): void;
  /** Files that were damaged or of another make. */
  readonly refused: number;
}

/** A region of an earlier machine, and where its code is. */
export interface CachedRegion extends KeptRegion {
  readonly shelf: ModuleShelf;
  readonly position: number;
}

/** Regions that wait to be saved, at most. */
const MOST_NOTES = 2048;
const FILTER_BITS = 16;
/** Instructions of a page. */
const PLACES = 1024;

/** Jumps to a piece of code before its region is kept for later machines, which have it from the beginning. */
export const KEEPING_THRESHOLD = 2500;

/** The regions that earlier machines kept, by the code that they begin with, and those of this one. */
export class CodeCache {
  readonly #store: CodeStore;
  readonly #parameters: CodeParameters;
  /** Not 0 where some region begins with such a word at such a place. */
  readonly #filter = new Uint8Array(2 ** FILTER_BITS);
  readonly #regions = new Map<number, CachedRegion[]>();
  readonly #notes = new Map<string, RegionDescription>();
  /** Regions that were found, and of what size their modules are. */
  regions = 0;
  bytes = 0;
  /** Regions that were put in place. */
  hits = 0;
  /** Regions that were made in this machine, as the cache had none. */
  misses = 0;

  constructor(store: CodeStore, parameters: CodeParameters) {
    this.#store = store;
    this.#parameters = parameters;
    for (const kept of store.load(parameters)) {
      this.bytes += kept.codeBytes;
      const shelf = new ModuleShelf(kept);
      for (const [position, region] of kept.regions.entries()) {
        this.#add({ ...region, shelf, position });
      }
    }
    // What begins there goes before what is entered there only, and what was made when more was known before less.
    const rank = (region: CachedRegion, place: number): number =>
      region.pages.reduce((sum, { words }) => sum + words.length, region.places[0] === place ? 2 ** 16 : 0);
    for (const [key, regions] of this.#regions) {
      const place = key % PLACES;
      regions.sort((a, b) => rank(b, place) - rank(a, place));
    }
  }

  /** Files that could not be used. */
  get refused(): number {
    return this.#store.refused;
  }

  #add(region: CachedRegion): void {
    const [first] = region.pages;
    if (first === undefined) return;
    this.regions++;
    for (const place of region.places) {
      const word = first.words[first.indices.indexOf(place)];
      if (word === undefined) continue;
      const key = keyOf(place, word);
      const known = this.#regions.get(key);
      if (known === undefined) this.#regions.set(key, [region]);
      else known.push(region);
      this.#filter[filterOf(place, word)] = 1;
    }
  }

  /** False where no region begins with the word at a place (0 to 1023) of a page; cheap. */
  mayBegin(place: number, word: number): boolean {
    return this.#filter[filterOf(place, word)] !== 0;
  }

  /** Regions that may be entered at a place of a page with this word. */
  find(place: number, word: number): readonly CachedRegion[] {
    return this.#regions.get(keyOf(place, word)) ?? [];
  }

  /** Keeps a region that this machine made, instead of what was kept for the same place before. */
  note(frame: number, place: number, region: Region): void {
    this.misses++;
    this.#notes.set(`${frame}.${place}`, describeRegion(region));
    if (this.#notes.size >= MOST_NOTES) this.save();
  }

  /** Hands over what was noted. */
  save(): void {
    if (this.#notes.size === 0) return;
    const regions = [...this.#notes.values()];
    this.#notes.clear();
    this.#store.save(this.#parameters, regions);
  }
}

function keyOf(place: number, word: number): number {
  return (word >>> 0) * PLACES + place;
}

function filterOf(place: number, word: number): number {
  return Math.imul(word ^ Math.imul(place, 0x9e37_79b1), 0x85eb_ca6b) >>> (32 - FILTER_BITS);
}

/** A kept module and what was made of it: each instance knows the pages of one place for each region. */
export class ModuleShelf {
  readonly #kept: KeptModule;
  readonly #instances: { readonly instance: WebAssembly.Instance; readonly taken: Set<number> }[] = [];

  constructor(kept: KeptModule) {
    this.#kept = kept;
  }

  /** An instance whose region at the position is free; `instantiate` makes one, or undefined. */
  take(
    position: number,
    instantiate: (module: WebAssembly.Module) => WebAssembly.Instance | undefined,
  ): { readonly instance: WebAssembly.Instance; release(): void } | undefined {
    let found = this.#instances.find(({ taken }) => !taken.has(position));
    if (found === undefined) {
      const instance = instantiate(this.#kept.module);
      if (instance === undefined) return undefined;
      this.#kept.onUse?.();
      found = { instance, taken: new Set() };
      this.#instances.push(found);
    }
    const { instance, taken } = found;
    taken.add(position);
    return { instance, release: () => taken.delete(position) };
  }
}
