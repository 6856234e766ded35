import { describe, expect, test } from "vitest";
import { FakeNetworkHost } from "../../../test/support/fake-network-host.ts";
import { Random } from "../../../test/support/random.ts";
import { fuzzRings } from "../../../test/support/ring-fuzz.ts";
import { VirtioDriver } from "../../../test/support/virtio-driver.ts";
import { attach } from "../../../test/support/virtio-machine.ts";
import { NETWORK } from "../../network/addresses.ts";
import type { DeliveryOffload, Network, NetworkCard, TransmittedFrame } from "../../network/link.ts";
import { UserNetwork } from "../../network/user-network.ts";
import { VirtioNet } from "./net.ts";
import { NET_FEATURE } from "./net-protocol.ts";

/** A network that remembers. */
class Recorder implements Network {
  card: NetworkCard | undefined;
  readonly frames: TransmittedFrame[] = [];
  batches = 0;
  rooms = 0;
  start(card: NetworkCard): void {
    this.card = card;
  }
  stop(): void {
    this.card = undefined;
  }
  transmit(frame: TransmittedFrame): void {
    this.frames.push({ ...frame, bytes: frame.bytes.slice() });
  }
  transmitted(): void {
    this.batches++;
  }
  roomAvailable(): void {
    this.rooms++;
  }
}

const { GUEST_CSUM, GUEST_TSO4, MRG_RXBUF, CTRL_VQ, CTRL_RX, CTRL_MAC_ADDR, MAC, MQ, CTRL_GUEST_OFFLOADS } =
  NET_FEATURE;
const CONTROL = [CTRL_VQ, CTRL_RX, CTRL_MAC_ADDR];

function setUp(features: readonly number[] = [], ring = {}) {
  const network = new Recorder();
  const device = new VirtioNet({ network, macAddress: NETWORK.guestMac });
  const { mmio, memory, line } = attach(device, 1 << 22);
  const driver = new VirtioDriver(mmio, memory, ring);
  driver.start(
    [64, 64, 16],
    [MAC, ...features].reduce((mask, bit) => mask | (1 << bit), 0),
  );
  return { network, device, mmio, memory, line, driver };
}

function frame(length: number, destination: Uint8Array = NETWORK.guestMac): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => destination[index] ?? index & 0xff);
}

test("the configuration has address, link and MTU", () => {
  const { mmio } = setUp();
  expect([...Array(6).keys()].map((index) => mmio.read(0x100 + index, 1))).toEqual([...NETWORK.guestMac]);
  expect([mmio.read(0x106, 2), mmio.read(0x10a, 2)]).toEqual([1, 1500]);
});

describe.each([
  { packed: false, eventIndex: true, indirect: true },
  { packed: true, eventIndex: true, indirect: false },
  { packed: false, eventIndex: false, indirect: false },
])("packed $packed, event index $eventIndex, indirect $indirect", (ring) => {
  test("frames from the guest arrive whole, in batches, with what is left to do", () => {
    const { network, driver } = setUp([NET_FEATURE.CSUM, NET_FEATURE.HOST_TSO4], ring);
    const header = Uint8Array.of(1, 1, 0, 0, 180, 5, 34, 0, 16, 0, 0, 0);
    const big = frame(60_000);
    driver.add(1, [header, big.subarray(0, 54), big.subarray(54)]);
    driver.add(1, [Buffer.concat([new Uint8Array(12), frame(60)])]);
    driver.notify(1);
    expect(network.frames.map(({ bytes, ...rest }) => ({ length: bytes.length, ...rest }))).toEqual([
      { length: 60_000, checksumPending: true, owned: true },
      { length: 60, checksumPending: false, owned: false },
    ]);
    expect(Buffer.compare(network.frames[0]!.bytes, big)).toBe(0);
    expect(network.batches).toBe(2);
    expect(driver.returned(1)).toHaveLength(2);
  });

  test("the driver is told at once of many frames that are gone, or of large ones, and of others when asked to", () => {
    for (const length of [60, 60_000]) {
      const { network, driver, line } = setUp([NET_FEATURE.CSUM, NET_FEATURE.HOST_TSO4], ring);
      const send = (): void => {
        driver.add(1, [Buffer.concat([new Uint8Array(12), frame(length)])]);
        driver.notify(1);
      };
      for (let sent = 0; sent < (length === 60 ? 15 : 0); sent++) send();
      expect(line.level).toBe(false);
      send();
      if (length === 60) expect(network.frames).toHaveLength(16);
      expect(line.level).toBe(true);
    }
    const { network, driver, line } = setUp([], ring);
    driver.add(1, [Buffer.concat([new Uint8Array(12), frame(60)])]);
    driver.notify(1);
    expect(line.level).toBe(false);
    network.card!.announceTransmitted();
    expect([line.level, driver.returned(1).length]).toEqual([true, 1]);
  });

  test("a frame to the guest is spread over buffers, and waits for them", () => {
    const { network, driver, line } = setUp([MRG_RXBUF, GUEST_CSUM, GUEST_TSO4], ring);
    const card = network.card!;
    const bytes = frame(5000);
    expect(card.deliver([bytes])).toBe(false);
    for (let i = 0; i < 3; i++) driver.add(0, [1500]);
    driver.notify(0);
    expect([network.rooms, card.deliver([bytes])]).toEqual([1, false]);
    driver.add(0, [1000, 500]);
    driver.notify(0);
    const offload: DeliveryOffload = {
      checksumStart: 34,
      checksumOffset: 16,
      segmentSize: 1460,
      headerSize: 54,
      version: 4,
    };
    expect([network.rooms, card.deliver([bytes.subarray(0, 54), bytes.subarray(54)], offload)]).toEqual([
      2,
      true,
    ]);
    expect(line.level).toBe(false);
    card.announce();
    expect(line.level).toBe(true);
    const returned = driver.returned(0);
    expect(returned.map(({ written }) => written)).toEqual([1500, 1500, 1500, 512]);
    const joined = Buffer.concat(returned.map(({ bytes, written }) => bytes.subarray(0, written)));
    expect([...joined.subarray(0, 12)]).toEqual([1, 1, 54, 0, 180, 5, 34, 0, 16, 0, 4, 0]);
    expect(Buffer.compare(joined.subarray(12), bytes)).toBe(0);
  });
});

test("without merged buffers a frame that is too long for its buffer is lost, the next one is not", () => {
  const { network, driver } = setUp();
  driver.add(0, [1526]);
  expect(network.card!.deliver([frame(3000)])).toBe(true);
  expect(network.card!.deliver([frame(100)])).toBe(true);
  expect(driver.returned(0).map(({ written }) => written)).toEqual([112]);
});

test("work is left to the guest only as far as it does that", () => {
  expect(setUp().network.card!.completesChecksums).toBe(false);
  expect(setUp([GUEST_TSO4]).network.card!.takesJoinedSegments(4)).toBe(false);
  const { network, driver } = setUp([GUEST_CSUM, GUEST_TSO4, CTRL_VQ, CTRL_GUEST_OFFLOADS]);
  const card = network.card!;
  expect([card.completesChecksums, card.takesJoinedSegments(4), card.takesJoinedSegments(6)]).toEqual([
    true,
    true,
    false,
  ]);
  driver.add(2, [Uint8Array.of(5, 0), Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0), 1]);
  driver.notify(2);
  expect([...driver.returned(2)[0]!.bytes]).toEqual([0]);
  expect([card.completesChecksums, card.takesJoinedSegments(4)]).toEqual([true, false]);
});

describe("the control queue", () => {
  const command = (driver: VirtioDriver, ...bytes: number[]): number => {
    driver.add(2, [Uint8Array.from(bytes), 1]);
    driver.notify(2);
    return driver.returned(2)[0]!.bytes[0]!;
  };
  const wants = ({ network, driver }: ReturnType<typeof setUp>, destination: number[]): boolean => {
    driver.add(0, [2000]);
    network.card!.deliver([frame(60, Uint8Array.from(destination))]);
    return driver.returned(0).length === 1;
  };
  const [mine, other, group, all] = [
    [...NETWORK.guestMac],
    [2, 0, 0, 0, 0, 9],
    [0x33, 0x33, 0, 0, 0, 1],
    [255, 255, 255, 255, 255, 255],
  ];

  test("chooses frames by address", () => {
    const parts = setUp(CONTROL);
    const { driver } = parts;
    const chosen = () => [mine, other, group, all].map((address) => wants(parts, address!));
    expect(chosen()).toEqual([true, false, true, true]);
    expect(command(driver, 1, 0, 1, 0, 0, 0, ...other!, 0, 0, 0, 0)).toBe(0);
    expect(chosen()).toEqual([true, true, false, true]);
    expect(command(driver, 0, 0, 1)).toBe(0);
    expect(chosen()).toEqual([true, true, true, true]);
    expect([command(driver, 0, 0, 0), command(driver, 0, 5, 1)]).toEqual([0, 0]);
    expect(chosen()).toEqual([true, true, false, false]);
  });

  test("sets the address, until a reset", () => {
    const parts = setUp(CONTROL);
    expect(command(parts.driver, 1, 1, ...other!)).toBe(0);
    expect([wants(parts, other!), wants(parts, mine!)]).toEqual([true, false]);
    expect(parts.mmio.read(0x105, 1)).toBe(9);
    parts.mmio.write(0x70, 4, 0);
    expect(parts.device.macAddress).toEqual(NETWORK.guestMac);
  });

  test("refuses what it does not know, and malformed commands", () => {
    const { driver } = setUp(CONTROL);
    for (const bytes of [
      [9, 0, 0],
      [0, 6, 1],
      [0, 0],
      [1, 0, 9, 0, 0, 0, 1],
      [1, 1, 1, 0, 0, 0, 0, 1],
      [5, 0, 255, 255, 255, 255, 255, 255, 255, 255],
    ])
      expect(command(driver, ...bytes)).toBe(1);
  });
});

describe("several pairs of queues", () => {
  const [FIRST, SECOND, CONTROL_QUEUE] = [0, 2, 4];
  function setUpPairs(features: readonly number[]) {
    const network = new Recorder();
    const device = new VirtioNet({ network, macAddress: NETWORK.guestMac, pairs: 2 });
    const { mmio, memory, line } = attach(device, 1 << 22);
    const driver = new VirtioDriver(mmio, memory);
    driver.start(
      features.includes(MQ) ? [64, 64, 64, 64, 16] : [64, 64, 16],
      [MAC, ...features].reduce((mask, bit) => mask | (1 << bit), 0),
    );
    const setPairs = (pairs: number, queue = CONTROL_QUEUE): number => {
      driver.add(queue, [Uint8Array.of(4, 0, pairs & 0xff, pairs >> 8), 1]);
      driver.notify(queue);
      return driver.returned(queue)[0]!.bytes[0]!;
    };
    return { network, mmio, driver, line, setPairs };
  }
  /** A TCP or UDP segment either way between 10.0.2.15 and 10.0.2.2, or the same over IPv6. */
  function segment(version: 4 | 6, toGuest: boolean, guestPort: number, protocol = 6): Uint8Array {
    const bytes = new Uint8Array(100);
    bytes.set(NETWORK.guestMac);
    bytes.set(version === 4 ? [8, 0, 0x45] : [0x86, 0xdd, 0x60], 12);
    bytes[version === 4 ? 23 : 20] = protocol;
    const [from, length] = version === 4 ? [26, 4] : [22, 16];
    const [guest, remote] =
      version === 4 ? [NETWORK.guest4, NETWORK.gateway4] : [new Uint8Array(16).fill(3), NETWORK.router6];
    bytes.set(toGuest ? remote : guest, from);
    bytes.set(toGuest ? guest : remote, from + length);
    const ports = [guestPort >> 8, guestPort & 0xff, 0, 80];
    bytes.set(toGuest ? [...ports.slice(2), ...ports.slice(0, 2)] : ports, from + 2 * length);
    return bytes;
  }
  const arrivesAt = ({ network, driver }: ReturnType<typeof setUpPairs>, bytes: Uint8Array): number[] => {
    for (const queue of [FIRST, SECOND]) driver.add(queue, [2000]);
    expect(network.card!.deliver([bytes])).toBe(true);
    return [FIRST, SECOND].filter((queue) => driver.returned(queue).length > 0);
  };
  const send = ({ driver }: ReturnType<typeof setUpPairs>, receiveQueue: number, bytes: Uint8Array): void => {
    driver.add(receiveQueue + 1, [Buffer.concat([new Uint8Array(12), bytes])]);
    driver.notify(receiveQueue + 1);
  };

  test("are there when asked for, and only then offered", () => {
    const many = setUpPairs([CTRL_VQ, MQ]);
    expect(many.mmio.read(0x108, 2)).toBe(2);
    const { mmio } = setUp();
    mmio.write(0x14, 4, 0);
    expect([mmio.read(0x108, 2), mmio.read(0x10, 4) & (1 << MQ)]).toEqual([1, 0]);
  });

  test.each([4, 6] as const)("a flow of IPv%d is received where it was transmitted last", (version) => {
    const parts = setUpPairs([CTRL_VQ, MQ]);
    // Until the driver asks for more, it uses the first pair.
    send(parts, SECOND, segment(version, false, 1000));
    expect(arrivesAt(parts, segment(version, true, 1000))).toEqual([FIRST]);
    expect(parts.setPairs(2)).toBe(0);
    send(parts, SECOND, segment(version, false, 1000));
    send(parts, FIRST, segment(version, false, 1001));
    expect(arrivesAt(parts, segment(version, true, 1000))).toEqual([SECOND]);
    expect(arrivesAt(parts, segment(version, true, 1001))).toEqual([FIRST]);
    send(parts, FIRST, segment(version, false, 1000));
    expect(arrivesAt(parts, segment(version, true, 1000))).toEqual([FIRST]);
    send(parts, SECOND, segment(version, false, 1000, 17));
    expect(arrivesAt(parts, segment(version, true, 1000, 17))).toEqual([SECOND]);
    // With fewer pairs, nothing goes to the others.
    expect(parts.setPairs(1)).toBe(0);
    expect(arrivesAt(parts, segment(version, true, 1000, 17))).toEqual([FIRST]);
    expect(parts.network.frames.length).toBe(5);
  });

  test("each has its own room, and its own interrupt", () => {
    const parts = setUpPairs([CTRL_VQ, MQ]);
    const { network, driver, line, mmio } = parts;
    parts.setPairs(2);
    mmio.write(0x64, 4, 1);
    send(parts, SECOND, segment(4, false, 1000));
    driver.add(FIRST, [2000]);
    expect(network.card!.deliver([segment(4, true, 1000)])).toBe(false);
    driver.add(SECOND, [2000]);
    driver.notify(FIRST);
    expect(network.rooms).toBe(0);
    driver.notify(SECOND);
    expect([network.rooms, network.card!.deliver([segment(4, true, 1000)])]).toEqual([1, true]);
    expect(line.level).toBe(false);
    network.card!.announce();
    expect(line.level).toBe(true);
  });

  test("numbers of pairs that there are not are refused", () => {
    const { setPairs } = setUpPairs([CTRL_VQ, MQ]);
    expect([0, 3, 0x8000, 0xffff].map((pairs) => setPairs(pairs))).toEqual([1, 1, 1, 1]);
  });

  test("without the feature, the third queue is the control queue", () => {
    const parts = setUpPairs([CTRL_VQ, CTRL_RX]);
    parts.driver.add(2, [Uint8Array.of(0, 0, 1), 1]);
    parts.driver.notify(2);
    expect([...parts.driver.returned(2)[0]!.bytes]).toEqual([0]);
  });
});

test("a cable that is out carries nothing, and the guest is told", () => {
  const { network, device, driver, mmio } = setUp([NET_FEATURE.STATUS]);
  device.setLink(false);
  expect([mmio.read(0x106, 2), mmio.read(0x60, 4)]).toEqual([0, 2]);
  driver.add(0, [2000]);
  driver.add(1, [new Uint8Array(100)]);
  driver.notify(1);
  network.card!.deliver([frame(60)]);
  expect([network.frames, driver.returned(0)]).toEqual([[], []]);
});

test("buffers of a queue that was reset are not used any more", () => {
  const { network, driver, mmio, memory } = setUp([MRG_RXBUF]);
  driver.add(0, [1500]);
  expect(network.card!.deliver([frame(3000)])).toBe(false);
  driver.start([64, 64, 16], (1 << MRG_RXBUF) | (1 << MAC));
  const before = memory.bytes.slice();
  expect(network.card!.deliver([frame(100)])).toBe(false);
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
  expect(mmio.read(0x70, 4)).toBe(15);
});

test.each([1, 3])(
  "random registers, rings and frames never throw (pairs: %d)",
  { timeout: 300_000 },
  (pairs) => {
    const random = Random.ofThisRun();
    console.log(`virtio-net fuzz seed ${random.seed}`);
    const network = new UserNetwork({ host: new FakeNetworkHost(random), wake: () => network.pump() });
    const device = new VirtioNet({ network, macAddress: NETWORK.guestMac, pairs });
    fuzzRings(device, random, {
      features: [MAC, ...(pairs > 1 ? [MQ] : []), MRG_RXBUF, GUEST_CSUM, GUEST_TSO4, ...CONTROL].reduce(
        (mask, bit) => mask | (1 << bit),
        0,
      ),
      request: () => {
        const bytes = frame(20 + random.below(200));
        bytes.set(NETWORK.gatewayMac, 12);
        for (let i = random.below(60); i > 0; i--) bytes[random.below(bytes.length)] = random.below(256);
        return bytes;
      },
    });
  },
);
