import { describe, expect, test } from "vitest";
import type { FakeStream } from "../../test/support/fake-network-host.ts";
import { NetworkGuest } from "../../test/support/network-guest.ts";
import { Random } from "../../test/support/random.ts";
import { type PeerOptions, TcpPeer } from "../../test/support/tcp-peer.ts";
import { address, NETWORK } from "./addresses.ts";
import { PROTOCOL } from "./ip-packet.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";

function setUp(options: Partial<PeerOptions> & { offload?: boolean; random?: Random } = {}) {
  const { random = new Random(7), offload = true, ...others } = options;
  const guest = new NetworkGuest(random, { offload });
  const peer = new TcpPeer({ guest, random, ...others });
  /** Lets both sides do what they can for a while. */
  const run = (milliseconds: number): void => {
    for (let passed = 0; passed < milliseconds; passed += 50) {
      guest.host.advance(50);
      peer.poll();
    }
  };
  const open = (): FakeStream => {
    peer.call();
    run(100);
    expect(peer.state).toBe("open");
    return guest.host.streams[0]!;
  };
  return { guest, peer, run, open, random };
}

function bytesOf(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

describe("a conversation of small segments", () => {
  /** A request from the guest, and an answer after some time; the frames that it gets. */
  function exchange(
    { guest, peer }: ReturnType<typeof setUp>,
    stream: FakeStream,
    milliseconds: number,
  ): number {
    peer.write(Buffer.from("request"));
    guest.host.advance(milliseconds);
    stream.events.data(Buffer.from("answer"));
    guest.host.advance(1);
    const frames = guest.frames.length;
    peer.poll();
    return frames;
  }

  test("answers that come quickly carry the acknowledgements", () => {
    const all = setUp();
    const stream = all.open();
    const counts = Array.from({ length: 12 }, () => exchange(all, stream, 1));
    expect(counts.slice(0, 3)).toEqual([2, 2, 2]);
    expect(counts.slice(4)).toEqual(Array(8).fill(1));
    expect(all.peer.unacknowledged).toBe(0);
    expect(Buffer.from(stream.bytes).toString()).toBe("request".repeat(12));
  });

  test("an answer that does not come lets the guest wait for milliseconds only, and then less often", () => {
    const all = setUp();
    const { guest, peer } = all;
    const stream = all.open();
    for (let i = 0; i < 8; i++) exchange(all, stream, 1);
    peer.write(Buffer.from("last"));
    expect(guest.frames).toEqual([]);
    guest.host.advance(5);
    peer.poll();
    expect(peer.unacknowledged).toBe(0);
    expect([exchange(all, stream, 1), exchange(all, stream, 1), exchange(all, stream, 1)]).toEqual([2, 2, 2]);
  });

  test("a second segment, a full one and the guest's end are acknowledged at once", () => {
    for (const last of ["second", "full", "end"] as const) {
      const all = setUp();
      const { guest, peer } = all;
      const stream = all.open();
      for (let i = 0; i < 8; i++) exchange(all, stream, 1);
      if (last === "second") peer.write(Buffer.from("first"));
      expect(guest.frames).toEqual([]);
      if (last === "end") peer.finish();
      else peer.write(Buffer.alloc(last === "full" ? 1460 : 6));
      expect(guest.frames, last).toHaveLength(1);
    }
  });

  test("a connection that ends leaves no acknowledgement to wait for", () => {
    const all = setUp();
    const stream = all.open();
    for (let i = 0; i < 8; i++) exchange(all, stream, 1);
    all.peer.write(Buffer.from("last"));
    stream.events.failed("reset");
    all.run(50);
    expect(all.peer.state).toBe("reset");
    expect(all.guest.network.statistics().tcpConnections).toBe(0);
  });
});

describe("connections from the guest", () => {
  test("reach the host's loopback through the gateway, carry bytes both ways, and close from either side", () => {
    for (const first of ["guest", "host"] as const) {
      const { guest, peer, run, open } = setUp();
      const stream = open();
      expect([stream.address, stream.port]).toEqual(["127.0.0.1", 80]);
      peer.write(Buffer.from("hello"));
      run(50);
      expect(Buffer.from(stream.bytes).toString()).toBe("hello");
      stream.events.data(Buffer.from("answer"));
      run(50);
      expect(Buffer.from(peer.bytes).toString()).toBe("answer");
      // After one side has ended, the other still sends.
      const end = {
        guest: () => peer.finish(),
        host: () => stream.events.ended(),
      };
      end[first]();
      run(50);
      if (first === "guest") {
        expect([stream.ended, peer.finishAcknowledged, peer.finished]).toEqual([true, true, false]);
        stream.events.data(Buffer.from(" more"));
        run(50);
        expect(Buffer.from(peer.bytes).toString()).toBe("answer more");
        stream.events.ended();
      } else {
        expect([stream.ended, peer.finished]).toEqual([false, true]);
        peer.write(Buffer.from(" more"));
        run(50);
        expect(Buffer.from(stream.bytes).toString()).toBe("hello more");
        peer.finish();
      }
      run(100);
      expect([stream.ended, peer.finishAcknowledged, peer.finished]).toEqual([true, true, true]);
      stream.events.closed();
      expect(guest.network.statistics()).toMatchObject({ tcpConnections: 0, tcpBufferedBytes: 0 });
    }
  });

  test.each([
    ["refused", "reset"],
    ["unreachable", "calling"],
  ] as const)("that the host finds %s leave the guest %s", (reason, state) => {
    const { guest, peer, run } = setUp({ remote: address("192.0.2.1") });
    guest.host.onConnect = (stream) => stream.events.failed(reason);
    peer.call();
    guest.host.advance(50);
    const kinds = guest.frames.map(({ bytes }) => bytes[23]);
    expect(kinds).toEqual([reason === "refused" ? PROTOCOL.TCP : PROTOCOL.ICMP]);
    run(10);
    expect(peer.state).toBe(state);
    expect(guest.network.statistics().tcpConnections).toBe(0);
  });

  test("a reset passes through either way", () => {
    const one = setUp();
    const stream = one.open();
    one.peer.reset();
    expect(stream.broken).toBe(true);
    const two = setUp();
    two.open().events.failed("reset");
    two.run(50);
    expect(two.peer.state).toBe("reset");
    for (const { guest } of [one, two]) expect(guest.network.statistics().tcpConnections).toBe(0);
  });

  test("a reset waits for room where the guest has none", () => {
    const { guest, peer, run, open } = setUp();
    const stream = open();
    guest.capacity = 0;
    stream.events.failed("reset");
    guest.host.advance(50);
    expect(guest.frames).toEqual([]);
    guest.capacity = 1;
    run(100);
    expect(peer.state).toBe("reset");
  });

  test("segments of no connection are answered by a reset, resets by nothing", () => {
    const { guest, peer } = setUp();
    peer.state = "open";
    peer.finish();
    expect(guest.packets(PROTOCOL.TCP).map(({ payload }) => payload[13]! & 4)).toEqual([4]);
    peer.reset();
    expect(guest.take()).toEqual([]);
  });

  test("over IPv6 they reach the host's IPv6", () => {
    const { peer, run, open } = setUp({ source: address("fd00:10:0:2::abc"), remote: NETWORK.gateway6 });
    const stream = open();
    expect(stream.address).toBe("::1");
    stream.events.data(new Uint8Array(100_000).fill(3));
    run(200);
    expect(peer.bytes.length).toBe(100_000);
  });
});

describe("flow", () => {
  test("a host that does not read closes the guest's window, and opens it again", () => {
    const { guest, peer, run, open, random } = setUp();
    const stream = open();
    stream.slow = true;
    const bytes = bytesOf(random, 6 << 20);
    peer.write(bytes);
    run(2000);
    expect(stream.unwritten).toBeLessThanOrEqual(2 << 20);
    expect(stream.unwritten).toBeGreaterThan(1 << 20);
    expect(guest.network.statistics().tcpBufferedBytes).toBeLessThanOrEqual(3 << 20);
    for (let i = 0; i < 20; i++) {
      stream.drain();
      run(100);
    }
    expect(Buffer.compare(stream.bytes, bytes)).toBe(0);
  });

  test("a guest that does not read for a minute pauses the host, and loses nothing", () => {
    const { guest, peer, run, open, random } = setUp({ window: 1 << 18 });
    const stream = open();
    const bytes = bytesOf(random, 5 << 20);
    peer.stalled = true;
    let given = 0;
    const give = (): void => {
      while (!stream.paused && given < bytes.length) {
        stream.events.data(bytes.subarray(given, given + 65_536));
        given += 65_536;
      }
    };
    give();
    run(60_000);
    expect(stream.paused).toBe(true);
    expect(guest.network.statistics().tcpBufferedBytes).toBeLessThan(3 << 20);
    expect(peer.bytes.length).toBe(1 << 18);
    peer.read();
    for (let i = 0; i < 100; i++) {
      give();
      run(50);
    }
    expect(Buffer.compare(peer.bytes, bytes)).toBe(0);
  });

  test("a window that opens unheard is asked for", () => {
    const { peer, run, open } = setUp({ window: 10_000 });
    const stream = open();
    peer.stalled = true;
    stream.events.data(new Uint8Array(20_000));
    run(1000);
    expect(peer.bytes.length).toBe(10_000);
    // Reads without saying so.
    Object.assign(peer.options, { loss: 100 });
    peer.read();
    Object.assign(peer.options, { loss: 0 });
    run(5000);
    expect(peer.bytes.length).toBe(20_000);
  });

  test("without offloads segments fit the link and have their checksums", () => {
    const { guest, run, open } = setUp({ offload: false });
    const stream = open();
    stream.events.data(new Uint8Array(50_000).fill(9));
    guest.host.advance(10);
    const sizes = guest.frames.map(({ bytes }) => bytes.length);
    expect(Math.max(...sizes)).toBe(1514);
    // The peer checks sums.
    run(100);
  });

  test("a guest without room for frames gets them later, all connections in turn", () => {
    const random = new Random(1);
    const guest = new NetworkGuest(random);
    const peers = Array.from({ length: 8 }, (_, index) => new TcpPeer({ guest, random, port: 1000 + index }));
    const shared = (): void => {
      const frames = guest.take();
      for (const peer of peers) {
        guest.frames.push(...frames);
        peer.poll();
      }
    };
    for (const peer of peers) peer.call();
    for (let i = 0; i < 4; i++) {
      guest.host.advance(10);
      shared();
    }
    expect(peers.map(({ state }) => state)).toEqual(peers.map(() => "open"));
    guest.capacity = 4;
    for (const stream of guest.host.streams) stream.events.data(new Uint8Array(300_000).fill(5));
    guest.host.advance(10);
    const first = guest.take().slice(0, 4);
    expect(new Set(first.map(({ bytes }) => (bytes[36]! << 8) | bytes[37]!)).size).toBe(4);
  });
});

describe("a line that loses, repeats and delays", () => {
  test.each([
    { loss: 5, duplication: 0, delay: 0 },
    { loss: 0, duplication: 20, delay: 20 },
    { loss: 10, duplication: 10, delay: 10 },
  ])("$loss % lost, $duplication % twice, $delay % late: every byte arrives once", (line) => {
    const random = Random.ofThisRun();
    console.log(`TCP seed ${random.seed}`);
    const rounds = FULL ? 20 : 2;
    for (let round = 0; round < rounds; round++) {
      const offload = round % 2 === 0;
      const { guest, peer, run } = setUp({ random, offload, ...line });
      peer.call();
      for (let i = 0; i < 100 && peer.state !== "open"; i++) {
        run(500);
        if (peer.state === "calling") peer.call();
      }
      const stream = guest.host.streams.at(-1)!;
      const [up, down] = [bytesOf(random, 200_000), bytesOf(random, 300_000)];
      peer.write(up);
      for (let at = 0; at < down.length; at += 7000) stream.events.data(down.subarray(at, at + 7000));
      peer.finish();
      stream.events.ended();
      for (let i = 0; i < 3000 && !(stream.ended && peer.finished && peer.finishAcknowledged); i++) {
        run(100);
        if (i % 4 === 3) peer.repeat();
      }
      expect([stream.ended, peer.finished]).toEqual([true, true]);
      expect(Buffer.compare(stream.bytes, up)).toBe(0);
      expect(Buffer.compare(peer.bytes, down)).toBe(0);
    }
  });

  test("a guest that has fallen silent is given up", () => {
    const { guest, run, open } = setUp();
    const stream = open();
    Object.assign(guest, { take: () => [] });
    stream.events.data(new Uint8Array(1000));
    run(900_000);
    expect(stream.broken).toBe(true);
    expect(guest.network.statistics().tcpConnections).toBe(0);
  });
});

describe("connections into the guest", () => {
  test("come from the gateway, wait for the guest, and carry bytes", async () => {
    const { guest, peer, run } = setUp({ port: 22 });
    await guest.network.publish({ protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22 });
    let stream: FakeStream | undefined;
    guest.host.listeners.get(2222)!((events) => {
      stream = guest.host.connect("", 0, events) as FakeStream;
      stream.paused = true;
      return stream;
    });
    guest.host.advance(0);
    const [call] = guest.packets(PROTOCOL.TCP);
    expect([...call!.source]).toEqual([...NETWORK.gateway4]);
    const remotePort = (call!.payload[0]! << 8) | call!.payload[1]!;
    Object.assign(peer.options, { remotePort });
    // The first call was not heard; it comes again.
    run(2500);
    expect([peer.state, stream!.paused]).toEqual(["open", false]);
    stream!.events.data(Buffer.from("SSH-2.0"));
    peer.write(Buffer.from("SSH-1.0"));
    run(100);
    expect([Buffer.from(peer.bytes).toString(), Buffer.from(stream!.bytes).toString()]).toEqual([
      "SSH-2.0",
      "SSH-1.0",
    ]);
  });

  test("that the guest does not answer are broken off after a while", async () => {
    const { guest } = setUp();
    await guest.network.publish({ protocol: "tcp", address: "127.0.0.1", hostPort: 80, guestPort: 80 });
    let stream: FakeStream | undefined;
    guest.host.listeners.get(80)!((events) => {
      stream = guest.host.connect("", 0, events) as FakeStream;
      return stream;
    });
    guest.host.advance(120_000);
    expect(stream!.broken).toBe(true);
    expect(guest.network.statistics().tcpConnections).toBe(0);
  });
});

test("a guest that leaves takes its connections with it, but not what it had sent to the end", () => {
  const random = new Random(3);
  const guest = new NetworkGuest(random);
  const peers = [1, 2].map((port) => new TcpPeer({ guest, random, port }));
  for (const peer of peers) {
    peer.call();
    guest.host.advance(10);
    peer.poll();
    peer.write(Uint8Array.of(1, 2, 3));
  }
  peers[0]!.finish();
  guest.network.stop();
  const [finished, unfinished] = guest.host.streams;
  expect([finished!.left, finished!.broken]).toEqual([true, false]);
  expect([unfinished!.left, unfinished!.broken]).toEqual([false, true]);
  expect(guest.network.statistics().tcpConnections).toBe(0);
});

test("connections beyond the limit are refused, and memory is shared by those there are", () => {
  const random = new Random(4);
  const guest = new NetworkGuest(random);
  guest.host.onConnect = () => {};
  for (let index = 0; index < 5000; index++) new TcpPeer({ guest, random, port: 1 + index }).call();
  expect(guest.network.statistics()).toMatchObject({ tcpConnections: 4096, refusedConnections: 904 });
  for (const stream of guest.host.streams) {
    stream.events.connected();
    for (let i = 0; i < 100 && !stream.paused; i++) stream.events.data(new Uint8Array(4096));
  }
  expect(guest.network.statistics().tcpBufferedBytes).toBeLessThan(100 << 20);
});
