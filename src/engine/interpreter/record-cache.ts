import { Bug } from "../../base/errors.ts";
import {
  HANDLER_PAGE_END,
  HANDLER_UNDECODED,
  RECORD_PAGE_STRIDE,
  RECORD_SIZE,
  RECORDS_PER_PAGE,
} from "./record.ts";

const FRAME_SHIFT = 12;
const NO_PAGE = -1;
const RECORD_HALVES = RECORD_SIZE / 2;
/** Bytes of code that are traced together; the interpreter decodes no further ahead. */
export const CODE_GRANULE = 64;
/** So many writes into a page of code, and all of its records are dropped: it has probably become data. */
const WRITES_BEFORE_DROP = 16;

/** What the cache needs of the machine. */
export interface RecordCacheHost {
  /** From now on writes to bytes [first, first + length) are reported by `invalidate` (spec S1's TR_CODE). */
  trace(frame: number, first: number, length: number): void;
  /** Nothing in the frame is watched any more. */
  untrace(frame: number): void;
  /** True where the frame's records had better stay: regions are made of its code. */
  isWorthKeeping(frame: number): boolean;
  /** The page's records are gone: what replaced some of them is unreachable. */
  forgotten(frame: number): void;
  /** Removes the execute tags of these record pages from every soft-TLB bank of every PE. */
  forgetExecuteTags(isForgotten: (records: number) => boolean): void;
}

/**
 * Predecoded pages, one for each host frame that instructions were fetched from. Frames are numbered by
 * their address in linear memory, so aliases and different virtual addresses share records.
 */
export class RecordCache {
  /** Indexed by byte address / 2: only the handler's number of a record is ever written here. */
  readonly #halves: Uint16Array;
  /** Address of the first record. */
  readonly base: number;
  readonly #host: RecordCacheHost;
  readonly #pageOfFrame: Int32Array;
  readonly #frameOfPage: Int32Array;
  readonly #writes: Uint8Array;
  readonly #capacity: number;
  readonly #free: number[] = [];
  #used = 0;
  #evictNext = 0;
  evictions = 0;
  drops = 0;

  /** `base` is the address of `capacity` * RECORD_PAGE_STRIDE bytes, 16-byte aligned, in `buffer`. */
  constructor(
    buffer: ArrayBuffer | SharedArrayBuffer,
    base: number,
    capacity: number,
    host: RecordCacheHost,
  ) {
    this.#halves = new Uint16Array(buffer);
    this.base = base;
    this.#capacity = capacity;
    this.#host = host;
    this.#pageOfFrame = new Int32Array(Math.ceil(buffer.byteLength / 2 ** FRAME_SHIFT)).fill(NO_PAGE);
    this.#frameOfPage = new Int32Array(capacity).fill(NO_PAGE);
    this.#writes = new Uint8Array(capacity);
  }

  /** Pages in use. */
  get pages(): number {
    return this.#used;
  }

  /** Address of the records of the frame at `frameAddress` (4 KiB aligned). Called only between instructions. */
  recordsOf(frameAddress: number): number {
    const frame = frameAddress >>> FRAME_SHIFT;
    let page = this.#pageOfFrame[frame] ?? NO_PAGE;
    if (page === NO_PAGE) {
      page = this.#allocate();
      this.#pageOfFrame[frame] = page;
      this.#frameOfPage[page] = frame;
      this.#clear(page);
    }
    return this.base + page * RECORD_PAGE_STRIDE;
  }

  #allocate(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    if (this.#used < this.#capacity) return this.#used++;
    this.#evict();
    return this.#allocate();
  }

  /**
   * Frees a quarter, the oldest that are not worth keeping, or else the oldest: one scan of the TLB banks then
   * serves many pages.
   */
  #evict(): void {
    const count = Math.max(1, this.#capacity >> 2);
    const first = this.#evictNext;
    const oldest = Array.from({ length: this.#capacity }, (_, index) => (first + index) % this.#capacity);
    const idle = oldest.filter((page) => !this.#host.isWorthKeeping(this.#frameOfPage[page] ?? NO_PAGE));
    const freed = (idle.length < count ? oldest : idle).slice(0, count);
    const chosen = new Set(freed);
    this.#host.forgetExecuteTags((records) =>
      chosen.has(Math.floor((records - this.base) / RECORD_PAGE_STRIDE)),
    );
    for (const page of freed) this.#release(page);
    this.#evictNext = ((freed.at(-1) ?? first) + 1) % this.#capacity;
    this.#free.push(...freed);
    this.evictions++;
  }

  #release(page: number): void {
    const frame = this.#frameOfPage[page] ?? NO_PAGE;
    if (frame === NO_PAGE) return;
    this.#untrace(page);
    this.#host.forgotten(frame);
    this.#pageOfFrame[frame] = NO_PAGE;
    this.#frameOfPage[page] = NO_PAGE;
  }

  #untrace(page: number): void {
    this.#host.untrace(this.#frameOfPage[page] ?? 0);
    this.#writes[page] = 0;
  }

  /**
   * Has every record of the page decoded again. Operands stay: the instruction that wrote into the page is
   * still at work, and its record says where its results go.
   */
  #clear(page: number): void {
    const start = (this.base + page * RECORD_PAGE_STRIDE) / 2;
    const end = start + RECORDS_PER_PAGE * RECORD_HALVES;
    for (let at = start; at < end; at += RECORD_HALVES) this.#halves[at] = HANDLER_UNDECODED;
    this.#halves[end] = HANDLER_PAGE_END;
  }

  /** Linear-memory address of the instruction word that `record` stands for, traced from now on. */
  codeAddress(record: number): number {
    const page = Math.floor((record - this.base) / RECORD_PAGE_STRIDE);
    const frame = this.#frameOfPage[page] ?? NO_PAGE;
    if (frame === NO_PAGE) throw new Bug("a record of no frame is being decoded");
    const offset = this.indexInPage(record) * 4;
    this.#host.trace(frame, offset & ~(CODE_GRANULE - 1), CODE_GRANULE);
    return frame * 4096 + offset;
  }

  /** 0 to 1023: which instruction of its page `record` stands for. */
  indexInPage(record: number): number {
    return ((record - this.base) % RECORD_PAGE_STRIDE) / RECORD_SIZE;
  }

  /** Host frame number of the page that `record` belongs to. */
  frameOf(record: number): number {
    return this.#frameOfPage[Math.floor((record - this.base) / RECORD_PAGE_STRIDE)] ?? NO_PAGE;
  }

  /** Record of the instruction at `index` of a frame that has records, else undefined. */
  recordAt(frame: number, index: number): number | undefined {
    const page = this.#pageOfFrame[frame] ?? NO_PAGE;
    return page === NO_PAGE ? undefined : this.base + page * RECORD_PAGE_STRIDE + index * RECORD_SIZE;
  }

  /** Bytes [first, first + length) of a traced frame were written: their records are decoded again. */
  invalidate(frame: number, first: number, length: number): void {
    const page = this.#pageOfFrame[frame] ?? NO_PAGE;
    if (page === NO_PAGE) return;
    const writes = (this.#writes[page] ?? 0) + 1;
    this.#writes[page] = writes;
    if (length > 256 || writes > WRITES_BEFORE_DROP) {
      this.drops++;
      this.#clear(page);
      this.#untrace(page);
      this.#host.forgotten(frame);
      return;
    }
    const start = (this.base + page * RECORD_PAGE_STRIDE) / 2;
    for (let index = first >> 2; index <= (first + length - 1) >> 2; index++) {
      this.#halves[start + index * RECORD_HALVES] = HANDLER_UNDECODED;
    }
  }
}
