/** What the user-mode network asks of its host: sockets, names, time. Addresses are text, as in "192.0.2.1". */

/** Why a connection of the host's is over before its time. */
export type StreamFailure = "refused" | "unreachable" | "timed out" | "reset";

/** What happens to a {@link HostStream}. Nothing comes after `failed` or `closed`, of which each stream has one. */
export interface StreamEvents {
  connected(): void;
  /** The receiver keeps `bytes`. */
  data(bytes: Uint8Array): void;
  /** The other side sends no more; what we send still arrives. */
  ended(): void;
  /** So many bytes that were given to `write` are out of this process. */
  written(bytes: number): void;
  /** Both directions have ended, and everything is written. */
  closed(): void;
  failed(reason: StreamFailure): void;
}

/** One TCP connection of the host. */
export interface HostStream {
  /** `bytes` must stay as they are. */
  write(bytes: Uint8Array): void;
  /** Sends no more after what was written. */
  end(): void;
  /** Stops and restarts `data`; a little may still come after a pause. */
  pause(): void;
  resume(): void;
  /** Nobody listens any more: what was written still goes out. `failed` or `closed` follows. */
  leave(): void;
  /** Breaks it off; no event follows, not even the last. */
  reset(): void;
}

/** UDP of the host: one local port, any remote ones. */
export interface HostDatagrams {
  /** Returns false when so much waits to be sent that this one was dropped. */
  send(bytes: Uint8Array, address: string, port: number): boolean;
  close(): void;
}

export interface DatagramEvents {
  /** The receiver keeps `bytes`. */
  data(bytes: Uint8Array, address: string, port: number): void;
  /** There is no socket to be had; `data` will not follow. */
  failed(): void;
}

/** Something that takes connections or datagrams from outside. */
export interface HostListener {
  /** The port that was bound, where 0 asked for any. */
  readonly port: number;
  close(): void;
}

/** What asking somebody for an echo came to. */
export type EchoOutcome =
  | "answered"
  /** Nothing came back in some seconds. */
  | "silent"
  | "unreachable"
  /** This host cannot ask. */
  | "impossible";

/** The host's side of one incoming connection; `events` are given once. Paused until `resume`. */
export type IncomingStream = (events: StreamEvents) => HostStream;

export interface HostNetwork {
  /** Milliseconds on a steady clock. */
  now(): number;
  /** Calls back once; the result cancels that. Keeps the process alive only where `holding` says so. */
  after(milliseconds: number, callback: () => void, holding?: boolean): () => void;
  /** Calls back once everything that has arrived by now is handled. */
  soon(callback: () => void): void;
  randomBytes(length: number): Uint8Array;
  /** `data` flows from the start. */
  connect(address: string, port: number, events: StreamEvents): HostStream;
  /** Rejects with a UserError where the port is not to be had. */
  listen(address: string, port: number, accept: (stream: IncomingStream) => void): Promise<HostListener>;
  openDatagrams(version: 4 | 6, events: DatagramEvents): HostDatagrams;
  bindDatagrams(address: string, port: number, events: DatagramEvents): Promise<HostDatagrams & HostListener>;
  /** Asks an address for an echo (ICMP). Never rejects. */
  echo(address: string): Promise<EchoOutcome>;
  /** The answer of the host's resolver to a DNS message; undefined when there is none. Never rejects. */
  resolve(query: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined>;
}
