import type { IpAddress } from "./addresses.ts";
import { complement, fold, pseudoSum, sumPieces } from "./checksum.ts";
import { type GuestSide, writeEthernetHeader } from "./guest-side.ts";
import {
  ETHERNET_HEADER,
  ETHERTYPE,
  IPV4_HEADER,
  IPV6_HEADER,
  PROTOCOL,
  writeIpv4Header,
  writeIpv6Header,
} from "./ip-packet.ts";

const TCP_HEADER = 20;
const CHECKSUM = 16;
/** Most of one frame's payload: the length of an IP packet has 16 bits, and IPv6 headers are the longest. */
const MOST_JOINED = 65_535 - IPV6_HEADER - TCP_HEADER;
const NONE = new Uint8Array(0);

/** The two ends of a connection, as the guest sees it. */
export interface TcpEnds {
  readonly guest: IpAddress;
  readonly guestPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
}

export interface SegmentFields {
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** As it goes into the header. */
  readonly window: number;
  readonly options?: Uint8Array;
}

/** Writes the segments of one connection to the guest. */
export class SegmentWriter {
  readonly #guest: GuestSide;
  readonly #ends: TcpEnds;
  readonly #version: 4 | 6;
  readonly #start: number;
  /** Used again for each segment: what is delivered is copied at once. */
  readonly #frame: Uint8Array;
  readonly #view: DataView;
  readonly #pieces: Uint8Array[] = [];

  constructor(guest: GuestSide, ends: TcpEnds) {
    this.#guest = guest;
    this.#ends = ends;
    this.#version = ends.guest.length === 4 ? 4 : 6;
    this.#start = ETHERNET_HEADER + (this.#version === 4 ? IPV4_HEADER : IPV6_HEADER);
    this.#frame = new Uint8Array(this.#start + TCP_HEADER + 40);
    this.#view = new DataView(this.#frame.buffer);
    const type = this.#version === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6;
    writeEthernetHeader(this.#frame, guest.macOf(ends.guest), type);
  }

  /** Payload bytes of a segment that fits the link. */
  get linkSegmentSize(): number {
    return (this.#guest.card?.mtu ?? 1500) - (this.#start - ETHERNET_HEADER) - TCP_HEADER;
  }

  /** Payload bytes that one {@link send} takes when segments are `segmentSize` long. */
  mostPayload(segmentSize: number): number {
    if (this.#guest.card?.takesJoinedSegments(this.#version) !== true) return segmentSize;
    return Math.floor(MOST_JOINED / segmentSize) * segmentSize;
  }

  /** Sends a segment without payload: where the guest has no room now, when it has some. */
  sendSurely(fields: SegmentFields): void {
    const frame = this.#write(fields, 0);
    const header = frame.subarray(this.#start);
    this.#view.setUint16(
      this.#start + CHECKSUM,
      complement(sumPieces([header], this.#pseudoSum(header.length))),
    );
    this.#guest.send(frame.slice());
  }

  /** Sends a segment with `fill`'s payload of `length` bytes; false when the guest has no room for it. */
  send(fields: SegmentFields, length = 0, segmentSize = 0, fill?: (pieces: Uint8Array[]) => void): boolean {
    const frame = this.#write(fields, length);
    const at = this.#start;
    this.#pieces.length = 1;
    this.#pieces[0] = frame;
    fill?.(this.#pieces);
    const pseudo = this.#pseudoSum(frame.length - at + length);
    if (this.#guest.card?.completesChecksums !== true) {
      const sum = sumPieces([frame.subarray(at), ...this.#pieces.slice(1)], pseudo);
      this.#view.setUint16(at + CHECKSUM, complement(sum));
      return this.#guest.deliver(this.#pieces);
    }
    this.#view.setUint16(at + CHECKSUM, fold(pseudo));
    return this.#guest.deliver(this.#pieces, {
      checksumStart: at,
      checksumOffset: CHECKSUM,
      segmentSize: length > segmentSize ? segmentSize : 0,
      headerSize: frame.length,
      version: this.#version,
    });
  }

  /** The sum of the pseudo header before a TCP header and payload of `length` bytes. */
  #pseudoSum(length: number): number {
    return pseudoSum(this.#ends.remote, this.#ends.guest, PROTOCOL.TCP, length);
  }

  /** All headers, without a checksum, before `length` bytes of payload; overwritten by the next. */
  #write(
    { flags, sequence, acknowledgement, window, options = NONE }: SegmentFields,
    length: number,
  ): Uint8Array {
    const headerLength = TCP_HEADER + options.length;
    const headerSize = this.#start + headerLength;
    const { remote: source, guest: destination, remotePort, guestPort } = this.#ends;
    const ip = { source, destination, protocol: PROTOCOL.TCP, length: headerLength + length };
    const ipHeader = this.#frame.subarray(ETHERNET_HEADER);
    if (this.#version === 4) writeIpv4Header(ipHeader, ip);
    else writeIpv6Header(ipHeader, ip);
    const view = this.#view;
    const at = this.#start;
    view.setUint16(at, remotePort);
    view.setUint16(at + 2, guestPort);
    view.setUint32(at + 4, sequence);
    view.setUint32(at + 8, acknowledgement);
    view.setUint8(at + 12, (headerLength / 4) << 4);
    view.setUint8(at + 13, flags);
    view.setUint16(at + 14, window);
    view.setUint32(at + CHECKSUM, 0);
    this.#frame.set(options, at + TCP_HEADER);
    return this.#frame.subarray(0, headerSize);
  }
}
