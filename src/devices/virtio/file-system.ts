import { type AccessLog, SILENT_LOG } from "../access-log.ts";
import type { VirtioBuffer } from "./buffer.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { VIRTIO_DEVICE } from "./protocol.ts";
import type { VirtQueue } from "./queue.ts";

/** What answers the FUSE requests that come through a {@link VirtioFileSystem}. */
export interface FileServer {
  /**
   * Answers one request, in the form of `fuse_in_header` and what follows it, which is only there until the answer
   * is. The answer begins with `fuse_out_header` and has at most `most` bytes; undefined for requests that want
   * none. Whatever the request holds, this does not throw.
   */
  handle(request: Uint8Array, most: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** The driver is gone, and all that it held is to be let go. */
  reset(): void;
}

/** The name under which the guest mounts: at most this many bytes of UTF-8 (virtio 1.2, section 5.11.4). */
export const TAG_SIZE = 36;

/** The largest request: a write of 1 MiB with its headers. */
const MOST_REQUEST = (1 << 20) + 4096;
const MOST_REPLY = (1 << 20) + 4096;
const QUEUE_SIZE = 256;
/** The first and the last request of a mounted file system (fuse.h); between them the server knows files. */
const FUSE_INIT = 26;
const FUSE_DESTROY = 38;
const MOST_IN_FLIGHT = 64;

/** A virtio file system device (virtio 1.2, section 5.11): queue 0 is for urgent requests, the others for all. */
export class VirtioFileSystem implements VirtioDevice {
  readonly name = "fs";
  readonly type = VIRTIO_DEVICE.FILE_SYSTEM;
  readonly features = 0n;
  readonly queueSizes: readonly number[];
  readonly configuration: Uint8Array;
  readonly #server: FileServer;
  readonly #log: AccessLog;
  #host: VirtioHost | undefined;
  #inFlight = 0;
  #batching = false;
  #isMounted = false;
  /** For the request that is being handled, unless it is still under way when the next one comes. */
  #scratch: Uint8Array | undefined = new Uint8Array(MOST_REQUEST);

  constructor(
    tag: string,
    server: FileServer,
    { queues = 1, log = SILENT_LOG }: { queues?: number; log?: AccessLog } = {},
  ) {
    this.#server = server;
    this.#log = log;
    this.queueSizes = Array.from({ length: 1 + queues }, () => QUEUE_SIZE);
    this.configuration = new Uint8Array(TAG_SIZE + 4);
    this.configuration.set(new TextEncoder().encode(tag).subarray(0, TAG_SIZE));
    new DataView(this.configuration.buffer).setUint32(TAG_SIZE, queues, true);
  }

  start(host: VirtioHost): void {
    this.#host = host;
    for (let index = 0; index < this.queueSizes.length; index++) this.notify(index);
  }

  resume(host: VirtioHost): void {
    this.#host = host;
  }

  /** What the guest has open is open on the host, where a snapshot does not reach. */
  cannotBeKept(): string | undefined {
    return this.#isMounted
      ? "it has a shared directory mounted, whose files are open on this computer; unmount it in the guest first"
      : undefined;
  }

  get busy(): boolean {
    return this.#inFlight > 0;
  }

  stop(): void {
    this.#host = undefined;
    this.#isMounted = false;
    this.#server.reset();
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

  #begin(buffer: VirtioBuffer, queue: VirtQueue): void {
    const length = buffer.readableLength;
    if (length > MOST_REQUEST) {
      this.#host?.fail(`file system request of ${length} bytes`);
      return;
    }
    const space = this.#scratch ?? new Uint8Array(length);
    this.#scratch = undefined;
    const request = space.subarray(0, length);
    if (!buffer.read(0, request)) {
      this.#host?.fail("file system request outside memory");
      return;
    }
    const opcode = request.length < 8 ? 0 : request[4]! | (request[5]! << 8);
    if (opcode === FUSE_INIT) this.#isMounted = true;
    if (opcode === FUSE_DESTROY) this.#isMounted = false;
    const answer = this.#server.handle(request, Math.min(buffer.writableLength, MOST_REPLY));
    if (!(answer instanceof Promise)) {
      this.#keep(space);
      this.#finish(buffer, queue, answer);
      return;
    }
    this.#inFlight++;
    const complete = (bytes: Uint8Array | undefined): void => {
      this.#inFlight--;
      this.#keep(space);
      this.#finish(buffer, queue, bytes);
      for (let index = 0; index < this.queueSizes.length; index++) this.notify(index);
    };
    answer.then(complete, (error: unknown) => {
      this.#log.report(this.name, `request failed: ${String(error)}`);
      complete(undefined);
    });
  }

  /** Only what every request fits in: what came meanwhile got a place of its own size. */
  #keep(space: Uint8Array): void {
    if (space.length >= MOST_REQUEST) this.#scratch = space;
  }

  #finish(buffer: VirtioBuffer, queue: VirtQueue, answer: Uint8Array | undefined): void {
    if (!queue.isLive) return;
    if (answer !== undefined && !buffer.write(0, answer)) {
      this.#host?.fail("answer outside RAM");
      return;
    }
    queue.give(buffer, answer?.length ?? 0);
    if (!this.#batching) queue.announce();
  }
}
