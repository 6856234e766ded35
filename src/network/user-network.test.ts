import { describe, expect, test } from "vitest";
import { ethernet, ipFrame, NetworkGuest, packetOf } from "../../test/support/network-guest.ts";
import { Random } from "../../test/support/random.ts";
import { TcpPeer } from "../../test/support/tcp-peer.ts";
import { address, formatAddress, NETWORK, parseAddress } from "./addresses.ts";
import { answerWith, encodeName, questionOf } from "./dns-message.ts";
import { ETHERTYPE, type IpPacket, PROTOCOL } from "./ip-packet.ts";
import { parseAllowRule } from "./policy.ts";
import { parsePublishedPort } from "./publish.ts";
import { parseUdp, udpHeader } from "./udp.ts";

const OUTSIDE = address("192.0.2.7");
const GUEST6 = address("fd00:10:0:2:5054:ff:fe10:20f");
const ALL_NODES = address("ff02::1");

function newGuest(allow?: readonly string[]): NetworkGuest {
  return new NetworkGuest(new Random(5), { allow: allow?.map(parseAllowRule) });
}

function udp(
  destination: Uint8Array,
  destinationPort: number,
  payload: Uint8Array,
  { source = NETWORK.guest4 as Uint8Array, sourcePort = 5000 } = {},
): Uint8Array {
  const header = udpHeader(sourcePort, destinationPort, payload.length);
  return ipFrame(source, destination, PROTOCOL.UDP, Buffer.concat([header, payload]), 6);
}

function query(name: string, type = 1): Uint8Array {
  const head = Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0);
  return Buffer.concat([head, encodeName(name)!, Uint8Array.of(0, type, 0, 1)]);
}

function datagrams(guest: NetworkGuest) {
  return guest.packets(PROTOCOL.UDP).map((packet) => parseUdp(packet, false)!);
}

/** Type and code of ICMP messages. */
function messages(packets: readonly IpPacket[]): number[][] {
  return packets.map(({ payload }) => [...payload.subarray(0, 2)]);
}

test("the guest hears in a moment that its frames are gone; later, but not never, while it gets others", () => {
  const guest = new NetworkGuest(new Random(3));
  const peer = new TcpPeer({ guest, random: new Random(4) });
  peer.call();
  guest.host.advance(5);
  peer.poll();
  guest.host.advance(50);
  const told = guest.toldOfTransmitted;
  guest.send(new Uint8Array(60));
  guest.host.advance(1);
  expect(guest.toldOfTransmitted).toBe(told);
  guest.host.advance(4);
  expect(guest.toldOfTransmitted).toBe(told + 1);
  guest.host.advance(50);
  expect(guest.toldOfTransmitted).toBe(told + 1);
  guest.send(new Uint8Array(60));
  for (let passed = 0; passed < 10; passed++) {
    guest.host.streams[0]!.events.data(new Uint8Array(100));
    guest.host.advance(1);
  }
  expect(guest.toldOfTransmitted).toBe(told + 1);
  for (let passed = 0; passed < 40; passed++) {
    guest.host.streams[0]!.events.data(new Uint8Array(100));
    guest.host.advance(1);
  }
  expect(guest.toldOfTransmitted).toBe(told + 2);
});

test("addresses in text and back", () => {
  for (const text of [
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "1:2:3:4:5:6:7:8",
    "2001:db8::1:0:0:1",
    "::ffff:c000:201",
  ])
    expect(formatAddress(parseAddress(text)!)).toBe(text);
  expect(formatAddress(parseAddress("::ffff:192.0.2.1")!)).toBe("::ffff:c000:201");
  expect(formatAddress(parseAddress("1:0:0:2:0:0:0:3")!)).toBe("1:0:0:2::3");
  for (const text of [
    "",
    "1.2.3",
    "1.2.3.256",
    "1:2",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7:8:9",
    "::1%eth0",
  ])
    expect(parseAddress(text)).toBeUndefined();
});

describe("neighbours", () => {
  test("ARP answers for the network's addresses and no others", () => {
    const guest = newGuest();
    const ask = (target: Uint8Array): Uint8Array =>
      ethernet(
        ETHERTYPE.ARP,
        Uint8Array.of(
          0,
          1,
          8,
          0,
          6,
          4,
          0,
          1,
          ...NETWORK.guestMac,
          ...NETWORK.guest4,
          0,
          0,
          0,
          0,
          0,
          0,
          ...target,
        ),
        new Uint8Array(6).fill(255),
      );
    guest.send(ask(NETWORK.gateway4), ask(NETWORK.dns4), ask(NETWORK.guest4), ask(OUTSIDE));
    const replies = guest.take().map(({ bytes }) => [...bytes.subarray(14 + 8, 14 + 18)]);
    expect(replies).toEqual([NETWORK.gateway4, NETWORK.dns4].map((own) => [...NETWORK.gatewayMac, ...own]));
  });

  test("IPv6 routers and neighbours are advertised", () => {
    const guest = newGuest();
    const solicit = new Uint8Array(24);
    solicit[0] = 135;
    solicit.set(NETWORK.router6, 8);
    const router = Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0);
    const from = address("fe80::5054:ff:fe10:20f");
    guest.send(
      ipFrame(from, address("ff02::2"), PROTOCOL.ICMPV6, router, 2, 255),
      ipFrame(from, address("ff02::1:ff00:2"), PROTOCOL.ICMPV6, solicit, 2, 255),
      // From beyond a router: not to be believed.
      ipFrame(from, address("ff02::2"), PROTOCOL.ICMPV6, router, 2, 64),
    );
    const [advertisement, neighbour, ...others] = guest.packets(PROTOCOL.ICMPV6);
    expect(others).toEqual([]);
    expect([advertisement!.payload[0], formatAddress(advertisement!.destination)]).toEqual([134, "ff02::1"]);
    expect([...advertisement!.payload.subarray(40, 56)]).toEqual([...NETWORK.prefix6]);
    expect([neighbour!.payload[0], neighbour!.hopLimit]).toEqual([136, 255]);
    // A probe for a duplicate of the guest's own address is nobody's.
    solicit.set(GUEST6, 8);
    guest.send(ipFrame(address("::"), ALL_NODES, PROTOCOL.ICMPV6, solicit, 2, 255));
    expect(guest.take()).toEqual([]);
  });
});

describe("echo", () => {
  const ping = Uint8Array.of(8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7);
  test("of the gateway, and of it over IPv6", () => {
    const guest = newGuest();
    guest.send(ipFrame(NETWORK.guest4, NETWORK.gateway4, PROTOCOL.ICMP, ping, 2));
    expect([...guest.packets(PROTOCOL.ICMP)[0]!.payload.subarray(4)]).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const ping6 = Uint8Array.from([128, ...ping.subarray(1)]);
    guest.send(ipFrame(GUEST6, NETWORK.gateway6, PROTOCOL.ICMPV6, ping6, 2));
    expect(messages(guest.packets(PROTOCOL.ICMPV6))).toEqual([[129, 0]]);
  });

  test.each([
    ["answered", [[0, 0]]],
    ["unreachable", [[3, 1]]],
    ["impossible", [[3, 13]]],
    ["silent", []],
  ] as const)("of the world outside is %s as the host's is", async (outcome, expected) => {
    const guest = newGuest();
    const asked: string[] = [];
    guest.host.onEcho = (to) => {
      asked.push(to);
      return outcome;
    };
    guest.send(ipFrame(NETWORK.guest4, OUTSIDE, PROTOCOL.ICMP, ping, 2));
    await new Promise((resolve) => setImmediate(resolve));
    guest.host.advance(5);
    const packets = guest.packets(PROTOCOL.ICMP);
    expect([asked, messages(packets)]).toEqual([[formatAddress(OUTSIDE)], expected]);
    if (outcome === "answered") {
      expect([...packets[0]!.payload.subarray(4)]).toEqual([1, 2, 3, 4, 5, 6, 7]);
      expect([...packets[0]!.source]).toEqual([...OUTSIDE]);
    }
  });

  test("is asked for a few at a time, and not answered to the next guest", async () => {
    const guest = newGuest();
    const waiting: ((outcome: "answered") => void)[] = [];
    guest.host.onEcho = () => new Promise((resolve) => waiting.push(resolve));
    const asked = ipFrame(NETWORK.guest4, OUTSIDE, PROTOCOL.ICMP, ping, 2);
    for (let sent = 0; sent < 100; sent++) guest.send(asked);
    expect(waiting.length).toBe(16);
    guest.network.stop();
    guest.network.start(guest);
    for (const answer of waiting.splice(0)) answer("answered");
    await new Promise((resolve) => setImmediate(resolve));
    guest.host.advance(5);
    expect(guest.take()).toEqual([]);
    guest.send(asked);
    expect(waiting.length).toBe(1);
  });

  test("of nobody inside, of what a policy forbids and of everybody is not asked for", () => {
    const guest = newGuest(["198.51.100.7:80", "198.51.100.8:*"]);
    const asked: string[] = [];
    guest.host.onEcho = (to) => {
      asked.push(to);
      return "silent";
    };
    const answers = (to: string): unknown => {
      guest.send(ipFrame(NETWORK.guest4, address(to), PROTOCOL.ICMP, ping, 2));
      return messages(guest.packets(PROTOCOL.ICMP));
    };
    expect(answers("10.0.2.99")).toEqual([[3, 1]]);
    expect(answers("127.0.0.1")).toEqual([[3, 1]]);
    expect(answers("198.51.100.7")).toEqual([[3, 13]]);
    expect(answers("198.51.100.8")).toEqual([]);
    expect(answers("224.0.0.1")).toEqual([]);
    expect(answers("255.255.255.255")).toEqual([]);
    expect(asked).toEqual(["198.51.100.8"]);
  });

  test("requests that are damaged have no answer", () => {
    const guest = newGuest();
    guest.send(ipFrame(NETWORK.guest4, NETWORK.gateway4, PROTOCOL.ICMP, ping));
    expect(guest.take()).toEqual([]);
  });
});

test("DHCP offers and acknowledges one address, and refuses others", () => {
  const guest = newGuest();
  const ask = (type: number, requested?: Uint8Array): Uint8Array => {
    const message = new Uint8Array(300);
    message.set([1, 1, 6, 0, 9, 8, 7, 6]);
    message.set(NETWORK.guestMac, 28);
    message.set([99, 130, 83, 99, 53, 1, type], 236);
    message.set(requested === undefined ? [255] : [50, 4, ...requested, 255], 243);
    return udp(new Uint8Array(4).fill(255), 67, message, { source: new Uint8Array(4), sourcePort: 68 });
  };
  guest.send(ask(1), ask(3, NETWORK.guest4), ask(3, address("10.0.2.77")));
  const replies = datagrams(guest).map(({ payload }) => ({
    kind: payload[242],
    yours: formatAddress(payload.subarray(16, 20)),
    transaction: [...payload.subarray(4, 8)],
  }));
  expect(replies).toEqual([
    { kind: 2, yours: "10.0.2.15", transaction: [9, 8, 7, 6] },
    { kind: 5, yours: "10.0.2.15", transaction: [9, 8, 7, 6] },
    { kind: 6, yours: "0.0.0.0", transaction: [9, 8, 7, 6] },
  ]);
});

describe("UDP", () => {
  test("goes through a port of the host, and only whom the guest wrote to may answer", () => {
    const guest = newGuest();
    guest.send(udp(OUTSIDE, 123, Buffer.from("time?")), udp(NETWORK.gateway4, 99, Buffer.from("host")));
    const [socket, ...others] = guest.host.datagrams;
    expect(others).toEqual([]);
    expect(socket!.sent.map(({ address, port }) => `${address} ${port}`)).toEqual([
      "192.0.2.7 123",
      "127.0.0.1 99",
    ]);
    socket!.events.data(Buffer.from("noon"), "192.0.2.7", 123);
    socket!.events.data(Buffer.from("host!"), "127.0.0.1", 99);
    socket!.events.data(Buffer.from("evil"), "192.0.2.8", 123);
    guest.host.advance(1);
    expect(
      datagrams(guest).map(
        ({ source, sourcePort, payload }) => `${formatAddress(source)} ${sourcePort} ${Buffer.from(payload)}`,
      ),
    ).toEqual(["192.0.2.7 123 noon", "10.0.2.2 99 host!"]);
    guest.host.advance(400_000);
    expect([socket!.closed, guest.network.statistics().udpFlows]).toEqual([true, 0]);
  });

  test("long datagrams are joined and parted, over both versions", () => {
    for (const [source, destination] of [
      [NETWORK.guest4, OUTSIDE],
      [GUEST6, address("2001:db8::1")],
    ] as const) {
      const guest = newGuest();
      const long = Uint8Array.from({ length: 4000 }, (_, index) => index & 0xff);
      guest.send(udp(destination, 7, Buffer.from("x"), { source }));
      const [socket] = guest.host.datagrams;
      socket!.events.data(long, formatAddress(destination), 7);
      guest.host.advance(1);
      const fragments = guest.take().map(({ bytes }) => bytes);
      expect(fragments.length).toBe(3);
      // What the network parts it also joins, in any order: the guest sends the same back with the ends exchanged.
      const back = fragments.reverse().map((frame) => {
        const { fragment, protocol, payload } = packetOf(frame)!;
        const extra = new Uint8Array(source.length === 4 ? 0 : 8);
        if (extra.length > 0) extra.set(frame.subarray(54, 62));
        const rebuilt = ipFrame(
          source,
          destination,
          extra.length > 0 ? PROTOCOL.FRAGMENT : protocol,
          Buffer.concat([extra, payload]),
        );
        if (extra.length === 0) {
          rebuilt.set(frame.subarray(14, 24), 14);
          const { sum } = headerSum(rebuilt.subarray(14, 34));
          rebuilt.set([sum >> 8, sum & 0xff], 24);
        }
        expect(fragment).toBeDefined();
        return rebuilt;
      });
      guest.send(...back);
      // Source and destination changed places, so the checksum still fits; the ports are the other way round.
      expect(socket!.sent.length + (guest.host.datagrams[1]?.sent.length ?? 0)).toBe(2);
      expect(guest.host.datagrams[1]!.sent[0]!.bytes).toEqual(long);
    }
  });

  test("a published port leads in, and answers find their way", async () => {
    const guest = newGuest();
    await guest.network.publish(parsePublishedPort("5353:53/udp"));
    const [socket] = guest.host.datagrams;
    for (const port of [1111, 2222]) socket!.events.data(Buffer.from(`from ${port}`), "127.0.0.1", port);
    guest.host.advance(1);
    const arrived = datagrams(guest);
    expect(arrived.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["from 1111", "from 2222"]);
    guest.send(udp(NETWORK.gateway4, arrived[1]!.sourcePort, Buffer.from("back"), { sourcePort: 53 }));
    expect(socket!.sent.map(({ port, bytes }) => `${port} ${Buffer.from(bytes)}`)).toEqual(["2222 back"]);
  });

  test("what is damaged, or for nobody, goes nowhere", () => {
    const guest = newGuest();
    const damaged = udp(OUTSIDE, 1, Buffer.from("abc"));
    damaged[damaged.length - 1]! ^= 1;
    guest.send(
      damaged,
      udp(address("224.0.0.251"), 5353, Buffer.from("mdns")),
      udp(NETWORK.broadcast4, 1, Buffer.from("b")),
    );
    expect([guest.take(), guest.host.datagrams]).toEqual([[], []]);
    for (const nobody of ["10.0.2.99", "127.0.0.1", "0.1.2.3"]) {
      guest.send(udp(address(nobody), 1, Buffer.from("a")));
      expect(messages(guest.packets(PROTOCOL.ICMP)), nobody).toEqual([[3, 1]]);
    }
    guest.send(udp(NETWORK.dns4, 54, Buffer.from("a")));
    expect(messages(guest.packets(PROTOCOL.ICMP))).toEqual([[3, 3]]);
  });
});

function headerSum(header: Uint8Array): { sum: number } {
  header[10] = 0;
  header[11] = 0;
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (header[i]! << 8) | header[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return { sum: ~sum & 0xffff };
}

describe("names", () => {
  const settle = () => new Promise((resolve) => setTimeout(resolve, 1));

  test("the resolver's answer comes back from where it was asked", async () => {
    const guest = newGuest();
    guest.host.onResolve = (asked) => answerWith(asked, [OUTSIDE], 60);
    guest.send(
      udp(NETWORK.dns4, 53, query("example.org")),
      udp(NETWORK.dns6, 53, query("example.org"), { source: GUEST6 }),
    );
    await settle();
    guest.host.advance(1);
    const answers = datagrams(guest);
    expect(answers.map(({ source }) => formatAddress(source))).toEqual(["10.0.2.3", "fd00:10:0:2::3"]);
    expect([...answers[0]!.payload.slice(-4)]).toEqual([...OUTSIDE]);
  });

  test("over TCP too", async () => {
    const guest = newGuest();
    const asked: string[] = [];
    guest.host.onResolve = (message) => {
      asked.push(questionOf(message)!.name);
      return answerWith(message, [OUTSIDE], 60);
    };
    const peer = new TcpPeer({ guest, random: new Random(6), remote: NETWORK.dns4, remotePort: 53 });
    peer.call();
    for (let i = 0; i < 3; i++) {
      guest.host.advance(10);
      peer.poll();
    }
    const message = query("example.org");
    const framed = Buffer.concat([Uint8Array.of(0, message.length), message]);
    peer.write(framed.subarray(0, 5));
    peer.write(Buffer.concat([framed.subarray(5), framed]));
    await settle();
    guest.host.advance(10);
    peer.poll();
    expect(asked).toEqual(["example.org", "example.org"]);
    expect(peer.bytes.length).toBe(2 * (2 + message.length + 16));
    peer.finish();
    guest.host.advance(10);
    peer.poll();
    expect([peer.finished, guest.network.statistics().tcpConnections]).toEqual([true, 0]);
  });

  test("no answer is said, nonsense too", async () => {
    const guest = newGuest();
    guest.send(udp(NETWORK.dns4, 53, query("example.org")), udp(NETWORK.dns4, 53, new Uint8Array(12)));
    await settle();
    guest.host.advance(1);
    expect(
      datagrams(guest)
        .map(({ payload }) => payload[3]! & 15)
        .sort(),
    ).toEqual([1, 2]);
  });
});

describe("a policy", () => {
  test("lets the guest reach what it names, and nothing else", async () => {
    const guest = newGuest(["example.org:80", "192.0.2.9:*", "localhost:5432", "*.packages.example.org:443"]);
    guest.host.onResolve = (asked) => answerWith(asked, [OUTSIDE], 60);
    let port = 1000;
    const reaches = (remote: Uint8Array, remotePort: number): boolean => {
      const before = guest.host.streams.length;
      new TcpPeer({ guest, random: new Random(1), port: port++, remote, remotePort }).call();
      return guest.host.streams.length > before;
    };
    const asks = async (name: string): Promise<number> => {
      guest.take();
      guest.send(udp(NETWORK.dns4, 53, query(name)));
      await new Promise((resolve) => setTimeout(resolve, 1));
      guest.host.advance(1);
      return datagrams(guest)[0]!.payload[3]! & 15;
    };
    expect(reaches(OUTSIDE, 80)).toBe(false);
    expect(await asks("example.com")).toBe(5);
    expect(await asks("EXAMPLE.org")).toBe(0);
    expect([reaches(OUTSIDE, 80), reaches(OUTSIDE, 443)]).toEqual([true, false]);
    expect([reaches(address("192.0.2.9"), 1), reaches(address("192.0.2.10"), 1)]).toEqual([true, false]);
    expect([reaches(NETWORK.gateway4, 5432), reaches(NETWORK.gateway4, 5433)]).toEqual([true, false]);
    expect(await asks("packages.example.org")).toBe(5);
    expect(await asks("mirror.packages.example.org")).toBe(0);
    expect(reaches(OUTSIDE, 443)).toBe(true);
    // A name must not open the way to the host's own addresses.
    guest.host.onResolve = (asked) => answerWith(asked, [address("169.254.169.254")], 60);
    await asks("example.org");
    expect(reaches(address("169.254.169.254"), 80)).toBe(false);
    guest.take();
    guest.send(udp(OUTSIDE, 53, Buffer.from("tunnel")));
    expect(messages(guest.packets(PROTOCOL.ICMP))).toEqual([[3, 13]]);
  });

  test.each([
    "example.org",
    ":80",
    "example.org:0",
    "example.org:65536",
    "1.2.3:80",
    "[example.org]:80",
    "::1:80",
    "a b:80",
    "*:80",
    "-x:80",
  ])("%j is not one", (text) => {
    expect(() => parseAllowRule(text)).toThrow(/is no destination; allow HOST:PORT/);
  });

  test.each(["22", "a:22", "1:2:3", "70000:22", "2222:0", "2222:22/sctp", "[127.0.0.1]:1:2", "::1:1:2"])(
    "%j is no port to publish",
    (text) => {
      expect(() => parsePublishedPort(text)).toThrow(/is no port to publish; give \[ADDRESS:\]HOSTPORT/);
    },
  );

  test("ports to publish, in all forms", () => {
    expect(["2222:22", "0.0.0.0:8080:80", "[::1]:53:53/udp", "0:80/tcp"].map(parsePublishedPort)).toEqual([
      { protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22 },
      { protocol: "tcp", address: "0.0.0.0", hostPort: 8080, guestPort: 80 },
      { protocol: "udp", address: "::1", hostPort: 53, guestPort: 53 },
      { protocol: "tcp", address: "127.0.0.1", hostPort: 0, guestPort: 80 },
    ]);
  });
});
