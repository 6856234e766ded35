import {
  addressKey,
  formatAddress,
  type IpAddress,
  ipVersion,
  isGateway,
  LOOPBACK,
  parseAddress,
} from "./addresses.ts";
import type { GuestSide } from "./guest-side.ts";
import type { HostDatagrams, HostNetwork } from "./host-network.ts";
import { PROTOCOL } from "./ip-packet.ts";
import { type UdpDatagram, udpHeader } from "./udp.ts";

/** Ports of the guest that have one on the host; the one that was silent longest gives way. */
const MOST_FLOWS = 512;
/** Remote ends that may answer on one of them. */
const MOST_PEERS = 256;
/** Milliseconds of silence after which a flow is forgotten (RFC 4787, REQ-5: two minutes at least). */
const IDLE_LIMIT = 150_000;
const SWEEP = 30_000;

interface Flow {
  readonly datagrams: HostDatagrams;
  readonly guest: IpAddress;
  readonly guestPort: number;
  /** Remote ends that the guest has written to, and as which address it knows them. */
  readonly peers: Map<string, IpAddress>;
  lastUse: number;
}

/** Lets the guest's UDP ports speak through ports of the host: only whom the guest has written to may answer. */
export class UdpNat {
  readonly #host: HostNetwork;
  readonly #guest: GuestSide;
  readonly #flows = new Map<string, Flow>();
  #cancelSweep: (() => void) | undefined;

  constructor(host: HostNetwork, guest: GuestSide) {
    this.#host = host;
    this.#guest = guest;
  }

  get flows(): number {
    return this.#flows.size;
  }

  send({ source, sourcePort, destination, destinationPort, payload }: UdpDatagram): void {
    const key = `${addressKey(source)}${ipVersion(destination)}${sourcePort}`;
    const flow = this.#flows.get(key) ?? this.#open(key, source.slice(), sourcePort);
    // The map is in the order of use.
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    flow.lastUse = this.#host.now();
    const text = isGateway(destination) ? LOOPBACK[ipVersion(destination)] : formatAddress(destination);
    const peer = peerKey(text, destinationPort);
    if (!flow.peers.has(peer)) {
      const [oldest] = flow.peers.keys();
      if (flow.peers.size >= MOST_PEERS && oldest !== undefined) flow.peers.delete(oldest);
      flow.peers.set(peer, destination.slice());
    }
    flow.datagrams.send(payload.slice(), text, destinationPort);
  }

  clear(): void {
    for (const { datagrams } of this.#flows.values()) datagrams.close();
    this.#flows.clear();
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #open(key: string, guest: IpAddress, guestPort: number): Flow {
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= MOST_FLOWS && oldest !== undefined) this.#close(oldest);
    const flow: Flow = {
      datagrams: this.#host.openDatagrams(ipVersion(guest), {
        data: (bytes, address, port) => this.#receive(flow, bytes, address, port),
        failed: () => {
          if (this.#flows.get(key) === flow) this.#flows.delete(key);
        },
      }),
      guest,
      guestPort,
      peers: new Map(),
      lastUse: 0,
    };
    this.#flows.set(key, flow);
    this.#cancelSweep ??= this.#host.after(SWEEP, () => this.#sweep());
    return flow;
  }

  #receive(flow: Flow, bytes: Uint8Array, address: string, port: number): void {
    const source = flow.peers.get(peerKey(address, port));
    if (source === undefined) return;
    flow.lastUse = this.#host.now();
    this.#guest.sendDatagram({
      source,
      destination: flow.guest,
      protocol: PROTOCOL.UDP,
      pieces: [udpHeader(port, flow.guestPort, bytes.length), bytes],
      checksumOffset: 6,
    });
  }

  #sweep(): void {
    this.#cancelSweep = undefined;
    const limit = this.#host.now() - IDLE_LIMIT;
    for (const [key, { lastUse }] of this.#flows) if (lastUse < limit) this.#close(key);
    if (this.#flows.size > 0) this.#cancelSweep = this.#host.after(SWEEP, () => this.#sweep());
  }

  #close(key: string): void {
    this.#flows.get(key)?.datagrams.close();
    this.#flows.delete(key);
  }
}

/** One form for an address, however the host writes it. */
function peerKey(text: string, port: number): string {
  const address = parseAddress(text.replace(/%.*$/, ""));
  return `${address === undefined ? text : addressKey(address)} ${port}`;
}
