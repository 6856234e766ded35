import { NETWORK } from "./addresses.ts";
import type { GuestSide } from "./guest-side.ts";
import { PROTOCOL } from "./ip-packet.ts";
import { udpHeader } from "./udp.ts";

export const DHCP_PORT = { SERVER: 67, CLIENT: 68 } as const;

/** Message types (RFC 2132, section 9.6). */
const MESSAGE = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;
/** Option numbers of RFC 2132. */
const OPTION = {
  PAD: 0,
  NETMASK: 1,
  ROUTER: 3,
  DNS: 6,
  MTU: 26,
  BROADCAST: 28,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  MESSAGE_TYPE: 53,
  SERVER: 54,
  END: 255,
} as const;

/** Offsets of RFC 2131, section 2. */
const FIELD = { XID: 4, FLAGS: 10, CLIENT: 12, YOURS: 16, MAC: 28, MAGIC: 236, OPTIONS: 240 } as const;
const MAGIC = Uint8Array.of(99, 130, 83, 99);
const LEASE_SECONDS = 86_400;
/** Smallest message that every client takes (RFC 1542, section 2.1: 300 bytes of BOOTP). */
const LEAST_SIZE = 300;
const BROADCAST_FLAG = 0x80;
const BROADCAST = new Uint8Array(4).fill(255);

/** Gives the guest its address. `message` is a UDP payload to port 67. */
export function answerDhcp(message: Uint8Array, guest: GuestSide): void {
  const [operation, hardware, length] = message;
  if (message.length < FIELD.OPTIONS || operation !== 1 || hardware !== 1 || length !== 6) return;
  if (!MAGIC.every((byte, index) => message[FIELD.MAGIC + index] === byte)) return;
  const options = readOptions(message.subarray(FIELD.OPTIONS));
  const server = options.get(OPTION.SERVER);
  if (server !== undefined && !equal(server, NETWORK.gateway4)) return;
  switch (options.get(OPTION.MESSAGE_TYPE)?.[0]) {
    case MESSAGE.DISCOVER:
      reply(message, MESSAGE.OFFER, guest);
      return;
    case MESSAGE.REQUEST: {
      const client = message.subarray(FIELD.CLIENT, FIELD.CLIENT + 4);
      const wanted = options.get(OPTION.REQUESTED_ADDRESS) ?? client;
      reply(message, equal(wanted, NETWORK.guest4) ? MESSAGE.ACK : MESSAGE.NAK, guest);
      return;
    }
    case MESSAGE.INFORM:
      reply(message, MESSAGE.ACK, guest, false);
      return;
    default:
    // DECLINE and RELEASE change nothing: there is one address and one guest.
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function readOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at++]!;
    if (code === OPTION.PAD) continue;
    if (code === OPTION.END || at >= bytes.length) break;
    const length = bytes[at++]!;
    if (at + length > bytes.length) break;
    if (!options.has(code)) options.set(code, bytes.subarray(at, at + length));
    at += length;
  }
  return options;
}

function reply(request: Uint8Array, type: number, guest: GuestSide, withLease = true): void {
  const refused = type === MESSAGE.NAK;
  const { mtu } = guest.card ?? { mtu: 1500 };
  const options: number[] = [OPTION.MESSAGE_TYPE, 1, type, OPTION.SERVER, 4, ...NETWORK.gateway4];
  if (!refused) {
    if (withLease) options.push(OPTION.LEASE_TIME, 4, ...big32(LEASE_SECONDS));
    options.push(OPTION.NETMASK, 4, ...NETWORK.netmask, OPTION.ROUTER, 4, ...NETWORK.gateway4);
    options.push(OPTION.DNS, 4, ...NETWORK.dns4, OPTION.BROADCAST, 4, ...NETWORK.broadcast4);
    options.push(OPTION.MTU, 2, mtu >> 8, mtu & 0xff);
  }
  options.push(OPTION.END);
  const message = new Uint8Array(Math.max(LEAST_SIZE, FIELD.OPTIONS + options.length));
  // Operation "reply", and transaction, flags, client's addresses as they came.
  message.set(request.subarray(0, FIELD.YOURS));
  message[0] = 2;
  message.fill(0, 8, FIELD.FLAGS);
  if (!refused && withLease) message.set(NETWORK.guest4, FIELD.YOURS);
  message.set(NETWORK.gateway4, FIELD.YOURS + 4);
  const mac = request.subarray(FIELD.MAC, FIELD.MAC + 6);
  message.set(mac, FIELD.MAC);
  message.set(MAGIC, FIELD.MAGIC);
  message.set(options, FIELD.OPTIONS);
  const client = request.slice(FIELD.CLIENT, FIELD.CLIENT + 4);
  const hasAddress = client.some((byte) => byte !== 0);
  const broadcast = refused || (!hasAddress && (request[FIELD.FLAGS]! & BROADCAST_FLAG) !== 0);
  const header = udpHeader(DHCP_PORT.SERVER, DHCP_PORT.CLIENT, message.length);
  guest.sendDatagram({
    source: NETWORK.gateway4,
    destination: broadcast ? BROADCAST : hasAddress ? client : NETWORK.guest4,
    protocol: PROTOCOL.UDP,
    pieces: [header, message],
    checksumOffset: 6,
    ...(!broadcast && { destinationMac: mac.slice() }),
  });
}

function big32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
