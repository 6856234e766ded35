import { UserError } from "../base/errors.ts";
import { addressKey, formatAddress, NETWORK, parseAddress } from "./addresses.ts";
import type { GuestSide } from "./guest-side.ts";
import type { HostDatagrams, HostListener, HostNetwork } from "./host-network.ts";
import { PROTOCOL } from "./ip-packet.ts";
import type { TcpNat } from "./tcp-nat.ts";
import { type UdpDatagram, udpHeader } from "./udp.ts";

/** A port of the host behind which there is one of the guest's. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp";
  /** Of the host. */
  readonly address: string;
  /** To be opened: 0 is any that is free. */
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Only this computer reaches a port unless an address says otherwise. */
const DEFAULT_ADDRESS = "127.0.0.1";
/** Remote ends of one published UDP port that may be answered; the one that was silent longest gives way. */
const MOST_REMOTES = 1024;
/** From here up are the ports of the gateway that stand for remote ends. */
const FIRST_PORT = 32_768;

/** Reads "[ADDRESS:]HOSTPORT:GUESTPORT[/udp]"; an IPv6 address stands in brackets. */
export function parsePublishedPort(text: string): PublishedPort {
  const match = /^(?:(?:\[([^\]]+)\]|([\d.]+)):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text);
  const bytes = parseAddress(match?.[1] ?? match?.[2] ?? DEFAULT_ADDRESS);
  const [hostPort, guestPort] = [Number(match?.[3]), Number(match?.[4])];
  const bracketed = match?.[1] !== undefined;
  if (
    bytes === undefined ||
    bracketed !== (bytes.length === 16) ||
    !(hostPort <= 65_535 && guestPort >= 1 && guestPort <= 65_535)
  ) {
    throw new UserError(
      `"${text}" is no port to publish; give [ADDRESS:]HOSTPORT:GUESTPORT[/udp], such as 2222:22 or 0.0.0.0:8080:80.`,
      { exitStatus: 2 },
    );
  }
  return {
    protocol: match?.[5] === "udp" ? "udp" : "tcp",
    address: formatAddress(bytes),
    hostPort,
    guestPort,
  };
}

export interface PublisherParts {
  readonly host: HostNetwork;
  readonly guest: GuestSide;
  readonly tcp: TcpNat;
}

interface Remote {
  readonly datagrams: HostDatagrams;
  readonly address: string;
  readonly port: number;
  readonly guestPort: number;
  readonly key: string;
}

/** Ports of the host that lead into the guest. */
export class Publisher {
  readonly #parts: PublisherParts;
  readonly #listeners: HostListener[] = [];
  /** Remote ends of UDP by the gateway's port that stands for them, and those ports by remote end. */
  readonly #remotes = new Map<number, Remote>();
  readonly #ports = new Map<string, number>();
  #nextPort = FIRST_PORT;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** Binds a port, or rejects with a UserError; the result has the number that was bound. */
  async publish(port: PublishedPort): Promise<PublishedPort> {
    const { host, tcp } = this.#parts;
    if (port.protocol === "tcp") {
      const listener = await host.listen(port.address, port.hostPort, (stream) =>
        tcp.accept(port.guestPort, stream),
      );
      this.#listeners.push(listener);
      return { ...port, hostPort: listener.port };
    }
    const socket = await host.bindDatagrams(port.address, port.hostPort, {
      data: (bytes, address, from) => this.#toGuest(port.guestPort, socket, bytes, address, from),
      failed() {},
    });
    this.#listeners.push(socket);
    return { ...port, hostPort: socket.port };
  }

  /** Sends a datagram to the remote end that a port of the gateway stands for; false when it stands for none. */
  answer({ sourcePort, destinationPort, payload }: UdpDatagram): boolean {
    const remote = this.#remotes.get(destinationPort);
    if (remote === undefined || remote.guestPort !== sourcePort) return false;
    remote.datagrams.send(payload.slice(), remote.address, remote.port);
    return true;
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    this.#remotes.clear();
    this.#ports.clear();
  }

  #toGuest(
    guestPort: number,
    datagrams: HostDatagrams,
    bytes: Uint8Array,
    address: string,
    port: number,
  ): void {
    const { guest } = this.#parts;
    if (guest.card === undefined) return;
    const parsed = parseAddress(address);
    const key = `${guestPort} ${parsed === undefined ? address : addressKey(parsed)} ${port}`;
    const stand = this.#ports.get(key) ?? this.#newPort();
    const remote = this.#remotes.get(stand) ?? { datagrams, address, port, guestPort, key };
    // The maps are in the order of use.
    this.#ports.delete(key);
    this.#ports.set(key, stand);
    this.#remotes.set(stand, remote);
    guest.sendDatagram({
      source: NETWORK.gateway4,
      destination: NETWORK.guest4,
      protocol: PROTOCOL.UDP,
      pieces: [udpHeader(stand, guestPort, bytes.length), bytes],
      checksumOffset: 6,
    });
  }

  #newPort(): number {
    const [oldest] = this.#ports;
    if (this.#ports.size >= MOST_REMOTES && oldest !== undefined) {
      this.#ports.delete(oldest[0]);
      this.#remotes.delete(oldest[1]);
    }
    do {
      this.#nextPort = this.#nextPort === 65_535 ? FIRST_PORT : this.#nextPort + 1;
    } while (this.#remotes.has(this.#nextPort));
    return this.#nextPort;
  }
}
