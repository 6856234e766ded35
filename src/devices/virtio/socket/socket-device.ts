import { UserError } from "../../../base/errors.ts";
import type { VirtioDevice, VirtioHost } from "../device.ts";
import { VIRTIO_DEVICE } from "../protocol.ts";
import type { VirtQueue } from "../queue.ts";
import { Connection, type SocketConnection, type SocketHandler } from "./connection.ts";
import {
  decodeHeader,
  encodePacket,
  HEADER_SIZE,
  HOST_CID,
  OPERATION,
  type PacketHeader,
  STREAM,
} from "./packet.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
/** For VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, which is 0. */
const EVENTS = 2;
/** Connections at once. A guest that asks for more is refused. */
const MOST_CONNECTIONS = 4096;
/** Refusals that wait for the guest to have room; further ones are lost. */
const MOST_REFUSALS = 256;
/** The most that one packet of a guest may bring (Linux: VIRTIO_VSOCK_MAX_PKT_BUF_SIZE). */
const LARGEST_PACKET = 65_536;
const FIRST_EPHEMERAL_PORT = 49_152;
const LAST_EPHEMERAL_PORT = 2 ** 30;
const NOTHING = new Uint8Array(0);

/** Says what to do with a connection that a guest asks for; undefined refuses it. */
export type SocketListener = (connection: SocketConnection) => SocketHandler | undefined;

/** A virtio socket device (virtio 1.2, section 5.10): streams between ports of the guest and of the host. */
export class VirtioSocket implements VirtioDevice {
  readonly name = "vsock";
  readonly type = VIRTIO_DEVICE.SOCKET;
  readonly features = 0n;
  readonly queueSizes = [128, 128, 16];
  readonly configuration = new Uint8Array(8);
  readonly #guestCid: number;
  readonly #connections = new Map<string, Connection>();
  readonly #listeners = new Map<number, SocketListener>();
  /** Packets that belong to no connection. */
  readonly #refusals: PacketHeader[] = [];
  #host: VirtioHost | undefined;
  #nextPort = FIRST_EPHEMERAL_PORT;
  #pumping = false;

  /** `guestCid` is the guest's address, from 3 up. */
  constructor(guestCid: number) {
    this.#guestCid = guestCid;
    new DataView(this.configuration.buffer).setUint32(0, guestCid, true);
  }

  /** Asks the guest for a connection to its port. The handler hears whether it takes it. */
  connect(port: number, handler: SocketHandler): SocketConnection {
    const host = this.#freePort(port);
    const connection = this.#add({ host, guest: port }, "host", handler);
    this.#pump();
    return connection;
  }

  /** Takes connections to a port of the host. Returns how to stop that. */
  listen(port: number, listener: SocketListener): () => void {
    if (this.#listeners.has(port)) throw new UserError(`The port ${port} of the host is taken already.`);
    this.#listeners.set(port, listener);
    return () => {
      this.#listeners.delete(port);
    };
  }

  start(host: VirtioHost): void {
    this.#host = host;
    this.notify(TRANSMIT);
    this.#pump();
  }

  /**
   * The streams ended with the machine that the state comes from, which the driver is told as the specification has it
   * (5.10.6.9): all of its connections are reset, and listening sockets stay.
   */
  resume(host: VirtioHost): void {
    this.#host = host;
    const queue = host.queue(EVENTS);
    const buffer = queue?.take();
    if (queue === undefined || buffer === undefined) return;
    const event = new Uint8Array(4);
    queue.give(buffer, buffer.write(0, event) ? event.length : 0);
    queue.announce();
    this.#pump();
  }

  stop(): void {
    this.#host = undefined;
    this.#refusals.length = 0;
    for (const connection of [...this.#connections.values()]) connection.finish(true);
    this.#connections.clear();
  }

  notify(index: number): void {
    if (index === TRANSMIT) this.#takePackets();
    this.#pump();
  }

  #freePort(guestPort: number): number {
    for (;;) {
      const port = this.#nextPort++;
      if (this.#nextPort > LAST_EPHEMERAL_PORT) this.#nextPort = FIRST_EPHEMERAL_PORT;
      if (!this.#connections.has(keyOf(port, guestPort))) return port;
    }
  }

  #add(
    ports: { readonly host: number; readonly guest: number },
    origin: "host" | "guest",
    handler: SocketHandler,
  ): Connection {
    const connection = new Connection(ports, origin, handler, () => this.#pump());
    this.#connections.set(keyOf(ports.host, ports.guest), connection);
    return connection;
  }

  #takePackets(): void {
    const queue = this.#host?.queue(TRANSMIT);
    for (let buffer = queue?.take(); buffer !== undefined; buffer = queue?.take()) {
      const bytes = new Uint8Array(HEADER_SIZE);
      if (!buffer.read(0, bytes)) {
        this.#host?.fail("vsock packet without a whole header");
        return;
      }
      const header = decodeHeader(bytes);
      if (header !== undefined) {
        if (header.length > LARGEST_PACKET || header.length > buffer.readableLength - HEADER_SIZE) {
          this.#host?.fail("vsock packet longer than its buffer");
          return;
        }
        const payload = new Uint8Array(header.length);
        if (buffer.read(HEADER_SIZE, payload)) this.#takePacket(header, payload);
      }
      queue?.give(buffer, 0);
    }
    queue?.announce();
  }

  #takePacket(header: PacketHeader, payload: Uint8Array): void {
    // Nobody else can be reached, and nobody else can ask.
    if (header.source !== this.#guestCid || header.destination !== HOST_CID) {
      this.#refuse(header);
      return;
    }
    const key = keyOf(header.destinationPort, header.sourcePort);
    const connection = this.#connections.get(key);
    if (connection !== undefined) {
      if (header.type === STREAM && connection.take(header, payload)) return;
      connection.resetOwed = true;
      connection.finish(true);
      return;
    }
    if (header.operation === OPERATION.REQUEST && header.type === STREAM && this.#accept(header)) return;
    this.#refuse(header);
  }

  #accept(header: PacketHeader): boolean {
    const listener = this.#listeners.get(header.destinationPort);
    if (listener === undefined || this.#connections.size >= MOST_CONNECTIONS) return false;
    const ports = { host: header.destinationPort, guest: header.sourcePort };
    // The connection exists before its handler does, so that the handler can be made for it.
    let handler: SocketHandler | undefined;
    const connection = this.#add(ports, "guest", {
      data: (bytes) => handler?.data(bytes),
      ended: () => handler?.ended(),
      closed: (reset) => handler?.closed(reset),
    });
    handler = listener(connection);
    if (handler === undefined) {
      connection.finish(true);
      this.#connections.delete(keyOf(ports.host, ports.guest));
      return false;
    }
    connection.take({ ...header, operation: OPERATION.CREDIT_UPDATE }, NOTHING);
    return true;
  }

  /** Answers a packet of no connection with a reset; a reset itself needs no answer. */
  #refuse(header: PacketHeader): void {
    if (header.operation === OPERATION.RST || this.#refusals.length >= MOST_REFUSALS) return;
    this.#refusals.push(header);
  }

  /** Fills the guest's receive buffers with what there is to say, connection by connection in turn. */
  #pump(): void {
    const queue = this.#host?.queue(RECEIVE);
    if (queue === undefined || this.#pumping) return;
    this.#pumping = true;
    try {
      this.#sendRefusals(queue);
      for (let progress = true; progress; ) {
        progress = false;
        for (const [key, connection] of this.#connections) {
          if (connection.isClosed) {
            this.#retire(key, connection);
            continue;
          }
          if (this.#sendOne(queue, connection)) progress = true;
        }
      }
      this.#sendRefusals(queue);
    } finally {
      this.#pumping = false;
    }
    queue.announce();
  }

  #retire(key: string, connection: Connection): void {
    this.#connections.delete(key);
    if (!connection.resetOwed) return;
    this.#refuse({
      source: this.#guestCid,
      destination: HOST_CID,
      sourcePort: connection.guestPort,
      destinationPort: connection.hostPort,
      length: 0,
      type: STREAM,
      operation: OPERATION.SHUTDOWN,
      flags: 0,
      bufferSize: 0,
      forwarded: 0,
    });
  }

  #sendRefusals(queue: VirtQueue): void {
    while (this.#refusals.length > 0) {
      const buffer = queue.take();
      if (buffer === undefined) return;
      const refused = this.#refusals.shift()!;
      const bytes = encodePacket(
        {
          source: refused.destination,
          destination: refused.source,
          sourcePort: refused.destinationPort,
          destinationPort: refused.sourcePort,
          type: refused.type,
          operation: OPERATION.RST,
          flags: 0,
          bufferSize: 0,
          forwarded: 0,
        },
        NOTHING,
      );
      queue.give(buffer, buffer.write(0, bytes) ? bytes.length : 0);
    }
  }

  /** One packet of a connection, if it has one and the guest has a buffer. */
  #sendOne(queue: VirtQueue, connection: Connection): boolean {
    if (!connection.hasSomething) return false;
    const buffer = queue.take();
    if (buffer === undefined) return false;
    if (buffer.writableLength <= HEADER_SIZE) {
      this.#host?.fail("vsock receive buffer that holds no packet");
      return false;
    }
    const outgoing = connection.next(buffer.writableLength - HEADER_SIZE);
    if (outgoing === undefined) {
      // Cannot be: hasSomething said so. The buffer goes back unused rather than lost.
      queue.give(buffer, 0);
      return false;
    }
    const { payload, ...rest } = outgoing;
    const addresses = {
      source: HOST_CID,
      destination: this.#guestCid,
      sourcePort: connection.hostPort,
      destinationPort: connection.guestPort,
      type: STREAM,
    };
    const bytes = encodePacket({ ...addresses, ...rest }, payload);
    queue.give(buffer, buffer.write(0, bytes) ? bytes.length : 0);
    return true;
  }
}

function keyOf(hostPort: number, guestPort: number): string {
  return `${hostPort}:${guestPort}`;
}
