import { expect, test } from "vitest";
import { ipFrame, NetworkGuest } from "../../test/support/network-guest.ts";
import { Random } from "../../test/support/random.ts";
import { TcpPeer } from "../../test/support/tcp-peer.ts";
import { NETWORK } from "./addresses.ts";
import { ETHERTYPE, PROTOCOL } from "./ip-packet.ts";

/** Frames of one run. */
const FRAMES = process.env["ELVISOR_FULL"] === "1" ? 1_000_000 : 60_000;
/** Bytes that the network may keep for its guest, whatever that does. */
const MOST_BUFFERED = 80 << 20;

/** Bytes that are nearly a frame: right in front, random behind, with some bits turned over. */
function mutated(random: Random, seeds: readonly Uint8Array[]): Uint8Array {
  const bytes = random.pick(seeds).slice();
  const start = random.pick([0, 14, 34, 54]);
  for (let i = random.below(6); i > 0; i--) {
    const at = start + random.below(Math.max(1, bytes.length - start));
    if (at < bytes.length)
      bytes[at] = random.below(3) === 0 ? random.pick([0, 255, 127, 128]) : random.below(256);
  }
  switch (random.below(8)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 1:
      return Buffer.concat([bytes, new Uint8Array(random.below(3000))]);
    default:
      return bytes;
  }
}

function garbage(random: Random): Uint8Array {
  const bytes = Uint8Array.from({ length: random.below(200) }, () => random.below(256));
  bytes.set(NETWORK.gatewayMac.subarray(0, bytes.length));
  if (bytes.length > 14) {
    const type = random.pick([...Object.values(ETHERTYPE), 0x1234]);
    bytes.set([type >> 8, type & 0xff], 12);
    if (type !== ETHERTYPE.ARP) bytes[14] = type === ETHERTYPE.IPV4 ? 0x45 : 0x60;
  }
  return bytes;
}

test(`${FRAMES} random and mutated frames: nothing throws, memory stays bounded`, {
  timeout: 600_000,
}, () => {
  const random = Random.ofThisRun();
  console.log(`network fuzz seed ${random.seed}`);
  const guest = new NetworkGuest(random);
  guest.capacity = 2000;
  guest.host.onConnect = (stream) => {
    if (random.below(4) === 0)
      stream.events.failed(random.pick(["refused", "unreachable", "reset", "timed out"]));
    else stream.events.connected();
  };
  // Everything that well-behaved guests send is kept, to be sent again with changes.
  const seeds: Uint8Array[] = [];
  const transmit = guest.network.transmit.bind(guest.network);
  guest.network.transmit = (frame) => {
    if (seeds.length < 500) seeds.push(frame.bytes.slice());
    else if (random.below(100) === 0) seeds[random.below(seeds.length)] = frame.bytes.slice();
    transmit(frame);
  };
  const peers: TcpPeer[] = [];
  const talk = (): void => {
    const remote = random.pick([NETWORK.gateway4, NETWORK.dns4, Uint8Array.of(192, 0, 2, random.below(4))]);
    const remotePort = random.pick([53, 80, 443]);
    const peer = new TcpPeer({ guest, random, port: 1000 + random.below(300), remote, remotePort });
    peers.push(peer);
    peer.call();
    if (peers.length > 50) peers.shift();
  };
  for (const type of Object.values(PROTOCOL)) {
    const payload = Uint8Array.from({ length: 60 }, () => random.below(256));
    seeds.push(ipFrame(NETWORK.guest4, NETWORK.gateway4, type, payload, 2));
    seeds.push(ipFrame(NETWORK.gateway6, NETWORK.dns6, type, payload, 2));
  }
  let most = 0;
  for (let sent = 0; sent < FRAMES; sent++) {
    const bytes = random.below(5) === 0 ? garbage(random) : mutated(random, seeds);
    guest.network.transmit({ bytes, checksumPending: random.below(4) > 0, owned: random.below(2) === 0 });
    if (random.below(8) === 0) guest.network.transmitted();
    if (random.below(20) === 0) talk();
    if (random.below(50) === 0) {
      guest.host.advance(random.pick([1, 10, 300, 2000]));
      for (const peer of peers) {
        peer.poll();
        if (random.below(3) === 0) peer.write(new Uint8Array(random.below(5000)));
        if (random.below(9) === 0) peer.finish();
        if (random.below(9) === 0) peer.repeat();
      }
    }
    for (const stream of guest.host.streams.slice(-20)) {
      if (stream.broken || random.below(30) > 0) continue;
      stream.slow = random.below(2) === 0;
      stream.drain();
      if (!stream.paused) stream.events.data(new Uint8Array(random.below(70_000)));
      if (random.below(20) === 0) stream.events.ended();
      if (random.below(30) === 0) {
        stream.broken = true;
        stream.events.failed("reset");
      }
    }
    if (guest.host.streams.length > 6000) guest.host.streams.splice(0, 1000);
    if (guest.host.datagrams.length > 1000) guest.host.datagrams.splice(0, 100);
    if (sent % 500 === 0) {
      const { tcpBufferedBytes, tcpConnections, udpFlows } = guest.network.statistics();
      most = Math.max(most, tcpBufferedBytes);
      expect(tcpConnections).toBeLessThanOrEqual(4096);
      expect(udpFlows).toBeLessThanOrEqual(512);
    }
  }
  expect(most).toBeLessThan(MOST_BUFFERED);
  guest.network.stop();
  const { tcpConnections, udpFlows } = guest.network.statistics();
  expect([tcpConnections, udpFlows]).toEqual([0, 0]);
});
