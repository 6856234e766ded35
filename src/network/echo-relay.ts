import { formatAddress, type IpAddress, isMulticast, isOwnAddress, NETWORK, sameBytes } from "./addresses.ts";
import type { GuestSide } from "./guest-side.ts";
import type { HostNetwork } from "./host-network.ts";
import { isEchoRequest, sendEchoReply, sendUnreachable, type UnreachableReason } from "./icmp.ts";
import type { IpPacket } from "./ip-packet.ts";

/** Requests that the host asks others for at once; more are lost, as on a busy network. */
const MOST_PENDING = 16;

export interface EchoRelayParts {
  readonly host: HostNetwork;
  readonly guest: GuestSide;
  /** Why an address outside must not be asked; undefined where it may be. */
  readonly refuses: (address: IpAddress) => UnreachableReason | undefined;
}

/**
 * Answers the guest's echo requests: those to the network's own addresses itself, others when the host has had an
 * answer from there. Where the host cannot ask, it says that they are prohibited.
 */
export class EchoRelay {
  readonly #parts: EchoRelayParts;
  #pending = 0;
  /** Counts the guest's starts: what an earlier one asked is not answered. */
  #epoch = 0;

  constructor(parts: EchoRelayParts) {
    this.#parts = parts;
  }

  /** Takes an ICMP message. */
  receive(packet: IpPacket): void {
    const { guest, refuses } = this.#parts;
    const { version, destination } = packet;
    if (!isEchoRequest(packet)) return;
    const toAllNodes = version === 6 && isMulticast(destination);
    if (isOwnAddress(destination) || toAllNodes) {
      sendEchoReply(packet, guest);
      return;
    }
    if (isMulticast(destination) || sameBytes(destination, NETWORK.broadcast4)) return;
    const reason = refuses(destination);
    if (reason !== undefined) sendUnreachable(packet, reason, guest);
    else if (this.#pending < MOST_PENDING) void this.#ask(copyOf(packet));
  }

  clear(): void {
    this.#epoch++;
  }

  async #ask(packet: IpPacket): Promise<void> {
    const { guest, host } = this.#parts;
    const epoch = this.#epoch;
    this.#pending++;
    const outcome = await host.echo(formatAddress(packet.destination));
    this.#pending--;
    if (epoch !== this.#epoch) return;
    switch (outcome) {
      case "answered":
        sendEchoReply(packet, guest);
        return;
      case "unreachable":
        sendUnreachable(packet, "no host", guest);
        return;
      case "impossible":
        sendUnreachable(packet, "prohibited", guest);
        return;
      case "silent":
    }
  }
}

/** The packet's own memory is used again. */
function copyOf(packet: IpPacket): IpPacket {
  const { source, destination, payload, whole } = packet;
  return {
    ...packet,
    source: source.slice(),
    destination: destination.slice(),
    payload: payload.slice(),
    whole: whole.slice(),
  };
}
