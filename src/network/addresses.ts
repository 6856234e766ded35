/** IP addresses are 4 or 16 bytes in network order, MAC addresses 6. */
export type IpAddress = Uint8Array;

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function ipVersion(address: IpAddress): 4 | 6 {
  return address.length === 4 ? 4 : 6;
}

/** A short string that two addresses share if and only if they are equal: keys of maps. */
export function addressKey(address: IpAddress): string {
  const word = (index: number): number => (address[index]! << 8) | address[index + 1]!;
  return address.length === 4
    ? String.fromCharCode(word(0), word(2))
    : String.fromCharCode(word(0), word(2), word(4), word(6), word(8), word(10), word(12), word(14));
}

/** "10.0.2.15", or IPv6 as RFC 5952 has it. */
export function formatAddress(address: IpAddress): string {
  if (address.length === 4) return address.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (address[2 * i]! << 8) | address[2 * i + 1]!);
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  return start < 0 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`;
}

/** The bytes of an address in text, or undefined where it is none. No zone, no port. */
export function parseAddress(text: string): IpAddress | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpAddress | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  return parts.every((part) => part < 256) ? Uint8Array.from(parts) : undefined;
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const gap = 16 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? gap !== 0 : gap < 2) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  if (tail !== undefined) bytes.set(tail, 16 - tail.length);
  return bytes;
}

/** Groups of an IPv6 address with colons between; the last may be an IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  const bytes: number[] = [];
  const groups = text === "" ? [] : text.split(":");
  for (const [index, group] of groups.entries()) {
    if (group.includes(".") && index === groups.length - 1) {
      const last = parseIpv4(group);
      if (last === undefined) return undefined;
      bytes.push(...last);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes;
}

/** An address that a program writes down. */
export function address(text: string): IpAddress {
  const bytes = parseAddress(text);
  if (bytes === undefined) throw new TypeError(`${text} is not an IP address`);
  return bytes;
}

export function isUnspecified(address: IpAddress): boolean {
  return address.every((byte) => byte === 0);
}

/** 127.0.0.0/8, ::1, and the former inside ::ffff:0:0/96. */
export function isLoopback(address: IpAddress): boolean {
  const embedded = embeddedIpv4(address);
  if (embedded !== undefined) return embedded[0] === 127;
  return address.subarray(0, 15).every((byte) => byte === 0) && address[15] === 1;
}

/** 224.0.0.0/4, ff00::/8; broadcast and the reserved addresses beside it count too. */
export function isMulticast(address: IpAddress): boolean {
  const embedded = embeddedIpv4(address);
  return embedded === undefined ? address[0] === 0xff : embedded[0]! >= 224;
}

/** 169.254.0.0/16, fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  const embedded = embeddedIpv4(address);
  if (embedded !== undefined) return embedded[0] === 169 && embedded[1] === 254;
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** The IPv4 address that this is, or that ::ffff:0:0/96 holds. */
function embeddedIpv4(address: IpAddress): Uint8Array | undefined {
  if (address.length === 4) return address;
  const mapped =
    address[10] === 0xff && address[11] === 0xff && address.subarray(0, 10).every((b) => b === 0);
  return mapped ? address.subarray(12) : undefined;
}

/** Whether the first `length` bits are the same. */
export function inPrefix(address: IpAddress, prefix: IpAddress, length: number): boolean {
  if (address.length !== prefix.length) return false;
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== prefix[i]) return false;
  const mask = 0xff00 >> (length & 7);
  return (length & 7) === 0 || ((address[whole]! ^ prefix[whole]!) & mask & 0xff) === 0;
}

/** The guest's network: addresses as in QEMU's user network, and the same pattern as IPv6 unique local addresses. */
export const NETWORK = {
  prefix4: address("10.0.2.0"),
  prefixLength4: 24,
  netmask: address("255.255.255.0"),
  broadcast4: address("10.0.2.255"),
  /** Stands for the host: what is sent there goes to its loopback address. */
  gateway4: address("10.0.2.2"),
  dns4: address("10.0.2.3"),
  /** Given by DHCP. */
  guest4: address("10.0.2.15"),
  prefix6: address("fd00:10:0:2::"),
  prefixLength6: 64,
  gateway6: address("fd00:10:0:2::2"),
  dns6: address("fd00:10:0:2::3"),
  router6: address("fe80::2"),
  /** Of the gateway and everything behind it; locally administered. */
  gatewayMac: Uint8Array.of(0x52, 0x55, 10, 0, 2, 2),
  /** Of the card, unless another is given. */
  guestMac: Uint8Array.of(0x52, 0x54, 0, 0x10, 2, 15),
} as const;

/** The addresses that answer for the network itself. */
export function isOwnAddress(target: IpAddress): boolean {
  return OWN.some((own) => sameBytes(own, target));
}
const OWN = [NETWORK.gateway4, NETWORK.dns4, NETWORK.gateway6, NETWORK.dns6, NETWORK.router6];

export function isGateway(target: IpAddress): boolean {
  return sameBytes(target, NETWORK.gateway4) || sameBytes(target, NETWORK.gateway6);
}

export function isDnsAddress(target: IpAddress): boolean {
  return sameBytes(target, NETWORK.dns4) || sameBytes(target, NETWORK.dns6);
}

/** An address of the guest's own network, which the host's network knows nothing of. */
export function isInside(target: IpAddress): boolean {
  return (
    inPrefix(target, NETWORK.prefix4, NETWORK.prefixLength4) ||
    inPrefix(target, NETWORK.prefix6, NETWORK.prefixLength6)
  );
}

/** The host's loopback address of a version. */
export const LOOPBACK = { 4: "127.0.0.1", 6: "::1" } as const;
