import {
  address,
  type IpAddress,
  inPrefix,
  isMulticast,
  isOwnAddress,
  isUnspecified,
  NETWORK,
} from "./addresses.ts";
import { checksumFits, type GuestSide } from "./guest-side.ts";
import { type IpPacket, PROTOCOL } from "./ip-packet.ts";

/** Message types of RFC 4861, section 4. */
const TYPE = {
  ROUTER_SOLICITATION: 133,
  ROUTER_ADVERTISEMENT: 134,
  NEIGHBOUR_SOLICITATION: 135,
  NEIGHBOUR_ADVERTISEMENT: 136,
} as const;
/** Option types of RFC 4861 section 4.6 and RFC 8106. */
const OPTION = { SOURCE_MAC: 1, TARGET_MAC: 2, PREFIX: 3, MTU: 5, DNS: 25 } as const;

const ALL_NODES = address("ff02::1");
/** Nothing here comes through a router. */
const HOP_LIMIT = 255;
/** Seconds for which the router and its resolver stand. There is no renewal, which would wake an idle guest. */
const ROUTER_LIFETIME = 65_535;
const FOREVER = 0xffff_ffff;

/** Answers router and neighbour solicitations. */
export function answerNeighbourDiscovery(packet: IpPacket, senderMac: Uint8Array, guest: GuestSide): void {
  const { source, destination, payload, hopLimit } = packet;
  if (hopLimit !== HOP_LIMIT || payload.length < 8 || payload[1] !== 0) return;
  if (!checksumFits(source, destination, PROTOCOL.ICMPV6, payload)) return;
  switch (payload[0]) {
    case TYPE.ROUTER_SOLICITATION:
      advertiseRouter(guest);
      return;
    case TYPE.NEIGHBOUR_SOLICITATION:
      if (payload.length >= 24) answerSolicitation(packet, senderMac, guest);
      return;
    case TYPE.NEIGHBOUR_ADVERTISEMENT: {
      const target = payload.subarray(8, 24);
      if (payload.length >= 24 && isGuestAddress(target)) guest.learn(target, senderMac);
      return;
    }
    default:
  }
}

function answerSolicitation(packet: IpPacket, senderMac: Uint8Array, guest: GuestSide): void {
  const { source } = packet;
  const target = packet.payload.slice(8, 24);
  if (isGuestAddress(source)) guest.learn(source, senderMac);
  if (!isOwnAddress(target)) return;
  const probe = isUnspecified(source);
  const message = new Uint8Array(32);
  message[0] = TYPE.NEIGHBOUR_ADVERTISEMENT;
  // Router, solicited, override.
  message[4] = probe ? 0xa0 : 0xe0;
  message.set(target, 8);
  message.set([OPTION.TARGET_MAC, 1, ...NETWORK.gatewayMac], 24);
  send(target, probe ? ALL_NODES : source.slice(), message, guest);
}

function isGuestAddress(source: IpAddress): boolean {
  return !isMulticast(source) && !isUnspecified(source) && !isOwnAddress(source);
}

/** The prefix from which the guest makes its own address, the way out, the resolver, the link's MTU. */
function advertiseRouter(guest: GuestSide): void {
  const message = new Uint8Array(16 + 8 + 32 + 8 + 24);
  const view = new DataView(message.buffer);
  message[0] = TYPE.ROUTER_ADVERTISEMENT;
  message[4] = 64;
  view.setUint16(6, ROUTER_LIFETIME);
  message.set([OPTION.SOURCE_MAC, 1, ...NETWORK.gatewayMac], 16);
  // On-link, autonomous.
  message.set([OPTION.PREFIX, 4, NETWORK.prefixLength6, 0xc0], 24);
  view.setUint32(28, FOREVER);
  view.setUint32(32, FOREVER);
  message.set(NETWORK.prefix6, 40);
  message.set([OPTION.MTU, 1], 56);
  view.setUint32(60, guest.card?.mtu ?? 1500);
  message.set([OPTION.DNS, 3], 64);
  view.setUint32(68, FOREVER);
  message.set(NETWORK.dns6, 72);
  send(NETWORK.router6, ALL_NODES, message, guest);
}

function send(source: IpAddress, destination: IpAddress, message: Uint8Array, guest: GuestSide): void {
  guest.sendDatagram({
    source,
    destination,
    protocol: PROTOCOL.ICMPV6,
    pieces: [message],
    checksumOffset: 2,
    hopLimit: HOP_LIMIT,
  });
}

/** Link-local and the network's own prefix: addresses that the guest may have. */
export function isLocalAddress(target: IpAddress): boolean {
  return inPrefix(target, NETWORK.prefix6, NETWORK.prefixLength6) || inPrefix(target, LINK_LOCAL, 10);
}
const LINK_LOCAL = address("fe80::");
