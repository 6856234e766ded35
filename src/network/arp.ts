import { isOwnAddress, NETWORK } from "./addresses.ts";
import { type GuestSide, writeEthernetHeader } from "./guest-side.ts";
import { ETHERNET_HEADER, ETHERTYPE } from "./ip-packet.ts";

const SIZE = 28;
const OPERATION = { REQUEST: 1, REPLY: 2 } as const;
/** Ethernet, IPv4, and the lengths of their addresses. */
const KIND = Uint8Array.of(0, 1, 8, 0, 6, 4);

/** Answers who has one of the network's addresses (RFC 826). `packet` begins after the Ethernet header. */
export function answerArp(packet: Uint8Array, guest: GuestSide): void {
  if (packet.length < SIZE || !KIND.every((byte, index) => packet[index] === byte)) return;
  const [senderMac, sender] = [packet.subarray(8, 14), packet.subarray(14, 18)];
  const target = packet.subarray(24, 28);
  const operation = (packet[6]! << 8) | packet[7]!;
  if (operation !== OPERATION.REQUEST && operation !== OPERATION.REPLY) return;
  // A probe for a duplicate comes from 0.0.0.0.
  if (sender.some((byte) => byte !== 0) && !isOwnAddress(sender)) guest.learn(sender, senderMac);
  if (operation !== OPERATION.REQUEST || !isOwnAddress(target)) return;
  const frame = new Uint8Array(ETHERNET_HEADER + SIZE);
  writeEthernetHeader(frame, senderMac, ETHERTYPE.ARP);
  const reply = frame.subarray(ETHERNET_HEADER);
  reply.set(KIND);
  reply[7] = OPERATION.REPLY;
  reply.set(NETWORK.gatewayMac, 8);
  reply.set(target, 14);
  reply.set(senderMac, 18);
  reply.set(sender, 24);
  guest.send(frame);
}
