import { checksumFits } from "./guest-side.ts";
import { type IpPacket, PROTOCOL } from "./ip-packet.ts";

/** Flags of the TCP header (RFC 9293, section 3.1). */
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
/** Option kinds that are looked at; others (SACK, timestamps) are passed over. */
const OPTION = { END: 0, NOP: 1, MSS: 2, WINDOW_SCALE: 3 } as const;
const HEADER = 20;
/** Greatest shift of a window (RFC 7323, section 2.3). */
const MOST_SCALE = 14;

/** A segment from the guest; `payload` is a view of its frame. Sequence numbers are unsigned 32-bit. */
export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly flags: number;
  /** As it stands in the header, not scaled. */
  readonly window: number;
  readonly payload: Uint8Array;
  readonly options: TcpOptions;
}

export interface TcpOptions {
  readonly maximumSegmentSize: number | undefined;
  readonly windowScale: number | undefined;
}

const NO_OPTIONS: TcpOptions = { maximumSegmentSize: undefined, windowScale: undefined };

/** Takes a segment apart; undefined where it is malformed or damaged. */
export function parseTcp(packet: IpPacket, checksumPending: boolean): TcpSegment | undefined {
  const { payload, source, destination } = packet;
  if (payload.length < HEADER) return undefined;
  const start = (payload[12]! >> 4) * 4;
  if (start < HEADER || start > payload.length) return undefined;
  if (!checksumPending && !checksumFits(source, destination, PROTOCOL.TCP, payload)) return undefined;
  const word = (at: number): number => (payload[at]! << 8) | payload[at + 1]!;
  const double = (at: number): number => word(at) * 0x10000 + word(at + 2);
  const flags = payload[13]! & 0x3f;
  return {
    sourcePort: word(0),
    destinationPort: word(2),
    sequence: double(4),
    acknowledgement: double(8),
    flags,
    window: word(14),
    payload: payload.subarray(start),
    options: flags & TCP_FLAG.SYN ? readOptions(payload.subarray(HEADER, start)) : NO_OPTIONS,
  };
}

function readOptions(bytes: Uint8Array): TcpOptions {
  let maximumSegmentSize: number | undefined;
  let windowScale: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes[at]!;
    if (kind === OPTION.END) break;
    if (kind === OPTION.NOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    if (kind === OPTION.MSS && length === 4) maximumSegmentSize = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (kind === OPTION.WINDOW_SCALE && length === 3) windowScale = Math.min(bytes[at + 2]!, MOST_SCALE);
    at += length;
  }
  return { maximumSegmentSize, windowScale };
}

/** The options of our SYN: size of segments and, where the guest has it too, the scale of our windows. */
export function synOptions(maximumSegmentSize: number, windowScale: number | undefined): Uint8Array {
  const size = [OPTION.MSS, 4, maximumSegmentSize >> 8, maximumSegmentSize & 0xff];
  return Uint8Array.from(
    windowScale === undefined ? size : [...size, OPTION.NOP, OPTION.WINDOW_SCALE, 3, windowScale],
  );
}

/** How far `a` lies after `b` in the circle of sequence numbers; negative when before it. */
export function sequenceDistance(a: number, b: number): number {
  return (a - b) | 0;
}

/** `a` moved on by `count`. */
export function sequenceAfter(a: number, count: number): number {
  return (a + count) >>> 0;
}
