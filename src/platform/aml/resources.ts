/** Resource descriptors for _CRS and its like: ACPI 6.5, section 6.4. */

import { type Bytes, concatenate } from "../../base/bytes.ts";
import { littleEndian, zeroTerminated } from "./bytes.ts";
import { buffer } from "./data.ts";

const TAG = {
  end: 0x79,
  memory32Fixed: 0x86,
  dwordAddress: 0x87,
  wordAddress: 0x88,
  extendedInterrupt: 0x89,
  qwordAddress: 0x8a,
} as const;

/** `ResourceTemplate () { ... }`: a buffer of descriptors with its end tag. A checksum of 0 counts as right. */
export function resourceTemplate(...descriptors: readonly Bytes[]): Uint8Array {
  return buffer(concatenate(...descriptors, Uint8Array.of(TAG.end, 0)));
}

/** A large descriptor: tag, length of what follows in 16 bits, content. */
export function largeDescriptor(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatenate(...parts);
  return concatenate(Uint8Array.of(tag), littleEndian(content.length, 2), content);
}

/** Bytes of memory-mapped registers that lie below 4 GiB (section 6.4.3.4). */
export function memory32Fixed(
  base: number,
  size: number,
  access: "read-write" | "read-only" = "read-write",
): Uint8Array {
  const information = access === "read-write" ? 1 : 0;
  return largeDescriptor(
    TAG.memory32Fixed,
    Uint8Array.of(information),
    littleEndian(base, 4),
    littleEndian(size, 4),
  );
}

/** A range of addresses, as the descriptors of section 6.4.3.5 have it. */
export interface AddressWindow {
  /** First address as the children of a bridge see it; for a plain device, as everybody sees it. */
  readonly base: number | bigint;
  /** Bytes, ports or buses; at least 1. */
  readonly size: number | bigint;
  /** What a bridge adds to reach the address on its primary side. */
  readonly translation?: number | bigint;
  /** A bridge's window for its children ("producer") or what the device itself uses ("consumer"). */
  readonly usage: "producer" | "consumer";
}

const RESOURCE = { memory: 0, io: 1, bus: 2 } as const;

const CONSUMER = 1 << 0;
const MINIMUM_FIXED = 1 << 2;
const MAXIMUM_FIXED = 1 << 3;

function addressSpace(
  tag: number,
  width: number,
  resource: keyof typeof RESOURCE,
  typeFlags: number,
  { base, size, translation = 0, usage }: AddressWindow,
): Uint8Array {
  const maximum = BigInt(base) + BigInt(size) - 1n;
  const flags = MINIMUM_FIXED | MAXIMUM_FIXED | (usage === "consumer" ? CONSUMER : 0);
  const granularity = 0;
  return largeDescriptor(
    tag,
    Uint8Array.of(RESOURCE[resource], flags, typeFlags),
    ...[granularity, base, maximum, translation, size].map((value) => littleEndian(value, width)),
  );
}

const READ_WRITE = 1 << 0;
const CACHEABILITY = { "non-cacheable": 0, cacheable: 1, "write-combining": 2, prefetchable: 3 } as const;

/** How memory in a window may be accessed. */
export type Cacheability = keyof typeof CACHEABILITY;

/** Memory anywhere in 64 bits. */
export function qwordMemory(window: AddressWindow, cacheability: Cacheability = "non-cacheable"): Uint8Array {
  return addressSpace(TAG.qwordAddress, 8, "memory", READ_WRITE | (CACHEABILITY[cacheability] << 1), window);
}

/** Memory below 4 GiB. */
export function dwordMemory(window: AddressWindow, cacheability: Cacheability = "non-cacheable"): Uint8Array {
  return addressSpace(TAG.dwordAddress, 4, "memory", READ_WRITE | (CACHEABILITY[cacheability] << 1), window);
}

const ENTIRE_RANGE = 3;
const TYPE_TRANSLATION = 1 << 4;

/** I/O ports that a host bridge shows at memory addresses: `base` counts ports, `translation` is the memory's address. */
export function qwordIo(window: AddressWindow): Uint8Array {
  return addressSpace(TAG.qwordAddress, 8, "io", ENTIRE_RANGE | TYPE_TRANSLATION, window);
}

/** The same with 32-bit fields. */
export function dwordIo(window: AddressWindow): Uint8Array {
  return addressSpace(TAG.dwordAddress, 4, "io", ENTIRE_RANGE | TYPE_TRANSLATION, window);
}

/** Bus numbers behind a host bridge. */
export function wordBusNumber(window: AddressWindow): Uint8Array {
  return addressSpace(TAG.wordAddress, 2, "bus", 0, window);
}

/** How a wire tells of an interrupt. */
export interface InterruptSignal {
  readonly mode: "level" | "edge";
  readonly polarity: "active-high" | "active-low" | "active-both";
  readonly sharing?: "exclusive" | "shared";
  readonly wake?: boolean;
}

const EDGE = 1 << 1;
const ACTIVE_LOW = 1 << 2;
const SHARED = 1 << 3;
const WAKE_CAPABLE = 1 << 4;

/**
 * Wires to an interrupt controller (section 6.4.3.6): global system interrupt numbers, or, with `source`,
 * inputs of that device. Both edges cannot be said here; they become rising ones.
 */
export function extendedInterrupt(
  numbers: readonly number[],
  signal: InterruptSignal,
  source?: string,
): Uint8Array {
  const flags =
    CONSUMER |
    (signal.mode === "edge" ? EDGE : 0) |
    (signal.polarity === "active-low" ? ACTIVE_LOW : 0) |
    (signal.sharing === "shared" ? SHARED : 0) |
    (signal.wake === true ? WAKE_CAPABLE : 0);
  const sourceIndex = 0;
  return largeDescriptor(
    TAG.extendedInterrupt,
    Uint8Array.of(flags, numbers.length),
    ...numbers.map((number) => littleEndian(number, 4)),
    ...(source === undefined ? [] : [Uint8Array.of(sourceIndex), zeroTerminated(source)]),
  );
}
