import type { StateField } from "../../base/state-fields.ts";
import type { DeliveryOffload, Network, NetworkCard } from "../../network/link.ts";
import type { VirtioBuffer } from "./buffer.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { NetFilter } from "./net-filter.ts";
import { NetFlows } from "./net-flows.ts";
import {
  CONTROL_ERROR,
  CONTROL_OK,
  GSO_TYPE,
  LINK_UP,
  NET_CONFIGURATION,
  NET_FEATURE,
  NET_FLAG,
  NET_HEADER,
  NET_QUEUE,
} from "./net-protocol.ts";
import { NetReceiver } from "./net-receiver.ts";
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";

/** Frames from the guest up to this size are read to the same place again and again; longer ones are the network's. */
const SHORT_FRAME = 2048;
/** 64 KiB of IP packet behind the longest Ethernet header with a VLAN tag. */
const LONGEST_FRAME = 65_535 + 18;
const LONGEST_CONTROL = 4096;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
/**
 * The driver is told at once that frames are gone when they are so many, each counted as one and one more for every
 * 2 KiB; it is told later of less.
 */
const MANY_TRANSMITTED = 16;
const TRANSMITTED_SHIFT = 11;
const NONE = new Uint8Array(0);

export interface VirtioNetOptions {
  readonly network: Network;
  /** Six bytes. */
  readonly macAddress: Uint8Array;
  /** Bytes of the longest IP packet on the link. */
  readonly mtu?: number;
  /** Pairs of queues, so that each processing element may have its own: from 1, which it is unless given, to 255. */
  readonly pairs?: number;
}

/** A virtio network card (virtio 1.2, section 5.1) with one or more pairs of queues and a control queue. */
export class VirtioNet implements VirtioDevice, NetworkCard {
  readonly name = "net";
  readonly type = VIRTIO_DEVICE.NETWORK;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  readonly configuration = new Uint8Array(NET_CONFIGURATION.SIZE);
  readonly mtu: number;
  readonly #network: Network;
  readonly #filter: NetFilter;
  /** One for each pair of queues. */
  readonly #receivers: readonly NetReceiver[];
  readonly #flows = new NetFlows();
  readonly #short = new Uint8Array(SHORT_FRAME);
  readonly #header = new Uint8Array(NET_HEADER.SIZE);
  readonly #headerView = new DataView(this.#header.buffer);
  #host: VirtioHost | undefined;
  #linkUp = true;
  /** What the driver does, and joins its buffers for. */
  #completesChecksums = false;
  #joins = { 4: false, 6: false };
  #merges = false;
  #working = false;
  /** What was transmitted since the driver was told, in the unit of {@link MANY_TRANSMITTED}. */
  #untold = 0;

  constructor({ network, macAddress, mtu = 1500, pairs = 1 }: VirtioNetOptions) {
    this.#network = network;
    this.#filter = new NetFilter(macAddress, pairs);
    this.#receivers = Array.from({ length: pairs }, () => new NetReceiver());
    this.queueSizes = [...Array<number>(2 * pairs).fill(QUEUE_SIZE), CONTROL_QUEUE_SIZE];
    const { MQ, ...features } = NET_FEATURE;
    this.features = featureMask(...Object.values(features), ...(pairs > 1 ? [MQ] : []));
    this.mtu = mtu;
    this.configuration.set(macAddress, NET_CONFIGURATION.MAC);
    const view = new DataView(this.configuration.buffer);
    view.setUint16(NET_CONFIGURATION.STATUS, LINK_UP, true);
    view.setUint16(NET_CONFIGURATION.MOST_PAIRS, pairs, true);
    view.setUint16(NET_CONFIGURATION.MTU, mtu, true);
  }

  get macAddress(): Uint8Array {
    return this.#filter.macAddress;
  }

  /** Plugs the cable in or out. Without it, frames go nowhere. */
  setLink(up: boolean): void {
    this.#linkUp = up;
    new DataView(this.configuration.buffer).setUint16(NET_CONFIGURATION.STATUS, up ? LINK_UP : 0, true);
    this.#host?.configurationChanged();
  }

  // The device.

  start(host: VirtioHost): void {
    this.#host = host;
    this.#lookAtOffloads();
    this.#network.start(this);
    for (let pair = 0; pair < this.#receivers.length; pair++) this.#transmit(pair);
    this.#control();
  }

  /** Connections through the network end: the new one does not know them, and says so by resets. */
  resume(host: VirtioHost): void {
    this.#host = host;
    this.#lookAtOffloads();
    this.configuration.set(this.#filter.macAddress, NET_CONFIGURATION.MAC);
    this.#network.start(this);
    // The driver may not know yet that what it has transmitted is gone.
    this.#network.transmitted();
  }

  stateFields(): readonly StateField[] {
    return this.#filter.stateFields();
  }

  stop(): void {
    const running = this.#host !== undefined;
    this.#host = undefined;
    if (running) this.#network.stop();
    this.#filter.reset();
    for (const receiver of this.#receivers) receiver.forget();
    this.#flows.forget();
  }

  notify(index: number): void {
    const receiver = this.#receivers[index >> 1];
    if (index === this.#controlQueue) this.#control();
    else if (receiver === undefined) return;
    else if (index & 1) this.#transmit(index >> 1);
    else if (receiver.full) {
      receiver.full = false;
      this.#network.roomAvailable();
    }
  }

  get #controlQueue(): number {
    return this.#host?.has(NET_FEATURE.MQ) === true ? 2 * this.#receivers.length : NET_QUEUE.CONTROL;
  }

  // The card.

  get completesChecksums(): boolean {
    return this.#completesChecksums;
  }

  takesJoinedSegments(version: 4 | 6): boolean {
    return this.#joins[version];
  }

  deliver(pieces: readonly Uint8Array[], offload?: DeliveryOffload): boolean {
    const host = this.#host;
    const [first = NONE] = pieces;
    // What the guest does not want, or the cable does not carry, is lost as on any network.
    if (host !== undefined && (!this.#linkUp || !this.#filter.wants(first.subarray(0, 6)))) return true;
    const { pairs } = this.#filter;
    const wanted = pairs > 1 ? this.#flows.pairFor(first) : 0;
    const pair = wanted < pairs ? wanted : 0;
    const result = this.#receivers[pair]!.deliver(host?.queue(2 * pair + NET_QUEUE.RECEIVE), {
      pieces,
      length: pieces.reduce<number>((sum, piece) => sum + piece.length, NET_HEADER.SIZE),
      merges: this.#merges,
      header: (buffers) => this.#headerFor(buffers, offload),
    });
    if (result === "buffer too short") host?.fail("network receive buffer that is too short");
    return result === "delivered";
  }

  announce(): void {
    this.#announce(NET_QUEUE.RECEIVE);
  }

  announceTransmitted(): void {
    this.#untold = 0;
    this.#announce(NET_QUEUE.TRANSMIT);
  }

  #announce(kind: typeof NET_QUEUE.RECEIVE | typeof NET_QUEUE.TRANSMIT): void {
    for (let pair = 0; pair < this.#receivers.length; pair++) this.#host?.queue(2 * pair + kind)?.announce();
  }

  #lookAtOffloads(): void {
    const { offloads } = this.#filter;
    const isOn = (feature: number): boolean =>
      this.#host?.has(feature) === true &&
      (offloads === undefined || ((offloads >> BigInt(feature)) & 1n) === 1n);
    this.#completesChecksums = isOn(NET_FEATURE.GUEST_CSUM);
    this.#joins = {
      4: this.#completesChecksums && isOn(NET_FEATURE.GUEST_TSO4),
      6: this.#completesChecksums && isOn(NET_FEATURE.GUEST_TSO6),
    };
    this.#merges = this.#host?.has(NET_FEATURE.MRG_RXBUF) === true;
  }

  #headerFor(buffers: number, offload: DeliveryOffload | undefined): Uint8Array {
    const view = this.#headerView;
    this.#header.fill(0);
    view.setUint16(NET_HEADER.BUFFERS, buffers, true);
    if (offload === undefined) return this.#header;
    view.setUint8(NET_HEADER.FLAGS, NET_FLAG.NEEDS_CSUM);
    view.setUint16(NET_HEADER.CHECKSUM_START, offload.checksumStart, true);
    view.setUint16(NET_HEADER.CHECKSUM_OFFSET, offload.checksumOffset, true);
    if (offload.segmentSize > 0) {
      view.setUint8(NET_HEADER.GSO_TYPE, offload.version === 4 ? GSO_TYPE.TCPV4 : GSO_TYPE.TCPV6);
      view.setUint16(NET_HEADER.HEADER_LENGTH, offload.headerSize, true);
      view.setUint16(NET_HEADER.GSO_SIZE, offload.segmentSize, true);
    }
    return this.#header;
  }

  #transmit(pair: number): void {
    // Without multiple queues, the control queue is where the second pair would be.
    if (pair > 0 && this.#host?.has(NET_FEATURE.MQ) !== true) return;
    const queue = this.#host?.queue(2 * pair + NET_QUEUE.TRANSMIT);
    // What the network answers at once may end in another notification.
    if (queue === undefined || this.#working) return;
    this.#working = true;
    for (let buffer = queue.take(); buffer !== undefined; buffer = queue.take()) {
      this.#transmitOne(buffer, pair);
      queue.give(buffer, 0);
      this.#untold += 1 + (buffer.readableLength >>> TRANSMITTED_SHIFT);
    }
    this.#working = false;
    if (this.#untold >= MANY_TRANSMITTED) this.announceTransmitted();
    if (this.#host !== undefined) this.#network.transmitted();
  }

  #transmitOne(buffer: VirtioBuffer, pair: number): void {
    const length = buffer.readableLength - NET_HEADER.SIZE;
    if (length <= 0 || length > LONGEST_FRAME || !this.#linkUp) return;
    const header = new Uint8Array(NET_HEADER.SIZE);
    const owned = length > SHORT_FRAME;
    const bytes = owned ? new Uint8Array(length) : this.#short.subarray(0, length);
    if (!buffer.read(0, header) || !buffer.read(NET_HEADER.SIZE, bytes)) return;
    if (this.#filter.pairs > 1) this.#flows.transmitted(bytes, pair);
    const checksumPending = (header[NET_HEADER.FLAGS]! & NET_FLAG.NEEDS_CSUM) !== 0;
    this.#network.transmit({ bytes, checksumPending, owned });
  }

  #control(): void {
    const queue = this.#host?.queue(this.#controlQueue);
    for (let buffer = queue?.take(); buffer !== undefined; buffer = queue?.take()) {
      const data = new Uint8Array(Math.min(buffer.readableLength, LONGEST_CONTROL));
      if (buffer.readableLength < 2 || buffer.writableLength < 1) {
        this.#host?.fail("network control request without a command or room for its status");
        return;
      }
      const [kind = 0, command = 0] = buffer.read(0, data) ? data : NONE;
      const done = this.#filter.command(kind, command, data.subarray(2));
      this.configuration.set(this.#filter.macAddress, NET_CONFIGURATION.MAC);
      this.#lookAtOffloads();
      buffer.write(0, Uint8Array.of(done ? CONTROL_OK : CONTROL_ERROR));
      queue?.give(buffer, 1);
    }
    queue?.announce();
  }
}
