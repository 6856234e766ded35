import type { StateField } from "../../base/state-fields.ts";
import type { DeliveryOffload, Network, NetworkCard } from "../../network/link.ts";
import type { VirtioBuffer } from "./buffer.ts";
import type { VirtioDevice, VirtioHost } from "./device.ts";
import { NetFilter } from "./net-filter.ts";
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
import { featureMask, VIRTIO_DEVICE } from "./protocol.ts";
import type { VirtQueue } from "./queue.ts";

/** Frames from the guest up to this size are read to the same place again and again; longer ones are the network's. */
const SHORT_FRAME = 2048;
/** 64 KiB of IP packet behind the longest Ethernet header with a VLAN tag. */
const LONGEST_FRAME = 65_535 + 18;
const LONGEST_CONTROL = 4096;
const QUEUE_SIZE = 256;
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
}

/** A virtio network card (virtio 1.2, section 5.1) with one pair of queues and a control queue. */
export class VirtioNet implements VirtioDevice, NetworkCard {
  readonly name = "net";
  readonly type = VIRTIO_DEVICE.NETWORK;
  readonly features = featureMask(...Object.values(NET_FEATURE));
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE, 64];
  readonly configuration = new Uint8Array(NET_CONFIGURATION.SIZE);
  readonly mtu: number;
  readonly #network: Network;
  readonly #filter: NetFilter;
  readonly #short = new Uint8Array(SHORT_FRAME);
  readonly #header = new Uint8Array(NET_HEADER.SIZE);
  readonly #headerView = new DataView(this.#header.buffer);
  #host: VirtioHost | undefined;
  #linkUp = true;
  /** Receive buffers that were taken from this queue but not yet filled, and their bytes. */
  #receiveQueue: VirtQueue | undefined;
  #buffers: VirtioBuffer[] = [];
  #room = 0;
  /** What the driver does, and joins its buffers for. */
  #completesChecksums = false;
  #joins = { 4: false, 6: false };
  #merges = false;
  /** A frame did not fit; the network waits to hear of room. */
  #full = false;
  #working = false;
  /** What was transmitted since the driver was told, in the unit of {@link MANY_TRANSMITTED}. */
  #untold = 0;

  constructor({ network, macAddress, mtu = 1500 }: VirtioNetOptions) {
    this.#network = network;
    this.#filter = new NetFilter(macAddress);
    this.mtu = mtu;
    this.configuration.set(macAddress, NET_CONFIGURATION.MAC);
    const view = new DataView(this.configuration.buffer);
    view.setUint16(NET_CONFIGURATION.STATUS, LINK_UP, true);
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
    this.notify(NET_QUEUE.TRANSMIT);
    this.notify(NET_QUEUE.CONTROL);
  }

  /** Connections through the network end: the new one does not know them, and says so by resets. */
  resume(host: VirtioHost): void {
    this.#host = host;
    this.#lookAtOffloads();
    this.configuration.set(this.#filter.macAddress, NET_CONFIGURATION.MAC);
    this.#network.start(this);
  }

  stateFields(): readonly StateField[] {
    return this.#filter.stateFields();
  }

  stop(): void {
    const running = this.#host !== undefined;
    this.#host = undefined;
    if (running) this.#network.stop();
    this.#filter.reset();
    this.#forgetBuffers(undefined);
  }

  notify(index: number): void {
    switch (index) {
      case NET_QUEUE.RECEIVE:
        if (!this.#full) return;
        this.#full = false;
        this.#network.roomAvailable();
        return;
      case NET_QUEUE.TRANSMIT:
        this.#transmit();
        return;
      case NET_QUEUE.CONTROL:
        this.#control();
        return;
      default:
    }
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
    const queue = host?.queue(NET_QUEUE.RECEIVE);
    if (queue !== this.#receiveQueue) this.#forgetBuffers(queue);
    if (host === undefined || queue === undefined) {
      this.#full = true;
      return false;
    }
    const [first = NONE] = pieces;
    // What the guest does not want, or the cable does not carry, is lost as on any network.
    if (!this.#linkUp || !this.#filter.wants(first.subarray(0, 6))) return true;
    const length = pieces.reduce<number>((sum, piece) => sum + piece.length, NET_HEADER.SIZE);
    const merges = this.#merges;
    const count = this.#collect(queue, merges ? length : 1);
    if (count === undefined) {
      this.#full = true;
      return false;
    }
    // Without merging, a frame that is longer than its buffer is lost, and the buffer is for the next one.
    if (!merges && this.#buffers[0]!.writableLength < length) return true;
    const buffers = this.#buffers.splice(0, count);
    for (const { writableLength } of buffers) this.#room -= writableLength;
    this.#fill(queue, buffers, this.#headerFor(count, offload), pieces);
    return true;
  }

  announce(): void {
    this.#host?.queue(NET_QUEUE.RECEIVE)?.announce();
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

  /** Buffers of another queue are not ours any more. */
  #forgetBuffers(queue: VirtQueue | undefined): void {
    this.#receiveQueue = queue;
    this.#buffers = [];
    this.#room = 0;
    this.#full = false;
  }

  /** Takes buffers until they hold `length` bytes; how many of them do, or undefined when there are too few. */
  #collect(queue: VirtQueue, length: number): number | undefined {
    while (this.#room < length) {
      const buffer = queue.take();
      if (buffer === undefined) return undefined;
      if (buffer.writableLength <= NET_HEADER.SIZE) {
        this.#host?.fail("network receive buffer that is too short");
        return undefined;
      }
      this.#buffers.push(buffer);
      this.#room += buffer.writableLength;
    }
    let count = 0;
    for (let room = 0; room < length; count++) room += this.#buffers[count]!.writableLength;
    return count;
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

  /** Writes header and frame over the buffers, one after the other, and gives them back. */
  #fill(
    queue: VirtQueue,
    buffers: readonly VirtioBuffer[],
    header: Uint8Array,
    pieces: readonly Uint8Array[],
  ): void {
    let index = 0;
    let used = 0;
    for (let piece = -1; piece < pieces.length; piece++) {
      let rest = piece < 0 ? header : pieces[piece]!;
      while (rest.length > 0) {
        const buffer = buffers[index]!;
        const size = Math.min(rest.length, buffer.writableLength - used);
        buffer.write(used, rest.subarray(0, size));
        used += size;
        rest = rest.subarray(size);
        if (used === buffer.writableLength) {
          queue.give(buffer, used);
          index++;
          used = 0;
        }
      }
    }
    if (used > 0) queue.give(buffers[index]!, used);
  }

  announceTransmitted(): void {
    this.#untold = 0;
    this.#host?.queue(NET_QUEUE.TRANSMIT)?.announce();
  }

  #transmit(): void {
    const queue = this.#host?.queue(NET_QUEUE.TRANSMIT);
    // What the network answers at once may end in another notification.
    if (queue === undefined || this.#working) return;
    this.#working = true;
    for (let buffer = queue.take(); buffer !== undefined; buffer = queue.take()) {
      this.#transmitOne(buffer);
      queue.give(buffer, 0);
      this.#untold += 1 + (buffer.readableLength >>> TRANSMITTED_SHIFT);
    }
    this.#working = false;
    if (this.#untold >= MANY_TRANSMITTED) this.announceTransmitted();
    if (this.#host !== undefined) this.#network.transmitted();
  }

  #transmitOne(buffer: VirtioBuffer): void {
    const length = buffer.readableLength - NET_HEADER.SIZE;
    if (length <= 0 || length > LONGEST_FRAME || !this.#linkUp) return;
    const header = new Uint8Array(NET_HEADER.SIZE);
    const owned = length > SHORT_FRAME;
    const bytes = owned ? new Uint8Array(length) : this.#short.subarray(0, length);
    if (!buffer.read(0, header) || !buffer.read(NET_HEADER.SIZE, bytes)) return;
    const checksumPending = (header[NET_HEADER.FLAGS]! & NET_FLAG.NEEDS_CSUM) !== 0;
    this.#network.transmit({ bytes, checksumPending, owned });
  }

  #control(): void {
    const queue = this.#host?.queue(NET_QUEUE.CONTROL);
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
