import { Duplex } from "node:stream";
import type { GuestSockets, SocketConnection } from "../../machine/virtual-machine-interface.ts";

/** A connection came to nothing: nobody in the guest listens on the port, or the guest is gone. */
export class ConnectionRefused extends Error {}

/** Opens `count` streams to a port of the guest, which gets them in the result's order. */
export type StreamOpener = (port: number, count: number) => Promise<readonly Duplex[]>;

/** Opens one. */
export async function openOne(open: StreamOpener, port: number): Promise<Duplex> {
  const [stream] = await open(port, 1);
  return stream!; // it was asked for
}

/** Opens streams over a machine's socket device. When the machine has ended, so have they. */
export function streamOpener(sockets: GuestSockets, ended?: Promise<unknown>): StreamOpener {
  const streams = new Set<SocketStream>();
  let isOver = false;
  void ended?.then(() => {
    isOver = true;
    for (const stream of streams) stream.handler.closed(true);
  });
  const one = (port: number): Promise<SocketStream> =>
    new Promise((resolve, reject) => {
      // Nothing would ever answer.
      if (isOver) return reject(new ConnectionRefused("the machine has ended"));
      const stream = new SocketStream(() => resolve(stream), reject);
      streams.add(stream);
      stream.once("close", () => streams.delete(stream));
      stream.connection = sockets.connect(port, stream.handler);
    });
  // The device asks the guest in the order of the calls, and the guest hears of all by one interrupt.
  return (port, count) => allOpened(Array.from({ length: count }, () => one(port)));
}

/** All of them, or the first refusal; what has come nevertheless is given up then. */
async function allOpened(coming: readonly Promise<SocketStream>[]): Promise<readonly SocketStream[]> {
  try {
    return await Promise.all(coming);
  } catch (error) {
    for (const one of coming) {
      one.then(
        (stream) => stream.destroy(),
        () => {},
      );
    }
    throw error;
  }
}

/** A Node stream over a connection with the guest. A slow reader makes the guest wait. */
export class SocketStream extends Duplex {
  connection: SocketConnection | undefined;
  readonly handler = {
    opened: (): void => {
      this.#opened = true;
      this.#onOpen();
    },
    data: (bytes: Uint8Array): void | Promise<void> => {
      if (this.destroyed || this.push(bytes)) return undefined;
      return new Promise((resolve) => this.#waiting.push(resolve));
    },
    ended: (): void => this.#end(),
    closed: (reset: boolean): void => {
      this.#gone = true;
      if (!this.#opened) this.#onRefused(new ConnectionRefused("nobody takes the connection"));
      else if (reset && !this.#ended) this.destroy(new ConnectionRefused("the connection broke"));
      else this.#end();
    },
  };
  readonly #onOpen: () => void;
  readonly #onRefused: (error: Error) => void;
  /** Those whose bytes nobody has read yet: the guest goes on sending for as long as it has credit. */
  #waiting: (() => void)[] = [];
  #opened = false;
  #ended = false;
  #gone = false;

  constructor(onOpen: () => void, onRefused: (error: Error) => void) {
    super({ allowHalfOpen: true });
    this.#onOpen = onOpen;
    this.#onRefused = onRefused;
    // Whoever uses the stream hears of it by its end or its own listener.
    this.on("error", () => {});
  }

  override _read(): void {
    this.#goOn();
  }

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    if (this.#gone) done(new ConnectionRefused("the connection is closed"));
    else
      void this.connection!.send(bytes).then(() =>
        done(this.#gone ? new ConnectionRefused("the connection is closed") : undefined),
      );
  }

  override _final(done: () => void): void {
    this.connection!.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#goOn();
    this.connection?.close();
    done(error);
  }

  #goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #end(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    this.push(null);
  }
}
