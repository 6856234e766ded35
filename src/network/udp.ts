import type { IpAddress } from "./addresses.ts";
import { checksumFits } from "./guest-side.ts";
import { type IpPacket, PROTOCOL } from "./ip-packet.ts";

const HEADER = 8;

/** A UDP datagram of the guest's; arrays are views of its frame. */
export interface UdpDatagram {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
  readonly packet: IpPacket;
}

/** Takes a datagram apart (RFC 768); undefined where it is malformed or damaged. */
export function parseUdp(packet: IpPacket, checksumPending: boolean): UdpDatagram | undefined {
  const { payload, source, destination } = packet;
  if (payload.length < HEADER) return undefined;
  const word = (offset: number): number => (payload[offset]! << 8) | payload[offset + 1]!;
  const length = word(4);
  if (length < HEADER || length > payload.length) return undefined;
  const summed = word(6) !== 0;
  // IPv6 has no datagrams without a checksum (RFC 8200, section 8.1).
  if (!summed && packet.version === 6 && !checksumPending) return undefined;
  const whole = payload.subarray(0, length);
  if (summed && !checksumPending && !checksumFits(source, destination, PROTOCOL.UDP, whole)) return undefined;
  return {
    source,
    sourcePort: word(0),
    destination,
    destinationPort: word(2),
    payload: whole.subarray(HEADER),
    packet,
  };
}

/** A UDP header whose checksum is still to be filled in. */
export function udpHeader(sourcePort: number, destinationPort: number, length: number): Uint8Array {
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  view.setUint16(4, HEADER + length);
  return header;
}
