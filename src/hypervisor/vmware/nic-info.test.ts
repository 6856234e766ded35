import { describe, expect, test } from "vitest";
import { Random } from "../../../test/support/random.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import { readNetworkCards } from "./nic-info.ts";

/** XDR is big-endian, the writer is not. */
const word = (value: number): number[] => [
  value >>> 24,
  (value >>> 16) & 255,
  (value >>> 8) & 255,
  value & 255,
];
const opaque = (bytes: readonly number[]): number[] => [
  ...word(bytes.length),
  ...bytes,
  ...new Array<number>((4 - (bytes.length % 4)) % 4).fill(0),
];
const text = (characters: string): number[] => opaque([...Buffer.from(characters)]);
const address = (type: number, bytes: readonly number[], prefix: number): number[] => [
  ...word(type),
  ...opaque(bytes),
  ...word(prefix),
  ...word(1),
  ...word(4),
  ...word(0),
];

const IPV6 = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56];
const MESSAGE = [
  ...word(3),
  ...word(1),
  ...word(2),
  ...text("52:54:00:12:34:56"),
  ...word(2),
  ...address(1, [10, 0, 2, 15], 24),
  ...address(2, IPV6, 64),
  // DNS: host, no domain, one server, one suffix. Then no WINS, DHCP for IPv4 with a text, none for IPv6.
  ...word(1),
  ...word(1),
  ...text("guest"),
  ...word(0),
  ...word(1),
  ...word(1),
  ...opaque([10, 0, 2, 3]),
  ...word(1),
  ...text("example.org"),
  ...word(0),
  ...word(1),
  ...word(1),
  ...text("lease"),
  ...word(0),
  ...text("52:54:00:00:00:01"),
  ...word(0),
  ...new Array<number>(16).fill(0),
];

describe("network cards", () => {
  test("are read past what stands between them", () => {
    expect(readNetworkCards(Uint8Array.from(MESSAGE))).toEqual([
      { hardwareAddress: "52:54:00:12:34:56", addresses: ["10.0.2.15/24", "fe80::5054:ff:fe12:3456/64"] },
      { hardwareAddress: "52:54:00:00:00:01", addresses: [] },
    ]);
  });

  test("of another version or cut short are refused", () => {
    expect(readNetworkCards(new ByteWriter().u32(3).finish())).toBeUndefined();
    for (let length = 0; length < MESSAGE.length - 16; length += 3) {
      expect(readNetworkCards(Uint8Array.from(MESSAGE.slice(0, length)))).toBeUndefined();
    }
  });

  test("of random bytes end, whatever they say", () => {
    const random = Random.ofThisRun();
    for (let round = 0; round < 5_000; round++) {
      const bytes = Uint8Array.from(MESSAGE);
      for (let change = 0; change < 3; change++)
        bytes[8 + random.below(bytes.length - 8)] = random.below(256);
      readNetworkCards(bytes);
    }
  });
});
