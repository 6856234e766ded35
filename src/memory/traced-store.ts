import { FRAME_FLAGS, type FrameTable, TRACE_MASK } from "./frame-table.ts";
import { FRAME_SHIFT, FRAME_SIZE, type MachineMemory } from "./machine-memory.ts";
import { Trace } from "./trace.ts";

/** A write inside one frame. `first` is the offset of its first byte in the frame. */
export interface FrameWrite {
  readonly frame: number;
  readonly first: number;
  readonly length: number;
}

/** "abort": the write is dropped, and an instruction that wanted it takes an external abort. */
export type MonitorVerdict = "allow" | "drop" | "abort";

/** Who is told of traced writes. Each kind has at most one consumer a machine. */
export interface TraceHooks {
  /** TR_MON, before the store: what is to become of it. `bytes` are those to be written. */
  beforeMonitoredWrite: (write: FrameWrite, bytes: Uint8Array) => MonitorVerdict;
  /** TR_PT, after the store. `old` are the bytes before it. */
  onTableWrite: (write: FrameWrite, old: Uint8Array) => void;
  /** TR_DIRTY, after the first store of an epoch; tracing of the frame has ended. */
  onFirstWrite: (frame: number) => void;
  /** TR_CODE, after a store that touched a code granule. */
  onCodeWrite: (frame: number, firstByte: number, length: number) => void;
  /** TR_WATCH, after the store. */
  onWatchedWrite: (write: FrameWrite) => void;
}

const OFFSET_MASK = FRAME_SIZE - 1;

/**
 * The one way into a frame for every writer that is not an untraced store of generated code: slow stores, the
 * table walker, DMA, loader and debugger (spec S1). Addresses are host byte addresses of RAM or ROM frames;
 * every write stays inside one frame.
 */
export class TracedStore {
  readonly memory: MachineMemory;
  readonly frames: FrameTable;
  readonly trace: Trace;
  readonly hooks: TraceHooks = {
    beforeMonitoredWrite: () => "allow",
    onTableWrite: () => {},
    onFirstWrite: () => {},
    onCodeWrite: () => {},
    onWatchedWrite: () => {},
  };
  /** Number of writes that told {@link TraceHooks.onCodeWrite}: lets a caller see whether its store did. */
  codeWrites = 0;
  /** Set while an instruction's store is under way; otherwise a device, the walker or the host writes. */
  byInstruction = false;
  /** The last write was dropped with "abort"; whoever can take the abort clears it. */
  aborted = false;
  /** Number of writes that took the traced path. */
  tracedWrites = 0;

  constructor(memory: MachineMemory, frames: FrameTable) {
    this.memory = memory;
    this.frames = frames;
    this.trace = new Trace(frames);
  }

  isTraced(host: number): boolean {
    return (this.frames.flagsAt(host) & TRACE_MASK) !== 0;
  }

  /** Writes `source`, which fits the frame from `host` on. */
  write(host: number, source: Uint8Array): void {
    if (this.isTraced(host)) this.#writeTraced(host, source);
    else this.memory.bytes.set(source, host);
  }

  /** Writes `length` bytes that lie elsewhere in linear memory, as one PE's SCRATCH does. */
  copy(host: number, from: number, length: number): void {
    if (this.isTraced(host)) this.#writeTraced(host, this.memory.bytes.slice(from, from + length));
    else if (length === 8 && ((host | from) & 3) === 0) {
      const words = this.memory.words;
      words[host >>> 2] = words[from >>> 2]!;
      words[(host >>> 2) + 1] = words[(from >>> 2) + 1]!;
    } else this.memory.bytes.copyWithin(host, from, from + length);
  }

  /** Writes the low `length` (1, 2, 4) bytes of `value`, little-endian. */
  writeNumber(host: number, length: 1 | 2 | 4, value: number): void {
    if (this.isTraced(host)) {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, value, true);
      this.#writeTraced(host, bytes.subarray(0, length));
      return;
    }
    const { view } = this.memory;
    if (length === 1) view.setUint8(host, value);
    else if (length === 2) view.setUint16(host, value, true);
    else view.setUint32(host, value, true);
  }

  /**
   * Replaces an aligned double word as one indivisible step if it still holds `expected`; for the walker's
   * flag updates. Returns false, writing nothing, if it does not.
   */
  compareExchange(host: number, expected: bigint, replacement: bigint): boolean {
    const { doubleWords } = this.memory;
    const index = host / 8;
    if (!this.isTraced(host)) {
      return Atomics.compareExchange(doubleWords, index, expected, replacement) === expected;
    }
    if (Atomics.load(doubleWords, index) !== expected) return false;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, replacement, true);
    this.#writeTraced(host, bytes);
    return true;
  }

  #writeTraced(host: number, source: Uint8Array): void {
    const frame = host >>> FRAME_SHIFT;
    const first = host & OFFSET_MASK;
    const length = source.length;
    const flags = this.frames.flags(frame);
    const write = { frame, first, length };
    this.tracedWrites++;
    if ((flags & FRAME_FLAGS.TR_MON) !== 0) {
      const verdict = this.hooks.beforeMonitoredWrite(write, source);
      if (verdict === "abort") this.aborted = this.byInstruction;
      if (verdict !== "allow") return;
    }
    const old = (flags & FRAME_FLAGS.TR_PT) !== 0 ? this.memory.bytes.slice(host, host + length) : undefined;
    this.memory.bytes.set(source, host);
    if (old !== undefined) this.hooks.onTableWrite(write, old);
    if ((flags & FRAME_FLAGS.TR_DIRTY) !== 0) {
      this.trace.remove(frame, "TR_DIRTY");
      this.hooks.onFirstWrite(frame);
    }
    if ((flags & FRAME_FLAGS.TR_CODE) !== 0 && this.frames.hasCode(frame, first, length)) {
      this.codeWrites++;
      this.hooks.onCodeWrite(frame, first, length);
    }
    if ((flags & FRAME_FLAGS.TR_WATCH) !== 0) this.hooks.onWatchedWrite(write);
  }
}
