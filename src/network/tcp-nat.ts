import {
  addressKey,
  formatAddress,
  type IpAddress,
  ipVersion,
  isGateway,
  LOOPBACK,
  NETWORK,
} from "./addresses.ts";
import type { GuestSide } from "./guest-side.ts";
import type { HostNetwork, HostStream, IncomingStream, StreamEvents } from "./host-network.ts";
import { quote, sendUnreachable } from "./icmp.ts";
import type { IpPacket } from "./ip-packet.ts";
import { SegmentWriter } from "./segment-writer.ts";
import { resetFor, TcpConnection, type TcpTable } from "./tcp-connection.ts";
import { TCP_FLAG, type TcpSegment } from "./tcp-segment.ts";

/** Connections at once, either way; more are refused. */
const MOST_CONNECTIONS = 4096;
/** Bytes that all of them may buffer each way, and what one has of that at least and at most. */
const BUDGET = 64 << 20;
const LEAST_BUFFER = 16 << 10;
const MOST_BUFFER = 2 << 20;
/** Milliseconds between two looks at deadlines. */
const TICK = 200;
/** From here up are the gateway's ports for connections into the guest (IANA's dynamic ports). */
const FIRST_PORT = 49_152;

/** A service of the network's own behind an address and port. */
export type InsideService = (events: StreamEvents) => HostStream;

export interface TcpNatParts {
  readonly host: HostNetwork;
  readonly guest: GuestSide;
  /** Whether the guest may connect to an address. */
  readonly allows: (address: IpAddress, port: number) => boolean;
  /** What the network itself offers there; "nobody" for addresses behind which there is nothing. */
  readonly inside: (address: IpAddress, port: number) => InsideService | "nobody" | undefined;
  /** {@link TcpNat.settle} should be called in a moment. */
  readonly later: () => void;
}

/** All TCP connections between the guest and the host. */
export class TcpNat implements TcpTable {
  readonly #parts: TcpNatParts;
  readonly #host: HostNetwork;
  readonly #guest: GuestSide;
  readonly #connections = new Map<string, TcpConnection>();
  /** Those above, and closed ones whose stream still writes. */
  readonly #alive = new Set<TcpConnection>();
  #ready = new Set<TcpConnection>();
  /** Those that hold acknowledgements back: since the last call of {@link settle}, and before. */
  #holding = new Set<TcpConnection>();
  #heldLong = new Set<TcpConnection>();
  #cancelTick: (() => void) | undefined;
  #nextPort = FIRST_PORT;
  /** Connections that were refused because there were too many. */
  refused = 0;

  constructor(parts: TcpNatParts) {
    this.#parts = parts;
    this.#host = parts.host;
    this.#guest = parts.guest;
  }

  get connections(): number {
    return this.#alive.size;
  }

  /** Bytes that all connections buffer now. */
  get buffered(): number {
    let sum = 0;
    for (const connection of this.#alive) sum += connection.buffered;
    return sum;
  }

  receive(packet: IpPacket, segment: TcpSegment, owned: boolean): void {
    const key = keyOf(packet.source, segment.sourcePort, packet.destination, segment.destinationPort);
    const connection = this.#connections.get(key);
    if (connection !== undefined) connection.receive(segment, owned);
    else if ((segment.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK | TCP_FLAG.RST)) === TCP_FLAG.SYN)
      this.#call(key, packet, segment);
    else this.#refuse(packet, segment);
  }

  /** Calls the guest's `port` for a connection that has come to the host. */
  accept(port: number, incoming: IncomingStream): void {
    const { guest4: guest, gateway4: remote } = NETWORK;
    const remotePort = this.#freePort(port);
    if (remotePort === undefined || this.#alive.size >= MOST_CONNECTIONS || this.#guest.card === undefined) {
      this.refused++;
      const nobody: StreamEvents = {
        connected() {},
        data() {},
        ended() {},
        written() {},
        closed() {},
        failed() {},
      };
      incoming(nobody).reset();
      return;
    }
    const key = keyOf(guest, port, remote, remotePort);
    const writer = new SegmentWriter(this.#guest, { guest, guestPort: port, remote, remotePort });
    const connection = new TcpConnection({ table: this, writer, version: 4, key });
    this.#add(connection);
    connection.callToGuest(incoming(connection));
  }

  /** Lets connections that have something to send take turns until they are done or the guest has no room. */
  pump(): void {
    while (this.#ready.size > 0) {
      const turn = this.#ready;
      this.#ready = new Set();
      let full = false;
      for (const connection of turn) {
        if (full) {
          this.#ready.add(connection);
          continue;
        }
        const result = connection.transmit();
        if (result !== "done") this.#ready.add(connection);
        full = result === "no room";
      }
      if (full) return;
    }
  }

  /** The guest is gone. What it had sent to the end still goes out. */
  clear(): void {
    for (const connection of [...this.#alive]) connection.leave();
    this.#connections.clear();
    this.#ready.clear();
    this.#holding.clear();
    this.#heldLong.clear();
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  /** Nothing goes out any more. */
  destroy(): void {
    for (const connection of [...this.#alive]) connection.abort();
    this.#alive.clear();
  }

  // What connections ask.

  now(): number {
    return this.#host.now();
  }

  initialSequence(): number {
    return new DataView(this.#host.randomBytes(4).slice().buffer).getUint32(0);
  }

  bufferLimit(): number {
    return Math.max(LEAST_BUFFER, Math.min(MOST_BUFFER, Math.floor(BUDGET / this.#alive.size)));
  }

  ready(connection: TcpConnection): void {
    this.#ready.add(connection);
    this.#guest.touch();
  }

  hold(connection: TcpConnection): void {
    // What it held before has been sent.
    this.#heldLong.delete(connection);
    this.#holding.add(connection);
    this.#parts.later();
  }

  /** Sends the acknowledgements that have been held back since before the last call; true while there are more. */
  settle(): boolean {
    for (const connection of this.#heldLong) connection.waitNoLonger();
    this.#heldLong = this.#holding;
    this.#holding = new Set();
    for (const connection of this.#heldLong)
      if (!connection.holdsAcknowledgement) this.#heldLong.delete(connection);
    return this.#heldLong.size > 0;
  }

  timing(): void {
    this.#cancelTick ??= this.#host.after(TICK, () => this.#tick());
  }

  forget(connection: TcpConnection): void {
    if (this.#connections.get(connection.key) === connection) this.#connections.delete(connection.key);
    this.#ready.delete(connection);
    this.#holding.delete(connection);
    this.#heldLong.delete(connection);
  }

  release(connection: TcpConnection): void {
    this.#alive.delete(connection);
  }

  #tick(): void {
    this.#cancelTick = undefined;
    const now = this.now();
    let waiting = false;
    for (const connection of [...this.#connections.values()]) {
      if ((connection.deadline ?? Number.POSITIVE_INFINITY) <= now) connection.expire();
      waiting ||= connection.deadline !== undefined;
    }
    if (waiting) this.timing();
  }

  #call(key: string, packet: IpPacket, segment: TcpSegment): void {
    const { source, destination, version } = packet;
    const { destinationPort: remotePort, sourcePort: guestPort } = segment;
    const inside = this.#parts.inside(destination, remotePort);
    if (inside === "nobody") {
      sendUnreachable(packet, "no host", this.#guest);
      return;
    }
    if (this.#alive.size >= MOST_CONNECTIONS) this.refused++;
    const open = this.#alive.size < MOST_CONNECTIONS && remotePort !== 0 && guestPort !== 0;
    if (!open || (typeof inside !== "function" && !this.#parts.allows(destination, remotePort))) {
      this.#refuse(packet, segment);
      return;
    }
    const ends = { guest: source.slice(), guestPort, remote: destination.slice(), remotePort };
    const quoted = quote(packet);
    const connection = new TcpConnection({
      table: this,
      writer: new SegmentWriter(this.#guest, ends),
      version,
      key,
      onUnreachable: () => sendUnreachable(quoted, "no host", this.#guest),
    });
    this.#add(connection);
    const address = isGateway(destination) ? LOOPBACK[ipVersion(destination)] : formatAddress(destination);
    const connect = inside ?? ((events) => this.#host.connect(address, remotePort, events));
    connection.callFromGuest(segment, connect);
  }

  #add(connection: TcpConnection): void {
    this.#connections.set(connection.key, connection);
    this.#alive.add(connection);
  }

  #refuse({ source, destination }: IpPacket, segment: TcpSegment): void {
    const reset = resetFor(segment);
    if (reset === undefined) return;
    const { sourcePort: guestPort, destinationPort: remotePort } = segment;
    const ends = { guest: source, guestPort, remote: destination, remotePort };
    new SegmentWriter(this.#guest, ends).sendSurely(reset);
  }

  #freePort(guestPort: number): number | undefined {
    const count = 65_536 - FIRST_PORT;
    for (let tries = 0; tries < count; tries++) {
      const port = this.#nextPort;
      this.#nextPort = port === 65_535 ? FIRST_PORT : port + 1;
      if (!this.#connections.has(keyOf(NETWORK.guest4, guestPort, NETWORK.gateway4, port))) return port;
    }
    return undefined;
  }
}

function keyOf(guest: IpAddress, guestPort: number, remote: IpAddress, remotePort: number): string {
  return String.fromCharCode(guestPort, remotePort) + addressKey(guest) + addressKey(remote);
}
