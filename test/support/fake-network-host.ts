import type {
  DatagramEvents,
  EchoOutcome,
  HostDatagrams,
  HostListener,
  HostNetwork,
  HostStream,
  IncomingStream,
  StreamEvents,
} from "../../src/network/host-network.ts";
import type { Random } from "./random.ts";

/** One stream of the fake host: the test plays the far end. */
export class FakeStream implements HostStream {
  readonly address: string;
  readonly port: number;
  readonly events: StreamEvents;
  /** What the guest has sent. */
  readonly received: Uint8Array[] = [];
  ended = false;
  paused = false;
  broken = false;
  left = false;
  /** Written at once, or only when {@link drain} is called. */
  slow = false;
  #unwritten = 0;

  constructor(address: string, port: number, events: StreamEvents) {
    this.address = address;
    this.port = port;
    this.events = events;
  }

  write(bytes: Uint8Array): void {
    this.received.push(bytes);
    if (this.slow) this.#unwritten += bytes.length;
    else this.events.written(bytes.length);
  }

  /** Bytes that the far end has not read yet. */
  get unwritten(): number {
    return this.#unwritten;
  }

  drain(): void {
    const bytes = this.#unwritten;
    this.#unwritten = 0;
    if (bytes > 0) this.events.written(bytes);
  }

  end(): void {
    this.ended = true;
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  leave(): void {
    this.left = true;
    this.events.failed("reset");
  }
  reset(): void {
    this.broken = true;
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.received);
  }
}

export class FakeDatagrams implements HostDatagrams, HostListener {
  readonly port: number;
  readonly events: DatagramEvents;
  readonly sent: { bytes: Uint8Array; address: string; port: number }[] = [];
  closed = false;

  constructor(events: DatagramEvents, port = 0) {
    this.events = events;
    this.port = port;
  }

  send(bytes: Uint8Array, address: string, port: number): boolean {
    this.sent.push({ bytes, address, port });
    return true;
  }

  close(): void {
    this.closed = true;
  }
}

/** A host without sockets, whose time stands still until it is moved on. */
export class FakeNetworkHost implements HostNetwork {
  time = 0;
  readonly streams: FakeStream[] = [];
  readonly datagrams: FakeDatagrams[] = [];
  readonly listeners = new Map<number, (stream: IncomingStream) => void>();
  /** What becomes of a connection; unless set, it stands at once. */
  onConnect: (stream: FakeStream) => void = (stream) => stream.events.connected();
  onResolve: (query: Uint8Array) => Uint8Array | undefined = () => undefined;
  onEcho: (address: string) => EchoOutcome | Promise<EchoOutcome> = () => "impossible";
  readonly #random: Random;
  #alarms: { at: number; callback: () => void }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  now(): number {
    return this.time;
  }

  after(milliseconds: number, callback: () => void): () => void {
    const alarm = { at: this.time + milliseconds, callback };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  soon(callback: () => void): void {
    this.after(0, callback);
  }

  /** Lets time pass; what is due happens in its order. */
  advance(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const due = this.#alarms.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#alarms = this.#alarms.filter((other) => other !== due);
      this.time = Math.max(this.time, due.at);
      due.callback();
    }
    this.time = end;
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.below(256));
  }

  connect(address: string, port: number, events: StreamEvents): HostStream {
    const stream = new FakeStream(address, port, events);
    this.streams.push(stream);
    this.after(1, () => {
      if (!stream.broken) this.onConnect(stream);
    });
    return stream;
  }

  async listen(_address: string, port: number, accept: (stream: IncomingStream) => void) {
    this.listeners.set(port, accept);
    return { port, close: () => void this.listeners.delete(port) };
  }

  openDatagrams(_version: 4 | 6, events: DatagramEvents): FakeDatagrams {
    const datagrams = new FakeDatagrams(events);
    this.datagrams.push(datagrams);
    return datagrams;
  }

  async bindDatagrams(_address: string, port: number, events: DatagramEvents): Promise<FakeDatagrams> {
    const datagrams = new FakeDatagrams(events, port);
    this.datagrams.push(datagrams);
    return datagrams;
  }

  async echo(address: string): Promise<EchoOutcome> {
    return await this.onEcho(address);
  }

  async resolve(query: Uint8Array): Promise<Uint8Array | undefined> {
    return this.onResolve(query);
  }
}
