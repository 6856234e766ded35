import { InputQueue } from "../../input-queue.ts";
import { OPERATION, type PacketHeader, SHUTDOWN } from "./packet.ts";

/** Takes what happens on a connection. No call may throw. */
export interface SocketHandler {
  /** The guest has taken the connection. */
  opened?(): void;
  /**
   * Bytes from the guest, a copy. Until the promise resolves they count as not taken, and after
   * {@link RECEIVE_BUFFER} such bytes the guest has to wait.
   */
  data(bytes: Uint8Array): void | Promise<void>;
  /** The guest will send no more. */
  ended(): void;
  /** Nothing more can be sent or will come. `reset`: not in the ordinary way. */
  closed(reset: boolean): void;
}

/** The host's end of a connection with a guest's socket. */
export interface SocketConnection {
  /** Resolves when the guest has all of `bytes`, or nobody wants them any more. */
  send(bytes: Uint8Array): Promise<void>;
  /** After what has been sent, the guest reads an end of file. */
  end(): void;
  /** Gives the connection up at once. */
  close(): void;
}

/** Bytes that a connection holds for a reader that is slower than the guest. */
export const RECEIVE_BUFFER = 262_144;

/** A packet to be sent; the device fills in addresses. */
export interface Outgoing extends Pick<PacketHeader, "operation" | "flags" | "bufferSize" | "forwarded"> {
  readonly payload: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** One stream between a port of the host and one of the guest. What it has to say is fetched by {@link next}. */
export class Connection implements SocketConnection {
  readonly hostPort: number;
  readonly guestPort: number;
  #state: "requested" | "open" | "closed";
  readonly #handler: SocketHandler;
  readonly #arrived: () => void;
  readonly #input = new InputQueue(() => this.#arrived());
  /** Things to say, apart from bytes. */
  readonly #owed = new Set<"request" | "response" | "credit" | "end">();
  /** The guest has been asked how much it can take, and has said nothing since. */
  #asked = false;
  #ended = false;
  #guestEnded = false;
  #guestTakesNoMore = false;
  /** Counters modulo 2^32, as both sides keep them. */
  #sent = 0;
  #received = 0;
  #forwarded = 0;
  #forwardedTold = 0;
  #guestBuffer = 0;
  #guestForwarded = 0;

  /** `arrived` is called when {@link next} may have something. */
  constructor(
    ports: { readonly host: number; readonly guest: number },
    origin: "host" | "guest",
    handler: SocketHandler,
    arrived: () => void,
  ) {
    this.hostPort = ports.host;
    this.guestPort = ports.guest;
    this.#handler = handler;
    this.#arrived = arrived;
    this.#state = origin === "host" ? "requested" : "open";
    this.#owed.add(origin === "host" ? "request" : "response");
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Whether the guest must be told that the connection is no more. */
  resetOwed = false;

  send(bytes: Uint8Array): Promise<void> {
    if (this.#state === "closed" || this.#ended || this.#guestTakesNoMore) return Promise.resolve();
    return this.#input.receive(bytes);
  }

  end(): void {
    if (this.#state === "closed" || this.#ended) return;
    this.#ended = true;
    this.#owed.add("end");
    this.#arrived();
  }

  close(): void {
    if (this.#state === "closed") return;
    this.resetOwed = true;
    this.finish(false);
    this.#arrived();
  }

  /** Whether {@link next} has a packet. */
  get hasSomething(): boolean {
    const owed = this.#owed;
    if (owed.has("request") || owed.has("response")) return true;
    if (this.#state !== "open") return false;
    if (owed.has("credit")) return true;
    return this.#input.isEmpty ? owed.has("end") : this.#credit() > 0 || !this.#asked;
  }

  /** The next packet for the guest with at most `limit` bytes, or undefined for now. */
  next(limit: number): Outgoing | undefined {
    const owed = this.#owed;
    if (owed.delete("request")) return this.#packet(OPERATION.REQUEST);
    if (owed.delete("response")) return this.#packet(OPERATION.RESPONSE);
    if (this.#state !== "open") return undefined;
    if (owed.delete("credit")) return this.#packet(OPERATION.CREDIT_UPDATE);
    if (!this.#input.isEmpty) {
      const room = Math.min(limit, this.#credit());
      if (room > 0) {
        const payload = this.#input.take(room);
        this.#sent = (this.#sent + payload.length) >>> 0;
        return this.#packet(OPERATION.RW, 0, payload);
      }
      if (this.#asked) return undefined;
      this.#asked = true;
      return this.#packet(OPERATION.CREDIT_REQUEST);
    }
    if (owed.delete("end")) return this.#packet(OPERATION.SHUTDOWN, SHUTDOWN.SEND);
    return undefined;
  }

  /** Takes a packet of the guest. False where it breaks the rules: the connection must be reset. */
  take(header: PacketHeader, payload: Uint8Array): boolean {
    this.#guestBuffer = header.bufferSize;
    this.#guestForwarded = header.forwarded;
    this.#asked = false;
    switch (header.operation) {
      case OPERATION.RESPONSE:
        if (this.#state !== "requested") return false;
        this.#state = "open";
        this.#handler.opened?.();
        break;
      case OPERATION.RST:
        this.finish(this.#state === "requested" || !this.#guestEnded);
        break;
      case OPERATION.SHUTDOWN:
        return this.#shutDown(header.flags);
      case OPERATION.RW:
        return this.#receive(payload);
      case OPERATION.CREDIT_UPDATE:
        break;
      case OPERATION.CREDIT_REQUEST:
        this.#owed.add("credit");
        break;
      default:
        return false;
    }
    return true;
  }

  /** Ends the connection here; nothing is said to the guest. */
  finish(reset: boolean): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#input.clear();
    this.#handler.closed(reset);
  }

  #shutDown(flags: number): boolean {
    if (this.#state !== "open") return false;
    if (flags & SHUTDOWN.RECEIVE && !this.#guestTakesNoMore) {
      this.#guestTakesNoMore = true;
      this.#input.clear();
    }
    if (flags & SHUTDOWN.SEND && !this.#guestEnded) {
      this.#guestEnded = true;
      this.#handler.ended();
    }
    if (this.#guestEnded && this.#guestTakesNoMore) {
      // The guest has closed its socket and waits to hear that we have too.
      this.resetOwed = true;
      this.finish(false);
    }
    return true;
  }

  #receive(payload: Uint8Array): boolean {
    if (this.#state !== "open" || this.#guestEnded) return false;
    this.#received = (this.#received + payload.length) >>> 0;
    if (difference(this.#received, this.#forwarded) > RECEIVE_BUFFER) return false;
    const busy = this.#handler.data(payload);
    if (busy === undefined) this.#forward(payload.length);
    else void busy.then(() => this.#forward(payload.length));
    return true;
  }

  #forward(count: number): void {
    this.#forwarded = (this.#forwarded + count) >>> 0;
    // The guest hears of it with every packet; a special one is for readers, who send nothing.
    if (difference(this.#forwarded, this.#forwardedTold) < RECEIVE_BUFFER / 4) return;
    this.#owed.add("credit");
    this.#arrived();
  }

  /** Bytes that the guest can take. */
  #credit(): number {
    return Math.max(0, this.#guestBuffer - difference(this.#sent, this.#guestForwarded));
  }

  #packet(operation: number, flags = 0, payload: Uint8Array = NOTHING): Outgoing {
    this.#forwardedTold = this.#forwarded;
    this.#owed.delete("credit");
    return { operation, flags, payload, bufferSize: RECEIVE_BUFFER, forwarded: this.#forwarded };
  }
}

/** a - b for counters modulo 2^32. */
function difference(a: number, b: number): number {
  return (a - b) >>> 0;
}
