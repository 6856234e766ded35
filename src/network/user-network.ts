import {
  type IpAddress,
  inPrefix,
  isDnsAddress,
  isGateway,
  isInside,
  isLoopback,
  isMulticast,
  isOwnAddress,
  isUnspecified,
  NETWORK,
  sameBytes,
} from "./addresses.ts";
import { answerArp } from "./arp.ts";
import { answerDhcp, DHCP_PORT } from "./dhcp.ts";
import { DnsRelay } from "./dns-relay.ts";
import { openDnsStream } from "./dns-stream.ts";
import { EchoRelay } from "./echo-relay.ts";
import { GuestSide } from "./guest-side.ts";
import type { HostNetwork } from "./host-network.ts";
import { sendUnreachable } from "./icmp.ts";
import { ETHERNET_HEADER, ETHERTYPE, type IpPacket, PROTOCOL, parseIp } from "./ip-packet.ts";
import type { Network, NetworkCard, TransmittedFrame } from "./link.ts";
import { answerNeighbourDiscovery, isLocalAddress } from "./neighbour-discovery.ts";
import { type AllowRule, Policy } from "./policy.ts";
import { type PublishedPort, Publisher } from "./publish.ts";
import { Reassembly } from "./reassembly.ts";
import { type InsideService, TcpNat } from "./tcp-nat.ts";
import { parseTcp } from "./tcp-segment.ts";
import { parseUdp, type UdpDatagram, udpHeader } from "./udp.ts";
import { UdpNat } from "./udp-nat.ts";

const DNS_PORT = 53;
/** Milliseconds for which the end waits for streams that are still being written, and between two looks. */
const LAST_WORDS = 3000;
/**
 * Milliseconds after which the guest hears of what can wait, or twice as many: that its frames are gone, and
 * acknowledgements. What it gets meanwhile often makes an interrupt of their own needless.
 */
const SETTLE = 2;
/** How often that frames are gone may wait longer because the guest gets others: drivers look at both then. */
const MOST_POSTPONED = 8;
const LOOK = 20;

export interface UserNetworkOptions {
  readonly host: HostNetwork;
  /** Destinations that the guest may reach; undefined: all. */
  readonly allow?: readonly AllowRule[] | undefined;
  /** Called when there is something for the guest: {@link UserNetwork.pump} should follow soon. */
  readonly wake: () => void;
}

/** Counts for people and tests. */
export interface UserNetworkStatistics {
  readonly tcpConnections: number;
  readonly tcpBufferedBytes: number;
  readonly udpFlows: number;
  /** Frames to the guest that were lost because it took none, and connections beyond the limit. */
  readonly droppedFrames: number;
  readonly refusedConnections: number;
}

/**
 * A network for one guest that speaks through the sockets of its host, without privileges: the guest's TCP
 * connections end here and go on as the host's, UDP ports likewise; address, names and routes are offered by
 * DHCP, a DNS relay and router advertisements.
 */
export class UserNetwork implements Network {
  readonly #host: HostNetwork;
  readonly #policy: Policy;
  readonly #guest: GuestSide;
  readonly #dns: DnsRelay;
  readonly #tcp: TcpNat;
  readonly #udp: UdpNat;
  readonly #echo: EchoRelay;
  readonly #publisher: Publisher;
  readonly #reassembly: Reassembly;
  readonly #wake: () => void;
  /** Something should be looked at; a call of `wake` is on its way; a flush will follow anyway. */
  #work = false;
  #waking = false;
  #flushing = false;
  /** Frames have been transmitted of which the guest does not know: since the last {@link #settle}, and before. */
  #sent = false;
  #sentBefore = false;
  #postponed = 0;
  #cancelSettling: (() => void) | undefined;

  constructor({ host, allow, wake }: UserNetworkOptions) {
    this.#host = host;
    this.#wake = wake;
    this.#policy = new Policy(allow);
    this.#guest = new GuestSide(() => this.#touched());
    this.#dns = new DnsRelay(host, this.#policy);
    this.#tcp = new TcpNat({
      host,
      guest: this.#guest,
      allows: (address, port) => this.#policy.allows(address, port),
      inside: (address, port) => this.#inside(address, port),
      later: () => this.#settleLater(),
    });
    this.#udp = new UdpNat(host, this.#guest);
    // Rules name ports, which echoes have not: only those for every port hold for them.
    this.#echo = new EchoRelay({
      host,
      guest: this.#guest,
      refuses: (address) =>
        isNowhere(address) ? "no host" : this.#policy.allows(address, 0) ? undefined : "prohibited",
    });
    this.#publisher = new Publisher({ host, guest: this.#guest, tcp: this.#tcp });
    this.#reassembly = new Reassembly(() => host.now());
  }

  /** Opens a port of the host, or rejects with a UserError. */
  publish(port: PublishedPort): Promise<PublishedPort> {
    return this.#publisher.publish(port);
  }

  statistics(): UserNetworkStatistics {
    return {
      tcpConnections: this.#tcp.connections,
      tcpBufferedBytes: this.#tcp.buffered,
      udpFlows: this.#udp.flows,
      droppedFrames: this.#guest.dropped,
      refusedConnections: this.#tcp.refused,
    };
  }

  /** Ends everything, published ports too. What the guest has sent to its end may still go out for a moment. */
  async close(): Promise<void> {
    this.#publisher.close();
    this.stop();
    for (let waited = 0; this.#tcp.connections > 0 && waited < LAST_WORDS; waited += LOOK) {
      await new Promise<void>((resolve) => void this.#host.after(LOOK, resolve, true));
    }
    this.#tcp.destroy();
  }

  start(card: NetworkCard): void {
    this.#flushing = false;
    this.#guest.start(card);
  }

  stop(): void {
    this.#cancelSettling?.();
    this.#cancelSettling = undefined;
    this.#sent = false;
    this.#sentBefore = false;
    this.#tcp.clear();
    this.#udp.clear();
    this.#echo.clear();
    this.#reassembly.clear();
    this.#guest.stop();
  }

  /** Gives the guest what the host has brought. Cheap when there is nothing. */
  pump(): void {
    if (this.#work) this.#flush();
  }

  transmitted(): void {
    this.#flush();
    this.#sent = true;
    this.#settleLater();
  }

  roomAvailable(): void {
    this.#flush();
  }

  transmit({ bytes, checksumPending, owned }: TransmittedFrame): void {
    this.#flushing = true;
    if (bytes.length < ETHERNET_HEADER || !isForUs(bytes)) return;
    const sender = bytes.subarray(6, 12);
    const packet = bytes.subarray(ETHERNET_HEADER);
    switch ((bytes[12]! << 8) | bytes[13]!) {
      case ETHERTYPE.ARP:
        answerArp(packet, this.#guest);
        return;
      case ETHERTYPE.IPV4:
        this.#takeIp(parseIp(packet, 4), sender, checksumPending, owned);
        return;
      case ETHERTYPE.IPV6:
        this.#takeIp(parseIp(packet, 6), sender, checksumPending, owned);
        return;
      default:
    }
  }

  #touched(): void {
    this.#work = true;
    if (this.#waking || this.#flushing) return;
    this.#waking = true;
    this.#host.soon(() => {
      this.#waking = false;
      if (this.#work) this.#wake();
    });
  }

  #settleLater(): void {
    this.#cancelSettling ??= this.#host.after(SETTLE, () => this.#settle());
  }

  #settle(): void {
    this.#cancelSettling = undefined;
    const holds = this.#tcp.settle();
    if (this.#sentBefore) {
      this.#postponed = 0;
      this.#guest.card?.announceTransmitted();
    }
    this.#sentBefore = this.#sent;
    this.#sent = false;
    if (holds || this.#sentBefore) this.#settleLater();
  }

  #flush(): void {
    this.#flushing = true;
    if (this.#guest.flush()) this.#tcp.pump();
    if (this.#guest.announce() && this.#sentBefore && this.#postponed < MOST_POSTPONED) {
      this.#postponed++;
      this.#sentBefore = false;
      this.#sent = true;
    }
    this.#flushing = false;
    this.#work = false;
  }

  #takeIp(packet: IpPacket | undefined, sender: Uint8Array, checksumPending: boolean, owned: boolean): void {
    if (packet === undefined || isMulticast(packet.source) || isOwnAddress(packet.source)) return;
    if (isUnspecified(packet.source)) {
      this.#takeUnaddressed(packet, sender, checksumPending);
      return;
    }
    const fromLink = packet.version === 4 || isLocalAddress(packet.source);
    if (fromLink && !isLoopback(packet.source)) this.#guest.learn(packet.source, sender);
    else return;
    const whole = packet.fragment === undefined ? packet : this.#reassembly.add(packet);
    if (whole === undefined) return;
    switch (whole.protocol) {
      case PROTOCOL.TCP: {
        const segment = isMulticast(whole.destination) ? undefined : parseTcp(whole, checksumPending);
        if (segment !== undefined) this.#tcp.receive(whole, segment, owned && whole === packet);
        return;
      }
      case PROTOCOL.UDP: {
        const datagram = parseUdp(whole, checksumPending);
        if (datagram !== undefined) this.#takeUdp(datagram);
        return;
      }
      case PROTOCOL.ICMP:
        if (whole.version === 4) this.#echo.receive(whole);
        return;
      case PROTOCOL.ICMPV6:
        if (whole.version === 6) this.#takeIcmpv6(whole, sender);
        return;
      default:
    }
  }

  /** A guest without an address asks for one, or whether somebody has the one it wants. */
  #takeUnaddressed(packet: IpPacket, sender: Uint8Array, checksumPending: boolean): void {
    if (packet.fragment !== undefined) return;
    if (packet.version === 6) {
      if (packet.protocol === PROTOCOL.ICMPV6) answerNeighbourDiscovery(packet, sender, this.#guest);
      return;
    }
    const datagram = packet.protocol === PROTOCOL.UDP ? parseUdp(packet, checksumPending) : undefined;
    if (datagram?.destinationPort === DHCP_PORT.SERVER) answerDhcp(datagram.payload, this.#guest);
  }

  #takeIcmpv6(packet: IpPacket, sender: Uint8Array): void {
    // Types from 128 to 132 are echoes and group memberships; then neighbour discovery.
    if ((packet.payload[0] ?? 0) < 133) this.#echo.receive(packet);
    else answerNeighbourDiscovery(packet, sender, this.#guest);
  }

  #takeUdp(datagram: UdpDatagram): void {
    const { destination, destinationPort, packet } = datagram;
    if (destinationPort === DHCP_PORT.SERVER && packet.version === 4) {
      answerDhcp(datagram.payload, this.#guest);
      return;
    }
    if (isMulticast(destination) || sameBytes(destination, NETWORK.broadcast4) || destinationPort === 0)
      return;
    if (isDnsAddress(destination) && destinationPort === DNS_PORT) {
      void this.#relay(datagram);
      return;
    }
    if (sameBytes(destination, NETWORK.gateway4) && this.#publisher.answer(datagram)) return;
    if (isNowhere(destination)) sendUnreachable(packet, "no host", this.#guest);
    else if (isOwnAddress(destination) && !isGateway(destination))
      sendUnreachable(packet, "no port", this.#guest);
    else if (!this.#policy.allows(destination, destinationPort))
      sendUnreachable(packet, "prohibited", this.#guest);
    else this.#udp.send(datagram);
  }

  async #relay({ source, sourcePort, destination, payload }: UdpDatagram): Promise<void> {
    const [guest, server] = [source.slice(), destination.slice()];
    const answer = await this.#dns.answer(payload.slice(), "udp");
    if (answer === undefined || this.#guest.card === undefined) return;
    this.#guest.sendDatagram({
      source: server,
      destination: guest,
      protocol: PROTOCOL.UDP,
      pieces: [udpHeader(DNS_PORT, sourcePort, answer.length), answer],
      checksumOffset: 6,
    });
  }

  #inside(destination: IpAddress, port: number): InsideService | "nobody" | undefined {
    if (isNowhere(destination)) return "nobody";
    if (isGateway(destination)) return undefined;
    if (!isOwnAddress(destination)) return undefined;
    if (port !== DNS_PORT || !isDnsAddress(destination)) return "nobody";
    return (events) => openDnsStream(this.#dns, events, this.#host);
  }
}

/** Sent to the gateway, or to all. */
function isForUs(frame: Uint8Array): boolean {
  return (frame[0]! & 1) === 1 || NETWORK.gatewayMac.every((byte, index) => frame[index] === byte);
}

/** An address behind which there is nobody, and which the host must not be asked for. */
function isNowhere(destination: IpAddress): boolean {
  if (isOwnAddress(destination)) return false;
  const thisNetwork = destination.length === 4 && destination[0] === 0;
  return (
    isInside(destination) ||
    isLoopback(destination) ||
    isUnspecified(destination) ||
    thisNetwork ||
    (destination.length === 16 && inPrefix(destination, NETWORK.router6, 10))
  );
}
