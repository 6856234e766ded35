import { PE_LAYOUT } from "../../memory/pe-layout.ts";
import { HANDLER_PAGE_END, HANDLER_REGION, HANDLER_UNDECODED } from "../interpreter/record.ts";
import type { RecordCache } from "../interpreter/record-cache.ts";
import { matchRegion } from "./cached-region.ts";
import type { CachedRegion, CodeCache } from "./code-cache.ts";
import type { CodePage } from "./region.ts";
import type { Request } from "./translation.ts";

const PAGE_WORDS = 1024;
const PAGE_BYTES = 4096;
/** Pages that something waits for, at most. */
const MOST_AWAITED = 4096;

/** What the restorer needs of the translator. */
export interface RestorerHost {
  readonly cache: CodeCache;
  readonly memory: WebAssembly.Memory;
  readonly records: RecordCache;
  /** The page `delta` bytes from the requested entry's, as the soft TLB finds it for execution. */
  page(request: Request, delta: number): CodePage | undefined;
  /** Enters a region that is in place at the requested place, too, where it may be entered there. */
  enterKnown(request: Request): boolean;
  /** Puts a region in place whose words are in these pages; false where it cannot. */
  place(request: Request, cached: CachedRegion, pages: readonly CodePage[]): boolean;
}

/** Puts what earlier machines kept in place, as soon as the interpreter comes to such code. */
export class Restorer {
  readonly #host: RestorerHost;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  /** By the number of a page that has not been executed yet: what could go on there. */
  readonly #awaited = new Map<number, Request[]>();

  constructor(host: RestorerHost) {
    this.#host = host;
    this.#view = new DataView(host.memory.buffer);
    this.#words = new Uint32Array(host.memory.buffer);
  }

  /** The request's record was decoded. True where a region is in its place now. */
  arrive(request: Request): boolean {
    const { records, cache } = this.#host;
    const { record, frame, entry } = request;
    // A page that was waited for may have changed hands meanwhile.
    if (records.recordAt(frame, entry) !== record) return false;
    const handler = this.#view.getUint16(record, true);
    if (handler === HANDLER_REGION || handler === HANDLER_UNDECODED || handler === HANDLER_PAGE_END)
      return false;
    if (this.#host.enterKnown(request)) return true;
    const word = this.#words[frame * PAGE_WORDS + entry] ?? 0;
    return cache.find(entry, word).some((cached) => this.#restore(request, cached));
  }

  /** The page of the element's PC is known to the soft TLB from now on. */
  fetched(pe: number): void {
    if (this.#awaited.size === 0) return;
    const view = this.#view;
    const high = view.getUint32(pe + PE_LAYOUT.PC + 4, true);
    const page = pageNumber(high, view.getUint32(pe + PE_LAYOUT.PC, true));
    const waiting = this.#awaited.get(page);
    if (waiting === undefined) return;
    this.#awaited.delete(page);
    const bank = view.getUint32(pe + PE_LAYOUT.TLB_BANK, true);
    for (const request of waiting) this.arrive({ ...request, bank });
  }

  #restore(request: Request, cached: CachedRegion): boolean {
    const { cache } = this.#host;
    const match = matchRegion(cached, this.#words, (delta) => this.#likelyPage(request, delta));
    if (match.kind === "missing") this.#await(request, match.delta);
    if (match.kind !== "same" || !this.#host.place(request, cached, match.pages)) return false;
    cache.hits++;
    return true;
  }

  /**
   * The page by the soft TLB, or else, as code mostly lies in one piece, the frame that many bytes further: a region looks
   * at the soft TLB before it goes to another page, so that a wrong guess costs time only.
   */
  #likelyPage(
    request: Request,
    delta: number,
  ): { readonly page: CodePage; readonly isGuess: boolean } | undefined {
    const known = this.#host.page(request, delta);
    if (known !== undefined) return { page: known, isGuess: false };
    const frame = request.frame + delta / PAGE_BYTES;
    const records = this.#host.records.recordAt(frame, 0);
    return records === undefined ? undefined : { page: { delta, frame, records }, isGuess: true };
  }

  /** Tries again when the page `delta` bytes further is executed. */
  #await(request: Request, delta: number): void {
    const page = pageNumber(request.high, request.low) + delta / PAGE_BYTES;
    if (this.#awaited.size >= MOST_AWAITED) this.#awaited.clear();
    const waiting = this.#awaited.get(page);
    if (waiting === undefined) this.#awaited.set(page, [request]);
    else if (!waiting.some((other) => other.record === request.record)) waiting.push(request);
  }
}

/** Pages have 2^52 numbers, which a number holds exactly. */
function pageNumber(high: number, low: number): number {
  return (high >>> 0) * 2 ** 20 + (low >>> 12);
}
