import { FRAME_FLAGS, type FrameTable, TRACE_MASK, type TraceKind } from "./frame-table.ts";
import { FRAME_SIZE } from "./machine-memory.ts";

/** Removes every writable soft-TLB entry of the frame, on all processing elements, before it returns. */
export type WriteRevoker = (frame: number) => void;

/**
 * Which frames' writes are traced (spec S1). After `add` returns, no store reaches the frame without passing
 * {@link TracedStore}, so a caller that then reads the frame misses no write.
 */
export class Trace {
  readonly frames: FrameTable;
  readonly #revokers: WriteRevoker[] = [];
  readonly #flushers: (() => void)[] = [];

  constructor(frames: FrameTable) {
    this.frames = frames;
  }

  /** Registers one keeper of writable translations: how to drop those of one frame, and all. */
  onRevoke(revoker: WriteRevoker, flush: () => void): void {
    this.#revokers.push(revoker);
    this.#flushers.push(flush);
  }

  /** Traces a whole frame. */
  add(frame: number, kind: TraceKind): void {
    if (kind === "TR_CODE") this.frames.addCodeGranules(frame, 0, FRAME_SIZE);
    this.#set(frame, kind);
  }

  /** Traces frames [first, first + count): cheaper than one by one, as all translations are dropped at once. */
  addRange(first: number, count: number, kind: Exclude<TraceKind, "TR_CODE">): void {
    for (let frame = first; frame < first + count; frame++) this.frames.setFlags(frame, FRAME_FLAGS[kind]);
    for (const flush of this.#flushers) flush();
  }

  /** TR_CODE for bytes [first, first + length) of a frame: writes to other granules of it go untold. */
  addCode(frame: number, first: number, length: number): void {
    this.frames.addCodeGranules(frame, first, length);
    this.#set(frame, "TR_CODE");
  }

  /** Ends one kind of tracing. Stores become fast again as soon as their translation is next needed. */
  remove(frame: number, kind: TraceKind): void {
    if (kind === "TR_CODE") this.frames.clearCodeGranules(frame);
    this.frames.clearFlags(frame, FRAME_FLAGS[kind]);
  }

  has(frame: number, kind: TraceKind): boolean {
    return (this.frames.flags(frame) & FRAME_FLAGS[kind]) !== 0;
  }

  #set(frame: number, kind: TraceKind): void {
    const untraced = (this.frames.flags(frame) & TRACE_MASK) === 0;
    this.frames.setFlags(frame, FRAME_FLAGS[kind]);
    if (untraced) for (const revoke of this.#revokers) revoke(frame);
  }
}
