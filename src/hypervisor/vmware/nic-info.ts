import { formatAddress } from "../../network/addresses.ts";

/**
 * The guest's network cards as open-vm-tools tells them: GuestNicProto, version 3, in XDR (RFC 4506). All of it is
 * walked, since lists follow lists; what is kept are the addresses.
 */

/** A card. */
export interface NetworkCard {
  /** As the guest writes it. */
  readonly hardwareAddress: string;
  /** IPv4 and IPv6 addresses with their prefix lengths: "10.0.2.15/24". */
  readonly addresses: readonly string[];
}

const VERSION = 3;
/** InetAddressType of RFC 4001. */
const IPV4 = 1;
const IPV6 = 2;
/** Bounds of the format itself. */
const MOST_CARDS = 16;
const MOST_ADDRESSES = 2048;
const MOST_DNS_ITEMS = 16;
const LONGEST_TEXT = 16_384;

/** The cards, or undefined where the bytes are something else. */
export function readNetworkCards(bytes: Uint8Array): NetworkCard[] | undefined {
  const reader = new XdrReader(bytes);
  if (reader.word() !== VERSION || reader.word() !== 1) return undefined;
  const cards = reader.list(MOST_CARDS, () => {
    const hardwareAddress = reader.text();
    const addresses = reader.list(MOST_ADDRESSES, () => {
      const address = readAddress(reader);
      const prefix = reader.word();
      reader.optional(() => reader.word());
      reader.optional(() => reader.word());
      return address === undefined ? undefined : `${address}/${prefix}`;
    });
    skipConfiguration(reader);
    return { hardwareAddress, addresses: addresses.filter((address) => address !== undefined) };
  });
  return reader.failed ? undefined : cards;
}

function skipConfiguration(reader: XdrReader): void {
  // DNS: host, domain, servers, suffixes.
  reader.optional(() => {
    reader.optional(() => reader.text());
    reader.optional(() => reader.text());
    reader.list(MOST_DNS_ITEMS, () => readAddress(reader));
    reader.list(MOST_DNS_ITEMS, () => reader.text());
  });
  // WINS: two addresses. Then DHCP of either kind: a flag and a text.
  reader.optional(() => {
    readAddress(reader);
    readAddress(reader);
  });
  for (let kind = 0; kind < 2; kind++) {
    reader.optional(() => {
      reader.word();
      reader.text();
    });
  }
}

function readAddress(reader: XdrReader): string | undefined {
  const type = reader.word();
  const bytes = reader.opaque();
  const isAddress = (type === IPV4 && bytes.length === 4) || (type === IPV6 && bytes.length === 16);
  return isAddress ? formatAddress(bytes) : undefined;
}

/** Reads words; after the end everything is 0 and empty. */
class XdrReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  word(): number {
    if (this.#at + 4 > this.#bytes.length) this.failed = true;
    if (this.failed) return 0;
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  opaque(): Uint8Array {
    const length = this.word();
    if (length > LONGEST_TEXT || this.#at + length > this.#bytes.length) this.failed = true;
    if (this.failed) return new Uint8Array(0);
    const start = this.#at;
    this.#at += (length + 3) & ~3;
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return new TextDecoder().decode(this.opaque());
  }

  optional(read: () => unknown): void {
    if (this.word() !== 0) read();
  }

  list<Item>(most: number, read: () => Item): Item[] {
    const count = this.word();
    if (count > most) this.failed = true;
    const items: Item[] = [];
    for (let item = 0; item < count && !this.failed; item++) items.push(read());
    return items;
  }
}
