import type { IpAddress } from "./addresses.ts";
import { complement, sumWords } from "./checksum.ts";

/** Protocol numbers of IANA; IPv6's extension headers are in the same list. */
export const PROTOCOL = {
  HOP_BY_HOP: 0,
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  ROUTING: 43,
  FRAGMENT: 44,
  ICMPV6: 58,
  NO_NEXT: 59,
  DESTINATION: 60,
} as const;

export const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd } as const;

export const ETHERNET_HEADER = 14;
export const IPV4_HEADER = 20;
export const IPV6_HEADER = 40;

/** An IP packet without its headers. All arrays are views of the frame. */
export interface IpPacket {
  readonly version: 4 | 6;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly payload: Uint8Array;
  /** From the IP header on; error messages quote it. */
  readonly whole: Uint8Array;
  /** Set for one part of a larger packet. */
  readonly fragment: Fragment | undefined;
}

export interface Fragment {
  /** The same for all parts of one packet between two hosts. */
  readonly identification: number;
  /** Bytes. */
  readonly offset: number;
  readonly more: boolean;
}

/** Takes a packet apart; undefined where it is malformed or its header is damaged. */
export function parseIp(bytes: Uint8Array, version: 4 | 6): IpPacket | undefined {
  return version === 4 ? parseIpv4(bytes) : parseIpv6(bytes);
}

/** RFC 791, section 3.1. */
function parseIpv4(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < IPV4_HEADER || bytes[0]! >> 4 !== 4) return undefined;
  const headerLength = (bytes[0]! & 15) * 4;
  const total = (bytes[2]! << 8) | bytes[3]!;
  if (headerLength < IPV4_HEADER || total < headerLength || total > bytes.length) return undefined;
  if (complement(sumWords(bytes.subarray(0, headerLength))) !== 0) return undefined;
  const word = (bytes[6]! << 8) | bytes[7]!;
  const offset = (word & 0x1fff) * 8;
  const more = (word & 0x2000) !== 0;
  return {
    version: 4,
    source: bytes.subarray(12, 16),
    destination: bytes.subarray(16, 20),
    protocol: bytes[9]!,
    hopLimit: bytes[8]!,
    payload: bytes.subarray(headerLength, total),
    whole: bytes.subarray(0, total),
    fragment:
      offset === 0 && !more ? undefined : { identification: (bytes[4]! << 8) | bytes[5]!, offset, more },
  };
}

/** RFC 8200, sections 3 and 4. */
function parseIpv6(bytes: Uint8Array): IpPacket | undefined {
  if (bytes.length < IPV6_HEADER || bytes[0]! >> 4 !== 6) return undefined;
  const end = IPV6_HEADER + ((bytes[4]! << 8) | bytes[5]!);
  if (end > bytes.length) return undefined;
  let protocol = bytes[6]!;
  let at = IPV6_HEADER;
  let fragment: Fragment | undefined;
  for (;;) {
    if (
      protocol !== PROTOCOL.HOP_BY_HOP &&
      protocol !== PROTOCOL.ROUTING &&
      protocol !== PROTOCOL.DESTINATION &&
      protocol !== PROTOCOL.FRAGMENT
    )
      break;
    if (at + 8 > end) return undefined;
    // Of a part, only the parts before have what follows the fragment header; it is taken apart after joining.
    if (protocol === PROTOCOL.FRAGMENT) {
      const word = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
      protocol = bytes[at]!;
      at += 8;
      const offset = word & 0xfff8;
      const more = (word & 1) !== 0;
      if (offset === 0 && !more) continue;
      fragment = { identification: view.getUint32(4), offset, more };
      break;
    }
    const length = 8 * (bytes[at + 1]! + 1);
    protocol = bytes[at]!;
    at += length;
    if (at > end) return undefined;
  }
  return {
    version: 6,
    source: bytes.subarray(8, 24),
    destination: bytes.subarray(24, 40),
    protocol,
    hopLimit: bytes[7]!,
    payload: bytes.subarray(at, end),
    whole: bytes.subarray(0, end),
    fragment,
  };
}

export interface HeaderFields {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** Bytes after the IP header. */
  readonly length: number;
  readonly hopLimit?: number;
  readonly fragment?: Fragment;
}

const HOP_LIMIT = 64;

/** Writes an IPv4 header of 20 bytes at the start of `target`. Without a fragment it may not be fragmented. */
export function writeIpv4Header(target: Uint8Array, fields: HeaderFields): void {
  const { source, destination, protocol, length, hopLimit = HOP_LIMIT, fragment } = fields;
  const total = IPV4_HEADER + length;
  target.fill(0, 0, IPV4_HEADER);
  target[0] = 0x45;
  target[2] = total >> 8;
  target[3] = total;
  if (fragment === undefined) target[6] = 0x40;
  else {
    target[4] = fragment.identification >> 8;
    target[5] = fragment.identification;
    const word = (fragment.more ? 0x2000 : 0) | (fragment.offset >> 3);
    target[6] = word >> 8;
    target[7] = word;
  }
  target[8] = hopLimit;
  target[9] = protocol;
  target.set(source, 12);
  target.set(destination, 16);
  const sum = complement(sumWords(target.subarray(0, IPV4_HEADER)));
  target[10] = sum >> 8;
  target[11] = sum;
}

/** Writes an IPv6 header of 40 bytes at the start of `target`; a fragment header is the caller's. */
export function writeIpv6Header(target: Uint8Array, fields: HeaderFields): void {
  const { source, destination, protocol, length, hopLimit = HOP_LIMIT } = fields;
  target.fill(0, 0, 8);
  target[0] = 0x60;
  target[4] = length >> 8;
  target[5] = length;
  target[6] = protocol;
  target[7] = hopLimit;
  target.set(source, 8);
  target.set(destination, 24);
}
