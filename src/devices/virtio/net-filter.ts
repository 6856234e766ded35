import {
  arrayField,
  bytesField,
  listField,
  numberField,
  type StateField,
  u64Field,
} from "../../base/state-fields.ts";
import { CONTROL, NET_FEATURE } from "./net-protocol.ts";

/** Bits of {@link NET_FEATURE} that the driver may switch while it runs. */
const SWITCHABLE =
  (1n << BigInt(NET_FEATURE.GUEST_CSUM)) |
  (1n << BigInt(NET_FEATURE.GUEST_TSO4)) |
  (1n << BigInt(NET_FEATURE.GUEST_TSO6)) |
  (1n << BigInt(NET_FEATURE.GUEST_ECN));

/** Addresses of one table; with more, everything of its kind is let through. */
const MOST_ADDRESSES = 256;
const MAC_SIZE = 6;
const ALL_NEGOTIATED = 2n ** 64n - 1n;

/** What the driver says on the control queue: which frames it wants, and which work it does on them. */
export class NetFilter {
  /** The card's address; the driver may change it. */
  readonly macAddress: Uint8Array;
  readonly #original: Uint8Array;
  readonly #mostPairs: number;
  /** Pairs of queues that the driver uses, from 1 to as many as there are. */
  pairs = 1;
  /** Offloads that the driver has switched on, as feature bits; undefined: all that were negotiated. */
  offloads: bigint | undefined;
  #modes: Set<number> = new Set();
  #unicast: Set<string> | undefined;
  #multicast: Set<string> | undefined;

  constructor(macAddress: Uint8Array, mostPairs = 1) {
    this.#mostPairs = mostPairs;
    this.#original = macAddress.slice();
    this.macAddress = macAddress.slice();
    this.reset();
  }

  reset(): void {
    this.macAddress.set(this.#original);
    this.offloads = undefined;
    this.pairs = 1;
    this.#modes = new Set();
    // Until the driver names groups, it gets all.
    this.#unicast = new Set();
    this.#multicast = undefined;
  }

  stateFields(): readonly StateField[] {
    const table = (
      name: string,
      get: () => Set<string> | undefined,
      set: (table: Set<string> | undefined) => void,
    ) =>
      bytesField(
        name,
        1 + MOST_ADDRESSES * MAC_SIZE,
        () => encodeTable(get()),
        (bytes) => set(decodeTable(bytes)),
      );
    return [
      arrayField("address", this.macAddress),
      numberField(
        "pairs",
        this.#mostPairs,
        () => this.pairs,
        (value) => {
          this.pairs = value;
        },
        1,
      ),
      // -1 in 64 bits, which no set of features is: all that were negotiated.
      u64Field(
        "offloads",
        () => this.offloads ?? ALL_NEGOTIATED,
        (value) => {
          this.offloads = value === ALL_NEGOTIATED ? undefined : value & SWITCHABLE;
        },
      ),
      listField(
        "modes",
        { longest: 8, most: CONTROL.RX.NO_BROADCAST },
        () => [...this.#modes].sort(),
        (modes) => {
          this.#modes = new Set(modes);
        },
      ),
      table(
        "unicast",
        () => this.#unicast,
        (value) => {
          this.#unicast = value;
        },
      ),
      table(
        "multicast",
        () => this.#multicast,
        (value) => {
          this.#multicast = value;
        },
      ),
    ];
  }

  /** Whether the driver wants a frame for this address. */
  wants(destination: Uint8Array): boolean {
    const { RX } = CONTROL;
    if (this.#modes.has(RX.PROMISCUOUS)) return true;
    if (destination.every((byte) => byte === 0xff)) return !this.#modes.has(RX.NO_BROADCAST);
    if ((destination[0]! & 1) === 1) {
      if (this.#modes.has(RX.NO_MULTICAST)) return false;
      if (this.#modes.has(RX.ALL_MULTICAST) || this.#multicast === undefined) return true;
      return this.#multicast.has(key(destination));
    }
    if (this.#modes.has(RX.NO_UNICAST)) return false;
    if (this.#modes.has(RX.ALL_UNICAST) || this.#unicast === undefined) return true;
    return (
      this.macAddress.every((byte, index) => byte === destination[index]) ||
      this.#unicast.has(key(destination))
    );
  }

  /** Carries a command out; false when it is none, or malformed. */
  command(kind: number, command: number, data: Uint8Array): boolean {
    switch (kind) {
      case CONTROL.RX.class:
        if (command > CONTROL.RX.NO_BROADCAST || data.length < 1) return false;
        if (data[0] === 0) this.#modes.delete(command);
        else this.#modes.add(command);
        return true;
      case CONTROL.MAC.class:
        if (command === CONTROL.MAC.TABLE_SET) return this.#setTables(data);
        if (command !== CONTROL.MAC.ADDRESS_SET || data.length < MAC_SIZE || (data[0]! & 1) === 1)
          return false;
        this.macAddress.set(data.subarray(0, MAC_SIZE));
        return true;
      case CONTROL.MQ.class: {
        const pairs = (data[0] ?? 0) | ((data[1] ?? 0) << 8);
        if (command !== CONTROL.MQ.PAIRS_SET || pairs < 1 || pairs > this.#mostPairs) return false;
        this.pairs = pairs;
        return true;
      }
      case CONTROL.GUEST_OFFLOADS.class: {
        if (command !== CONTROL.GUEST_OFFLOADS.SET || data.length < 8) return false;
        const offloads = new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true);
        if ((offloads & ~SWITCHABLE) !== 0n) return false;
        this.offloads = offloads;
        return true;
      }
      default:
        return false;
    }
  }

  /** Two tables, each with the number of its entries before them (section 5.1.6.5.2). */
  #setTables(data: Uint8Array): boolean {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const tables: (Set<string> | undefined)[] = [];
    let at = 0;
    for (let table = 0; table < 2; table++) {
      if (at + 4 > data.length) return false;
      const count = view.getUint32(at, true);
      at += 4;
      if (count * MAC_SIZE > data.length - at) return false;
      const entries = Array.from({ length: Math.min(count, MOST_ADDRESSES) }, (_, index) =>
        key(data.subarray(at + index * MAC_SIZE, at + (index + 1) * MAC_SIZE)),
      );
      tables.push(count > MOST_ADDRESSES ? undefined : new Set(entries));
      at += count * MAC_SIZE;
    }
    [this.#unicast, this.#multicast] = tables;
    return true;
  }
}

function key(address: Uint8Array): string {
  return String.fromCharCode(...address.subarray(0, MAC_SIZE));
}

/** A table for a state stream: nothing for one that lets everything through, else a zero and the addresses. */
function encodeTable(table: Set<string> | undefined): Uint8Array {
  if (table === undefined) return new Uint8Array(0);
  return Uint8Array.from([0, ...[...table].flatMap((entry) => [...entry].map((byte) => byte.charCodeAt(0)))]);
}

function decodeTable(bytes: Uint8Array): Set<string> | undefined {
  if (bytes.length === 0) return undefined;
  const count = Math.floor((bytes.length - 1) / MAC_SIZE);
  return new Set(
    Array.from({ length: count }, (_, index) =>
      key(bytes.subarray(1 + index * MAC_SIZE, 1 + (index + 1) * MAC_SIZE)),
    ),
  );
}
