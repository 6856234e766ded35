/** Flows that are told apart; those with the same number share a queue. */
const FLOWS = 256;
const ETHERNET_HEADER = 14;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const IPV6_HEADER = 40;
const TCP = 6;
const UDP = 17;

/**
 * Which pair of queues the driver uses for which flow: frames of a flow are received where frames of the same flow
 * were transmitted last (automatic receive steering, virtio 1.2, section 5.1.6.5.6).
 */
export class NetFlows {
  readonly #pairs = new Uint8Array(FLOWS);

  /** The driver has transmitted `frame` by queue pair `pair` (below 256). */
  transmitted(frame: Uint8Array, pair: number): void {
    this.#pairs[flowOf(frame)] = pair;
  }

  /** The pair by which the driver should receive a frame with these headers. */
  pairFor(headers: Uint8Array): number {
    return this.#pairs[flowOf(headers)]!;
  }

  forget(): void {
    this.#pairs.fill(0);
  }
}

/** The same number for both directions of a flow, below {@link FLOWS}. */
function flowOf(frame: Uint8Array): number {
  const word = (at: number): number => ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  const type = word(ETHERNET_HEADER - 2);
  if (type !== IPV4 && type !== IPV6) return 0;
  const [from, to, length] = type === IPV4 ? [26, 30, 4] : [22, 38, 16];
  let sum = 0;
  for (let at = 0; at < length; at += 2) sum ^= word(from + at) ^ word(to + at);
  const protocol = frame[type === IPV4 ? 23 : 20];
  const isFragment = type === IPV4 && (word(20) & 0x3fff) !== 0;
  if ((protocol === TCP || protocol === UDP) && !isFragment) {
    const headerLength = type === IPV4 ? ((frame[ETHERNET_HEADER] ?? 0) & 0xf) * 4 : IPV6_HEADER;
    const ports = ETHERNET_HEADER + headerLength;
    sum ^= word(ports) ^ word(ports + 2);
  }
  return (sum ^ (sum >>> 8)) & (FLOWS - 1);
}
