import { addressKey, type IpAddress, isMulticast, NETWORK, sameBytes } from "./addresses.ts";
import { complement, fold, pseudoSum, sumPieces } from "./checksum.ts";
import {
  ETHERNET_HEADER,
  ETHERTYPE,
  type Fragment,
  IPV4_HEADER,
  IPV6_HEADER,
  PROTOCOL,
  writeIpv4Header,
  writeIpv6Header,
} from "./ip-packet.ts";
import type { DeliveryOffload, NetworkCard } from "./link.ts";

/** Frames that wait for room in the guest; the oldest is lost when one more comes. TCP's data is not among them. */
const MOST_WAITING = 256;
/** Guest addresses whose MAC addresses are remembered. */
const MOST_NEIGHBOURS = 64;
const FRAGMENT_HEADER = 8;
const BROADCAST = new Uint8Array(6).fill(0xff);

/** A datagram to the guest; its transport header is the first of `pieces`. */
export interface Datagram {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly pieces: readonly Uint8Array[];
  /** Where in the first piece the checksum belongs (its field is zero now); none for ICMP over IPv4, which sums alone. */
  readonly checksumOffset: number;
  readonly hopLimit?: number;
  /** Unless given, the neighbour's, found by address. */
  readonly destinationMac?: Uint8Array;
}

/** The way to the guest: Ethernet headers, neighbours, fragmentation, and frames that wait for room. */
export class GuestSide {
  #card: NetworkCard | undefined;
  readonly #neighbours = new Map<string, Uint8Array>();
  #waiting: Uint8Array[] = [];
  readonly #wake: () => void;
  #identification = 0;
  #delivered = false;

  /** `wake` is called when there is something for the guest: {@link flush} and {@link announce} should follow soon. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  get card(): NetworkCard | undefined {
    return this.#card;
  }

  /** Frames that were lost because the guest had no room for them. */
  dropped = 0;

  start(card: NetworkCard): void {
    this.#card = card;
    this.#neighbours.clear();
    this.#waiting = [];
    this.#delivered = false;
  }

  stop(): void {
    this.#card = undefined;
    this.#waiting = [];
  }

  /** Remembers who sent from `address`. */
  learn(address: IpAddress, mac: Uint8Array): void {
    const key = addressKey(address);
    const known = this.#neighbours.get(key);
    if (known !== undefined && sameBytes(known, mac)) return;
    if (known === undefined && this.#neighbours.size >= MOST_NEIGHBOURS) {
      const [oldest] = this.#neighbours.keys();
      if (oldest !== undefined) this.#neighbours.delete(oldest);
    }
    this.#neighbours.set(key, mac.slice());
  }

  /** Where to send what is for `address`. */
  macOf(address: IpAddress): Uint8Array {
    if (isMulticast(address)) {
      if (address.length === 4) return BROADCAST;
      return Uint8Array.of(0x33, 0x33, ...address.subarray(12));
    }
    return this.#neighbours.get(addressKey(address)) ?? this.#card?.macAddress ?? NETWORK.guestMac;
  }

  /** Sends a frame now or, when there is no room, later; in the worst case never. */
  send(frame: Uint8Array): void {
    if (this.#card === undefined) return;
    if (this.#waiting.length === 0 && this.deliver([frame])) return;
    if (this.#waiting.length >= MOST_WAITING) {
      this.#waiting.shift();
      this.dropped++;
    }
    this.#waiting.push(frame);
  }

  /** Gives a frame to the card; false when there is no room. */
  deliver(pieces: readonly Uint8Array[], offload?: DeliveryOffload): boolean {
    if (this.#card === undefined || !this.#card.deliver(pieces, offload)) return false;
    if (!this.#delivered) {
      this.#delivered = true;
      this.#wake();
    }
    return true;
  }

  /** Sends what waits; false while some still does. */
  flush(): boolean {
    while (this.#waiting.length > 0) {
      if (!this.deliver([this.#waiting[0]!])) return false;
      this.#waiting.shift();
    }
    return true;
  }

  /** There may be something to be sent to the guest. */
  touch(): void {
    this.#wake();
  }

  /** Lets the guest know of what was delivered since the last call; true when there was something. */
  announce(): boolean {
    if (!this.#delivered) return false;
    this.#delivered = false;
    this.#card?.announce();
    return true;
  }

  /** Sends a datagram with its checksum, in fragments where it is longer than the link takes. */
  sendDatagram(datagram: Datagram): void {
    const { source, destination, protocol, pieces, checksumOffset } = datagram;
    const [header] = pieces;
    if (header === undefined) return;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const pseudo = protocol === PROTOCOL.ICMP ? 0 : pseudoSum(source, destination, protocol, length);
    const sum = complement(sumPieces(pieces, pseudo));
    // Zero says "no checksum" in UDP; its other form means the same sum.
    const stored = protocol === PROTOCOL.UDP && sum === 0 ? 0xffff : sum;
    header[checksumOffset] = stored >> 8;
    header[checksumOffset + 1] = stored;
    const mtu = this.#card?.mtu ?? 1500;
    const ipHeader = source.length === 4 ? IPV4_HEADER : IPV6_HEADER;
    if (ipHeader + length <= mtu) {
      this.send(this.#frame(datagram, pieces, length));
      return;
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#identification = (this.#identification + 1) & 0xffff;
    const room = (mtu - ipHeader - (source.length === 4 ? 0 : FRAGMENT_HEADER)) & ~7;
    for (let offset = 0; offset < length; offset += room) {
      const part = whole.subarray(offset, offset + room);
      const more = offset + room < length;
      const fragment = { identification: this.#identification, offset, more };
      this.send(this.#frame(datagram, [part], part.length, fragment));
    }
  }

  #frame(datagram: Datagram, pieces: readonly Uint8Array[], length: number, fragment?: Fragment): Uint8Array {
    const { source, destination, destinationMac = this.macOf(destination), protocol, hopLimit } = datagram;
    const version = source.length === 4 ? 4 : 6;
    const extra = version === 6 && fragment !== undefined ? FRAGMENT_HEADER : 0;
    const start = ETHERNET_HEADER + (version === 4 ? IPV4_HEADER : IPV6_HEADER);
    const frame = new Uint8Array(start + extra + length);
    writeEthernetHeader(frame, destinationMac, version === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6);
    const fields = {
      source,
      destination,
      protocol: extra > 0 ? PROTOCOL.FRAGMENT : protocol,
      length: extra + length,
      ...(hopLimit !== undefined && { hopLimit }),
      ...(fragment !== undefined && { fragment }),
    };
    const header = frame.subarray(ETHERNET_HEADER);
    if (version === 4) writeIpv4Header(header, fields);
    else writeIpv6Header(header, fields);
    if (extra > 0 && fragment !== undefined) {
      const view = new DataView(frame.buffer, start, FRAGMENT_HEADER);
      view.setUint8(0, protocol);
      view.setUint16(2, fragment.offset | (fragment.more ? 1 : 0));
      view.setUint32(4, fragment.identification);
    }
    let at = start + extra;
    for (const piece of pieces) {
      frame.set(piece, at);
      at += piece.length;
    }
    return frame;
  }
}

/** A frame from the gateway. */
export function writeEthernetHeader(frame: Uint8Array, destination: Uint8Array, type: number): void {
  frame.set(destination, 0);
  frame.set(NETWORK.gatewayMac, 6);
  frame[12] = type >> 8;
  frame[13] = type & 0xff;
}

/** Whether the checksum of a transport payload is right. */
export function checksumFits(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  payload: Uint8Array,
): boolean {
  return fold(sumPieces([payload], pseudoSum(source, destination, protocol, payload.length))) === 0xffff;
}
