import { numberField, type StateField } from "../../base/state-fields.ts";
import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import type { BlockStore } from "../storage/block-store.ts";
import {
  BLOCK_FEATURE,
  BLOCK_REQUEST,
  BLOCK_STATUS,
  type BlockStatus,
  blockConfiguration,
  IDENTIFIER_SIZE,
  MOST_RANGE_SECTORS,
  MOST_RANGES,
  RANGE_SIZE,
  REQUEST_HEADER_SIZE,
  SECTOR_SIZE,
  UNMAP,
  WRITEBACK_OFFSET,
} from "./block-protocol.ts";
import type { VirtioBuffer } from "./buffer.ts";
import { BufferPool } from "./buffer-pool.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";
import type { VirtQueue } from "./queue.ts";

/** Bytes that one request moves at a time, and requests under way at once: together they bound our memory. */
const PIECE = 1 << 20;
const MOST_IN_FLIGHT = 16;
const PHYSICAL_BLOCK = 4096;
/** Descriptors of a request queue. */
const QUEUE_SIZE = 256;

interface Request {
  readonly buffer: VirtioBuffer;
  readonly queue: VirtQueue;
  readonly type: number;
  /** Bytes. */
  readonly offset: number;
}

/** A range of DISCARD or WRITE_ZEROES, in bytes. */
interface Range {
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
}

function readRange(view: DataView): Range {
  return {
    offset: (view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true)) * SECTOR_SIZE,
    length: view.getUint32(8, true) * SECTOR_SIZE,
    flags: view.getUint32(12, true),
  };
}

/** The end of a request: its status and how many data bytes were placed in the buffer. */
interface Outcome {
  readonly status: BlockStatus;
  readonly placed: number;
}

const OK: Outcome = { status: BLOCK_STATUS.OK, placed: 0 };
const IO_ERROR: Outcome = { status: BLOCK_STATUS.IOERR, placed: 0 };
const UNSUPPORTED: Outcome = { status: BLOCK_STATUS.UNSUPP, placed: 0 };

/** How a {@link VirtioBlock} appears. */
export interface VirtioBlockOptions {
  /** At most 20 ASCII characters; the store's own unless given. */
  readonly serial?: string;
  /** Request queues; 1 unless given. */
  readonly queues?: number;
  readonly log?: AccessLog;
}

/** A virtio disk. Requests complete in any order, some at once, others later. */
export class VirtioBlock implements VirtioDevice {
  readonly name = "block";
  readonly type = VIRTIO_DEVICE.BLOCK;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configuration: Uint8Array;
  readonly #store: BlockStore;
  readonly #serial: string;
  readonly #log: AccessLog;
  readonly #pool = new BufferPool(PIECE);
  #host: VirtioHost | undefined;
  #inFlight = 0;
  /** While requests are taken from the queues, interrupts wait for the end of the batch. */
  #batching = false;

  constructor(store: BlockStore, options: VirtioBlockOptions = {}) {
    const { queues = 1, log = SILENT_LOG } = options;
    this.#store = store;
    this.#serial = options.serial ?? store.serial ?? "";
    this.#log = log;
    this.queueSizes = Array.from({ length: queues }, () => QUEUE_SIZE);
    const bits: number[] = [
      BLOCK_FEATURE.SEG_MAX,
      BLOCK_FEATURE.BLK_SIZE,
      BLOCK_FEATURE.FLUSH,
      BLOCK_FEATURE.TOPOLOGY,
      BLOCK_FEATURE.CONFIG_WCE,
    ];
    if (queues > 1) bits.push(BLOCK_FEATURE.MQ);
    if (store.readOnly) bits.push(BLOCK_FEATURE.RO);
    else {
      bits.push(BLOCK_FEATURE.WRITE_ZEROES);
      if (store.discard !== undefined) bits.push(BLOCK_FEATURE.DISCARD);
    }
    this.features = featureMask(...bits);
    this.configuration = blockConfiguration(Math.floor(store.size / SECTOR_SIZE), PHYSICAL_BLOCK, queues);
  }

  start(host: VirtioHost): void {
    this.#host = host;
    for (let index = 0; index < this.queueSizes.length; index++) this.notify(index);
  }

  resume(host: VirtioHost): void {
    this.#host = host;
  }

  /** Of its configuration only what the driver has set; the rest is the disk's. */
  stateFields(): readonly StateField[] {
    const { configuration } = this;
    return [
      numberField(
        "writeback",
        1,
        () => configuration[WRITEBACK_OFFSET] ?? 0,
        (value) => {
          configuration[WRITEBACK_OFFSET] = value;
        },
      ),
    ];
  }

  get busy(): boolean {
    return this.#inFlight > 0;
  }

  stop(): void {
    this.#host = undefined;
    this.configuration[WRITEBACK_OFFSET] = 1;
  }

  writeConfiguration(offset: number, value: number): void {
    if (offset === WRITEBACK_OFFSET && this.#host?.has(BLOCK_FEATURE.CONFIG_WCE) === true)
      this.configuration[WRITEBACK_OFFSET] = value & 1;
  }

  notify(index: number): void {
    const queue = this.#host?.queue(index);
    if (queue === undefined || this.#batching) return;
    this.#batching = true;
    while (this.#inFlight < MOST_IN_FLIGHT) {
      const buffer = queue.take();
      if (buffer === undefined) break;
      this.#begin(buffer, queue);
    }
    this.#batching = false;
    queue.announce();
  }

  /** Whether a write must be durable before it is complete (5.2.5.2, 5.2.6.2). */
  get #writesThrough(): boolean {
    if (this.#host?.has(BLOCK_FEATURE.CONFIG_WCE) === true) return this.configuration[WRITEBACK_OFFSET] === 0;
    return this.#host?.has(BLOCK_FEATURE.FLUSH) !== true;
  }

  #begin(buffer: VirtioBuffer, queue: VirtQueue): void {
    const header = new Uint8Array(REQUEST_HEADER_SIZE);
    if (buffer.writableLength < 1 || !buffer.read(0, header)) {
      this.#host?.fail("block request without header or status");
      return;
    }
    const view = new DataView(header.buffer);
    const sector = view.getUint32(12, true) * 2 ** 32 + view.getUint32(8, true);
    const request = { buffer, queue, type: view.getUint32(0, true), offset: sector * SECTOR_SIZE };
    const pending = this.#execute(request);
    if (!(pending instanceof Promise)) {
      this.#finish(request, pending);
      return;
    }
    this.#inFlight++;
    const complete = (outcome: Outcome) => {
      this.#inFlight--;
      this.#finish(request, outcome);
      // There is room for another request now.
      for (let index = 0; index < this.queueSizes.length; index++) this.notify(index);
    };
    pending.then(complete, (error: unknown) => {
      this.#log.report(this.name, `request failed: ${String(error)}`);
      complete(IO_ERROR);
    });
  }

  #finish({ buffer, queue }: Request, { status, placed }: Outcome): void {
    if (!queue.isLive) return;
    const last = buffer.writableLength - 1;
    if (!buffer.write(last, Uint8Array.of(status))) {
      this.#host?.fail("status outside RAM");
      return;
    }
    // The length counts bytes from the start; only a full buffer reaches the status at its end.
    queue.give(buffer, placed === last ? last + 1 : placed);
    if (!this.#batching) queue.announce();
  }

  #execute(request: Request): Outcome | Promise<Outcome> {
    try {
      switch (request.type) {
        case BLOCK_REQUEST.IN:
          return this.#read(request);
        case BLOCK_REQUEST.OUT:
          return this.#store.readOnly ? IO_ERROR : this.#durably(this.#write(request));
        case BLOCK_REQUEST.FLUSH:
          return then(this.#store.flush(), () => OK);
        case BLOCK_REQUEST.GET_ID:
          return this.#identify(request);
        case BLOCK_REQUEST.DISCARD:
        case BLOCK_REQUEST.WRITE_ZEROES:
          return this.#store.readOnly ? IO_ERROR : this.#durably(this.#ranges(request));
        default:
          return UNSUPPORTED;
      }
    } catch (error) {
      this.#log.report(this.name, `request failed: ${String(error)}`);
      return IO_ERROR;
    }
  }

  /** Without a volatile write cache, a change is complete once it is durable. */
  #durably(pending: Outcome | Promise<Outcome>): Outcome | Promise<Outcome> {
    if (!this.#writesThrough) return pending;
    return then(pending, (outcome) =>
      outcome.status === BLOCK_STATUS.OK ? then(this.#store.flush(), () => outcome) : outcome,
    );
  }

  #read({ buffer, queue, offset }: Request): Outcome | Promise<Outcome> {
    const length = buffer.writableLength - 1;
    if (!this.#fits(offset, length)) return IO_ERROR;
    return inPieces(length, (done, size) => {
      if (!queue.isLive) return false;
      return this.#pool.use(size, (bytes) =>
        then(this.#store.read(offset + done, bytes), () => queue.isLive && buffer.write(done, bytes)),
      );
    });
  }

  #write({ buffer, queue, offset }: Request): Outcome | Promise<Outcome> {
    const length = buffer.readableLength - REQUEST_HEADER_SIZE;
    if (!this.#fits(offset, length)) return IO_ERROR;
    const written = inPieces(length, (done, size) => {
      if (!queue.isLive) return false;
      return this.#pool.use(size, (bytes) => {
        if (!buffer.read(REQUEST_HEADER_SIZE + done, bytes)) return false;
        return then(this.#store.write(offset + done, bytes), () => true);
      });
    });
    return then(written, ({ status }) => ({ status, placed: 0 }));
  }

  #identify({ buffer }: Request): Outcome {
    const bytes = new Uint8Array(Math.min(IDENTIFIER_SIZE, buffer.writableLength - 1));
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#serial.charCodeAt(i) & 0x7f;
    return buffer.write(0, bytes) ? { status: BLOCK_STATUS.OK, placed: bytes.length } : IO_ERROR;
  }

  #ranges({ buffer, type }: Request): Outcome | Promise<Outcome> {
    const length = buffer.readableLength - REQUEST_HEADER_SIZE;
    const count = length / RANGE_SIZE;
    const isDiscard = type === BLOCK_REQUEST.DISCARD;
    if (isDiscard && this.#store.discard === undefined) return UNSUPPORTED;
    if (!Number.isInteger(count) || count < 1 || count > MOST_RANGES) return IO_ERROR;
    const bytes = new Uint8Array(length);
    if (!buffer.read(REQUEST_HEADER_SIZE, bytes)) return IO_ERROR;
    const ranges: Range[] = [];
    for (let at = 0; at < length; at += RANGE_SIZE) {
      const range = readRange(new DataView(bytes.buffer, at, RANGE_SIZE));
      // Reserved flags, and UNMAP in a discard, are unsupported (5.2.6.2).
      if ((range.flags & ~UNMAP) !== 0 || (isDiscard && range.flags !== 0)) return UNSUPPORTED;
      if (range.length > MOST_RANGE_SECTORS * SECTOR_SIZE || !this.#fits(range.offset, range.length))
        return IO_ERROR;
      ranges.push(range);
    }
    return ranges.reduce<Outcome | Promise<Outcome>>(
      (pending, range) =>
        then(pending, (before) =>
          before.status === BLOCK_STATUS.OK ? this.#applyRange(isDiscard, range) : before,
        ),
      OK,
    );
  }

  #applyRange(isDiscard: boolean, { offset, length, flags }: Range): Outcome | Promise<Outcome> {
    if (isDiscard) return then(this.#store.discard?.(offset, length), () => OK);
    if (this.#store.writeZeroes !== undefined)
      return then(this.#store.writeZeroes(offset, length, (flags & UNMAP) !== 0), () => OK);
    const zeros = new Uint8Array(Math.min(length, PIECE));
    const written = inPieces(length, (done, size) =>
      then(this.#store.write(offset + done, zeros.subarray(0, size)), () => true),
    );
    return then(written, ({ status }) => ({ status, placed: 0 }));
  }

  #fits(offset: number, length: number): boolean {
    return length >= 0 && length % SECTOR_SIZE === 0 && offset + length <= this.#store.size;
  }
}

/** Continues at once when `value` is there already, so that synchronous stores stay synchronous. */
function then<Value, Result>(
  value: Value | Promise<Value>,
  next: (value: Value) => Result | Promise<Result>,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Moves `length` bytes a piece at a time; a step that answers false is an I/O error. */
function inPieces(
  length: number,
  step: (done: number, size: number) => boolean | Promise<boolean>,
): Outcome | Promise<Outcome> {
  for (let done = 0; done < length; done += PIECE) {
    const result = step(done, Math.min(PIECE, length - done));
    if (result instanceof Promise) return continueInPieces(length, done, result, step);
    if (!result) return IO_ERROR;
  }
  return { status: BLOCK_STATUS.OK, placed: length };
}

async function continueInPieces(
  length: number,
  start: number,
  first: Promise<boolean>,
  step: (done: number, size: number) => boolean | Promise<boolean>,
): Promise<Outcome> {
  if (!(await first)) return IO_ERROR;
  for (let done = start + PIECE; done < length; done += PIECE)
    if (!(await step(done, Math.min(PIECE, length - done)))) return IO_ERROR;
  return { status: BLOCK_STATUS.OK, placed: length };
}
