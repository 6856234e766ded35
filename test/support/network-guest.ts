import { type IpAddress, NETWORK } from "../../src/network/addresses.ts";
import { complement, pseudoSum, sumPieces } from "../../src/network/checksum.ts";
import {
  ETHERNET_HEADER,
  ETHERTYPE,
  IPV4_HEADER,
  IPV6_HEADER,
  type IpPacket,
  PROTOCOL,
  parseIp,
  writeIpv4Header,
  writeIpv6Header,
} from "../../src/network/ip-packet.ts";
import type { DeliveryOffload, NetworkCard } from "../../src/network/link.ts";
import { UserNetwork, type UserNetworkOptions } from "../../src/network/user-network.ts";
import { FakeNetworkHost } from "./fake-network-host.ts";
import type { Random } from "./random.ts";

/** What the network delivered. */
export interface DeliveredFrame {
  readonly bytes: Uint8Array;
  readonly offload: DeliveryOffload | undefined;
}

/** A guest that exists only as its card: sends frames, and looks at those that come. */
export class NetworkGuest implements NetworkCard {
  readonly host: FakeNetworkHost;
  readonly network: UserNetwork;
  readonly macAddress = NETWORK.guestMac;
  readonly mtu = 1500;
  readonly completesChecksums: boolean;
  /** Frames that it takes before somebody looks at them. */
  capacity = Number.POSITIVE_INFINITY;
  /** Those that it has been told of. */
  frames: DeliveredFrame[] = [];
  /** Those that it has got, but does not know of. */
  unannounced: DeliveredFrame[] = [];

  constructor(random: Random, options: Partial<UserNetworkOptions> & { offload?: boolean } = {}) {
    this.host = new FakeNetworkHost(random);
    this.completesChecksums = options.offload ?? true;
    this.network = new UserNetwork({ host: this.host, wake: () => this.network.pump(), ...options });
    this.network.start(this);
  }

  takesJoinedSegments(): boolean {
    return this.completesChecksums;
  }

  deliver(pieces: readonly Uint8Array[], offload?: DeliveryOffload): boolean {
    if (this.frames.length + this.unannounced.length >= this.capacity) return false;
    this.unannounced.push({ bytes: new Uint8Array(Buffer.concat(pieces)), offload });
    return true;
  }

  announce(): void {
    this.frames.push(...this.unannounced.splice(0));
  }

  /** How often it was told that its frames are gone. */
  toldOfTransmitted = 0;

  announceTransmitted(): void {
    this.toldOfTransmitted++;
  }

  /** What came since the last call; there is room again afterwards. */
  take(): DeliveredFrame[] {
    const frames = this.frames;
    this.frames = [];
    this.network.roomAvailable();
    return frames;
  }

  send(...frames: readonly Uint8Array[]): void {
    for (const bytes of frames) this.network.transmit({ bytes, checksumPending: false, owned: false });
    this.network.transmitted();
  }

  /** What came of one protocol, taken apart. */
  packets(protocol: number): IpPacket[] {
    return this.take().flatMap(({ bytes }) => {
      const packet = packetOf(bytes);
      return packet?.protocol === protocol ? [packet] : [];
    });
  }
}

export function packetOf(frame: Uint8Array): IpPacket | undefined {
  const type = (frame[12]! << 8) | frame[13]!;
  if (type !== ETHERTYPE.IPV4 && type !== ETHERTYPE.IPV6) return undefined;
  return parseIp(frame.subarray(ETHERNET_HEADER), type === ETHERTYPE.IPV4 ? 4 : 6);
}

/** A frame from the guest to the gateway. */
export function ethernet(type: number, payload: Uint8Array, destination = NETWORK.gatewayMac): Uint8Array {
  return Uint8Array.from([...destination, ...NETWORK.guestMac, type >> 8, type & 0xff, ...payload]);
}

/** An IP packet in a frame; the checksum is put at `checksumOffset` of the payload. */
export function ipFrame(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  payload: Uint8Array,
  checksumOffset?: number,
  hopLimit = 64,
): Uint8Array {
  const version = source.length === 4 ? 4 : 6;
  const body = payload.slice();
  if (checksumOffset !== undefined) {
    const pseudo = protocol === PROTOCOL.ICMP ? 0 : pseudoSum(source, destination, protocol, body.length);
    const sum = complement(sumPieces([body], pseudo));
    body[checksumOffset] = sum >> 8;
    body[checksumOffset + 1] = sum & 0xff;
  }
  const header = new Uint8Array(version === 4 ? IPV4_HEADER : IPV6_HEADER);
  const fields = { source, destination, protocol, length: body.length, hopLimit };
  if (version === 4) writeIpv4Header(header, fields);
  else writeIpv6Header(header, fields);
  const whole = new Uint8Array(header.length + body.length);
  whole.set(header);
  whole.set(body, header.length);
  return ethernet(version === 4 ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6, whole);
}
