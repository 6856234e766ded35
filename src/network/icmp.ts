import { type IpAddress, isMulticast, isUnspecified, NETWORK } from "./addresses.ts";
import { fold, sumWords } from "./checksum.ts";
import { checksumFits, type GuestSide } from "./guest-side.ts";
import { type IpPacket, PROTOCOL } from "./ip-packet.ts";

/** RFC 792 and RFC 4443. */
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

/** Why a packet goes no further, and how both versions say it: type and code. */
const REASONS = {
  "no network": { 4: [3, 0], 6: [1, 0] },
  "no host": { 4: [3, 1], 6: [1, 3] },
  "no port": { 4: [3, 3], 6: [1, 4] },
  prohibited: { 4: [3, 13], 6: [1, 1] },
} as const satisfies Record<string, Record<4 | 6, readonly [number, number]>>;

export type UnreachableReason = keyof typeof REASONS;

/** An error message quotes as much as makes it 576 (IPv4, RFC 1812) or 1280 bytes (IPv6) long. */
const QUOTED = { 4: 576 - 28, 6: 1280 - 48 } as const;
const HEADER = 8;

/** Whether a packet asks for an echo, undamaged. */
export function isEchoRequest({ version, source, destination, payload }: IpPacket): boolean {
  if (payload.length < HEADER || payload[0] !== ECHO[version].request || isMulticast(source)) return false;
  return version === 4
    ? fold(sumWords(payload)) === 0xffff
    : checksumFits(source, destination, PROTOCOL.ICMPV6, payload);
}

/** Answers an echo request as the one to whom it went. */
export function sendEchoReply(
  { version, source, destination, payload, protocol }: IpPacket,
  guest: GuestSide,
): void {
  const toAllNodes = version === 6 && isMulticast(destination);
  const reply = payload.slice();
  reply[0] = ECHO[version].reply;
  reply[2] = 0;
  reply[3] = 0;
  guest.sendDatagram({
    source: toAllNodes ? NETWORK.router6 : destination.slice(),
    destination: source.slice(),
    protocol,
    pieces: [reply],
    checksumOffset: 2,
  });
}

/** Tells the guest that its packet went nowhere. */
export function sendUnreachable(
  { version, source, destination, whole }: IpPacket,
  reason: UnreachableReason,
  guest: GuestSide,
): void {
  if (isMulticast(source) || isUnspecified(source) || isMulticast(destination)) return;
  const [type, code] = REASONS[reason][version];
  const message = new Uint8Array(HEADER + Math.min(whole.length, QUOTED[version]));
  message[0] = type;
  message[1] = code;
  message.set(whole.subarray(0, QUOTED[version]), HEADER);
  guest.sendDatagram({
    source: version === 4 ? NETWORK.gateway4 : NETWORK.gateway6,
    destination: source.slice(),
    protocol: version === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6,
    pieces: [message],
    checksumOffset: 2,
  });
}

/** What is needed of a packet for an error message later. */
export function quote(packet: IpPacket): IpPacket {
  const whole = packet.whole.slice(0, QUOTED[packet.version]);
  const copy = (address: IpAddress): IpAddress => address.slice();
  return {
    ...packet,
    source: copy(packet.source),
    destination: copy(packet.destination),
    payload: new Uint8Array(0),
    whole,
  };
}
