import { type AccessLog, SILENT_LOG } from "../access-log.ts";
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
} from "./block-protocol.ts";
import type { VirtioBuffer } from "./buffer.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";
import type { VirtQueue } from "./queue.ts";

/**
 * Where a disk's bytes are. Offsets and lengths are bytes, multiples of 512, inside `size`. An operation that
 * returns nothing is complete; a rejected promise is an I/O error of the guest's disk.
 */
export interface BlockStore {
  /** A multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** At most 20 ASCII characters: /dev/disk/by-id in a Linux guest. */
  readonly serial: string;
  read(offset: number, target: Uint8Array): Promise<void> | void;
  /** `source` may be reused once this is complete. */
  write(offset: number, source: Uint8Array): Promise<void> | void;
  /** What was written before is durable when this is complete. */
  flush(): Promise<void> | void;
  /** The bytes may be forgotten; they may then read as anything. */
  discard?(offset: number, length: number): Promise<void> | void;
  /** The bytes become zero. Without it, zeros are written. */
  writeZeroes?(offset: number, length: number, mayUnmap: boolean): Promise<void> | void;
}

/** Bytes that one request moves at a time, and requests under way at once: together they bound our memory. */
const PIECE = 1 << 20;
const MOST_IN_FLIGHT = 16;
const PHYSICAL_BLOCK = 4096;

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

/** A virtio disk with one queue. Requests complete in any order, some at once, others later. */
export class VirtioBlock implements VirtioDevice {
  readonly name = "block";
  readonly type = VIRTIO_DEVICE.BLOCK;
  readonly features: bigint;
  readonly queueSizes = [256];
  readonly configuration: Uint8Array;
  readonly #store: BlockStore;
  readonly #log: AccessLog;
  #host: VirtioHost | undefined;
  #inFlight = 0;
  /** While requests are taken from the queue, interrupts wait for the end of the batch. */
  #batching = false;

  constructor(store: BlockStore, log: AccessLog = SILENT_LOG) {
    this.#store = store;
    this.#log = log;
    const bits: number[] = [
      BLOCK_FEATURE.SEG_MAX,
      BLOCK_FEATURE.BLK_SIZE,
      BLOCK_FEATURE.FLUSH,
      BLOCK_FEATURE.TOPOLOGY,
    ];
    if (store.readOnly) bits.push(BLOCK_FEATURE.RO);
    else {
      bits.push(BLOCK_FEATURE.WRITE_ZEROES);
      if (store.discard !== undefined) bits.push(BLOCK_FEATURE.DISCARD);
    }
    this.features = featureMask(...bits);
    this.configuration = blockConfiguration(Math.floor(store.size / SECTOR_SIZE), PHYSICAL_BLOCK);
  }

  start(host: VirtioHost): void {
    this.#host = host;
    this.notify(0);
  }

  stop(): void {
    this.#host = undefined;
  }

  notify(_index: number): void {
    const queue = this.#host?.queue(0);
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
      this.notify(0);
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
          return this.#store.readOnly ? IO_ERROR : this.#write(request);
        case BLOCK_REQUEST.FLUSH:
          return then(this.#store.flush(), () => OK);
        case BLOCK_REQUEST.GET_ID:
          return this.#identify(request);
        case BLOCK_REQUEST.DISCARD:
        case BLOCK_REQUEST.WRITE_ZEROES:
          return this.#store.readOnly ? IO_ERROR : this.#ranges(request);
        default:
          return UNSUPPORTED;
      }
    } catch (error) {
      this.#log.report(this.name, `request failed: ${String(error)}`);
      return IO_ERROR;
    }
  }

  #read({ buffer, queue, offset }: Request): Outcome | Promise<Outcome> {
    const length = buffer.writableLength - 1;
    if (!this.#fits(offset, length)) return IO_ERROR;
    return inPieces(length, (done, size) => {
      if (!queue.isLive) return false;
      const bytes = new Uint8Array(size);
      return then(this.#store.read(offset + done, bytes), () => queue.isLive && buffer.write(done, bytes));
    });
  }

  #write({ buffer, queue, offset }: Request): Outcome | Promise<Outcome> {
    const length = buffer.readableLength - REQUEST_HEADER_SIZE;
    if (!this.#fits(offset, length)) return IO_ERROR;
    const written = inPieces(length, (done, size) => {
      const bytes = new Uint8Array(size);
      if (!queue.isLive || !buffer.read(REQUEST_HEADER_SIZE + done, bytes)) return false;
      return then(this.#store.write(offset + done, bytes), () => true);
    });
    return then(written, ({ status }) => ({ status, placed: 0 }));
  }

  #identify({ buffer }: Request): Outcome {
    const bytes = new Uint8Array(Math.min(IDENTIFIER_SIZE, buffer.writableLength - 1));
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.#store.serial.charCodeAt(i) & 0x7f;
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
