import { AcknowledgementPace } from "./acknowledgement-pace.ts";
import type { HostStream, StreamEvents, StreamFailure } from "./host-network.ts";
import type { SegmentWriter } from "./segment-writer.ts";
import { TcpReceiver, WINDOW_SCALE } from "./tcp-receiver.ts";
import { sequenceAfter, synOptions, TCP_FLAG, type TcpSegment } from "./tcp-segment.ts";
import { type NextSegment, TcpSender } from "./tcp-sender.ts";

const { FIN, SYN, RST, PSH, ACK } = TCP_FLAG;

/** How often our SYN, or our answer to the guest's, is repeated: for about a minute. */
const MOST_SYNS = 5;
/** Segments without an MSS option (RFC 9293, section 3.7.1), and the least that we take for true. */
const DEFAULT_SEGMENT = { 4: 536, 6: 1220 } as const;
const LEAST_SEGMENT = 88;

/** What a connection needs from the table that holds it. */
export interface TcpTable {
  now(): number;
  initialSequence(): number;
  /** Bytes that a connection may buffer in each direction now. */
  bufferLimit(): number;
  /** The connection may have something to send. */
  ready(connection: TcpConnection): void;
  /** The connection waits for something that carries its acknowledgement: {@link TcpConnection.waitNoLonger} should follow. */
  hold(connection: TcpConnection): void;
  /** A deadline was set. */
  timing(): void;
  /** The guest's side is over: segments that still come belong to no connection. */
  forget(connection: TcpConnection): void;
  /** The host's side is over too. */
  release(connection: TcpConnection): void;
}

export type TcpState =
  /** The guest has called; the host is connecting. */
  | "connecting"
  /** Our SYN with acknowledgement is out. */
  | "answered"
  /** Our SYN is out. */
  | "calling"
  | "open"
  /** The guest's side is over. */
  | "closed";

/** What {@link TcpConnection.transmit} came to. */
export type TransmitResult = "more" | "done" | "no room";

export interface TcpConnectionParts {
  readonly table: TcpTable;
  readonly writer: SegmentWriter;
  readonly version: 4 | 6;
  /** In which map the table has it. */
  readonly key: string;
  /** The connection could not be made: tells the guest in other ways than by a reset. */
  readonly onUnreachable?: () => void;
}

/** One TCP connection between the guest and a stream of the host (RFC 9293). */
export class TcpConnection implements StreamEvents {
  state: TcpState = "connecting";
  readonly key: string;
  readonly #parts: TcpConnectionParts;
  readonly #sender: TcpSender;
  #receiver = new TcpReceiver(0);
  #stream: HostStream | undefined;
  #streamOver = false;
  /** What the guest knows of us is out of date. */
  #acknowledge = false;
  /** The same, but it may wait for an answer of the host's. */
  holdsAcknowledgement = false;
  readonly #pace = new AcknowledgementPace();
  #probe = false;
  /** The guest has said that it sends no more. */
  #guestFinished = false;
  #paused = false;
  #scaled = false;
  /** Payload bytes both ways, for statistics and tests. */
  toGuest = 0;
  fromGuest = 0;

  constructor(parts: TcpConnectionParts) {
    this.#parts = parts;
    this.key = parts.key;
    this.#sender = new TcpSender(parts.table.initialSequence());
  }

  /** When {@link expire} should be called. */
  get deadline(): number | undefined {
    return this.#sender.deadline;
  }

  /** Bytes of both buffers. */
  get buffered(): number {
    return this.#sender.queue.cost + this.#receiver.pending;
  }

  /** The guest calls; `connect` makes the host's stream. */
  callFromGuest({ sequence, options }: TcpSegment, connect: (events: StreamEvents) => HostStream): void {
    this.#receiver = new TcpReceiver(sequenceAfter(sequence, 1));
    this.#takeOptions(options);
    const stream = connect(this);
    if (this.state === "closed") return;
    this.#stream = stream;
  }

  /** The host calls; its stream is paused until the guest has answered. */
  callToGuest(stream: HostStream): void {
    this.state = "calling";
    this.#stream = stream;
    this.#paused = true;
    this.#sendSyn();
  }

  /** A segment of this connection from the guest. `owned` payload may be kept. */
  receive(segment: TcpSegment, owned: boolean): void {
    switch (this.state) {
      case "connecting":
        // Repetitions of the SYN change nothing; what else comes is premature.
        if (segment.flags & RST) this.#breakOff();
        return;
      case "calling":
        this.#receiveAnswer(segment);
        return;
      case "answered":
      case "open":
        this.#receiveOpen(segment, owned);
        return;
      case "closed":
    }
  }

  /** Sends one segment, if there is a reason to. */
  transmit(): TransmitResult {
    if (this.state === "open") {
      const most = this.#writer.mostPayload(this.#sender.segmentSize);
      const next = this.#sender.nextSegment(most);
      if (next !== undefined) return this.#sendNext(next) ? "more" : "no room";
    }
    if (!this.#acknowledge && !this.#probe) return "done";
    if (this.state !== "open" && this.state !== "answered") return "done";
    const sequence = this.#probe ? this.#sender.probeSequence : this.#sender.next;
    if (!this.#send(ACK, sequence)) return "no room";
    this.#probe = false;
    return "done";
  }

  /** The deadline has passed. */
  expire(): void {
    const now = this.#now();
    switch (this.state) {
      case "calling":
      case "answered":
        if (!this.#sender.expireSyn(now, MOST_SYNS)) this.abort();
        else this.#sendSyn();
        return;
      case "open": {
        const what = this.#sender.expire(now);
        if (what === "dead") this.abort();
        else {
          this.#probe ||= what === "probe";
          this.#parts.table.ready(this);
        }
        return;
      }
      case "connecting":
      case "closed":
    }
  }

  /** Ends it for both sides at once. */
  abort(): void {
    if (this.state === "answered" || this.state === "calling" || this.state === "open")
      this.#sendReset(this.#sender.next);
    this.#breakOff();
  }

  /** The guest is gone: what it has sent to the end is still written, everything else is broken off. */
  leave(): void {
    if (!this.#guestFinished && this.state !== "closed") this.#breakOff();
    else {
      this.#stream?.leave();
      this.#close();
    }
  }

  /** The acknowledgement has waited long enough. */
  waitNoLonger(): void {
    if (!this.holdsAcknowledgement) return;
    this.#pace.waitedInVain();
    this.#answer();
  }

  // What happens on the host.

  connected(): void {
    if (this.state !== "connecting") return;
    this.state = "answered";
    this.#sendSyn();
  }

  data(bytes: Uint8Array): void {
    if (this.state === "closed") return;
    this.#pace.answered(this.#now());
    this.#sender.queue.append(bytes);
    if (!this.#paused && this.#sender.queue.cost >= this.#limit()) {
      this.#paused = true;
      this.#stream?.pause();
    }
    this.#haveMore();
  }

  ended(): void {
    this.#sender.finishing = true;
    this.#haveMore();
  }

  written(bytes: number): void {
    this.#receiver.pending -= bytes;
    if (this.state !== "open" || this.#guestFinished || !this.#receiver.shouldTell(this.#limit())) return;
    this.#acknowledge = true;
    this.#parts.table.ready(this);
  }

  closed(): void {
    this.#endStream();
  }

  failed(reason: StreamFailure): void {
    const { state } = this;
    this.#endStream();
    if (state === "closed") return;
    if (state === "connecting" && reason !== "refused" && this.#parts.onUnreachable !== undefined)
      this.#parts.onUnreachable();
    else this.#sendReset(state === "connecting" ? 0 : this.#sender.next);
    this.#close();
  }

  // Inside.

  get #writer(): SegmentWriter {
    return this.#parts.writer;
  }

  #now(): number {
    return this.#parts.table.now();
  }

  #haveMore(): void {
    if (this.state === "open") {
      this.#sender.watchWindow(this.#now());
      this.#parts.table.timing();
    }
    this.#parts.table.ready(this);
  }

  #limit(): number {
    return this.#parts.table.bufferLimit();
  }

  #takeOptions({ maximumSegmentSize, windowScale }: TcpSegment["options"]): void {
    const offered = maximumSegmentSize ?? DEFAULT_SEGMENT[this.#parts.version];
    this.#sender.segmentSize = Math.max(LEAST_SEGMENT, Math.min(offered, this.#writer.linkSegmentSize));
    this.#scaled = windowScale !== undefined;
    if (windowScale === undefined) return;
    this.#sender.windowScale = windowScale;
    this.#receiver.windowScale = WINDOW_SCALE;
  }

  /** Our SYN, alone or as the answer to the guest's. A lost one is repeated. */
  #sendSyn(): void {
    const answers = this.state === "answered";
    const options = synOptions(
      this.#writer.linkSegmentSize,
      !answers || this.#scaled ? WINDOW_SCALE : undefined,
    );
    this.#writer.send({
      flags: answers ? SYN | ACK : SYN,
      sequence: sequenceAfter(this.#sender.probeSequence, 1),
      acknowledgement: answers ? this.#receiver.next : 0,
      // The window of a SYN is never scaled (RFC 7323, section 2.2).
      window: answers ? this.#receiver.advertise(this.#limit(), 0) : 0xffff,
      options,
    });
    this.#sender.sentSyn(this.#now());
    this.#parts.table.timing();
    this.#parts.table.ready(this);
  }

  #receiveAnswer(segment: TcpSegment): void {
    const { flags, sequence, acknowledgement, options, window } = segment;
    if ((flags & ACK) === 0 || acknowledgement !== this.#sender.highest) return;
    if (flags & RST) {
      this.#breakOff();
      return;
    }
    if ((flags & SYN) === 0) return;
    this.#receiver = new TcpReceiver(sequenceAfter(sequence, 1));
    this.#takeOptions(options);
    // Our SYN promised the first 64 KiB.
    this.#receiver.advertise(0xffff, 0);
    this.#open(window, sequence, acknowledgement);
    this.#acknowledge = true;
  }

  #open(window: number, sequence: number, acknowledgement: number): void {
    this.#sender.begin(window, sequence, acknowledgement);
    this.state = "open";
    this.#resume();
    this.#parts.table.ready(this);
  }

  #receiveOpen(segment: TcpSegment, owned: boolean): void {
    const { flags, sequence, acknowledgement, payload } = segment;
    const length = payload.length + (flags & FIN ? 1 : 0) + (flags & SYN ? 1 : 0);
    if (!this.#receiver.isAcceptable(sequence, length)) {
      if (flags & RST) return;
      // The guest has not seen our answer to its SYN.
      if (flags & SYN && this.state === "answered") this.#sendSyn();
      else this.#answer();
      // A probe of a closed window still says what the guest has got.
      if (flags & ACK && !(flags & SYN) && this.state === "open") this.#takeAcknowledgement(segment);
      return;
    }
    if (flags & RST) {
      // Only the exact number is believed (RFC 9293, section 3.10.7.4, second step).
      if (sequence === this.#receiver.next) this.#breakOff();
      else this.#answer();
      return;
    }
    if (flags & SYN) {
      this.#answer();
      return;
    }
    if ((flags & ACK) === 0) return;
    if (this.state === "answered") {
      if (acknowledgement !== this.#sender.highest) return;
      this.#open(segment.window * 2 ** this.#sender.windowScale, sequence, acknowledgement);
    } else if (!this.#takeAcknowledgement(segment)) return;
    if (payload.length > 0 || flags & FIN) this.#takePayload(segment, owned);
    this.#closeWhenFinished();
  }

  /** False when the segment acknowledges what was never sent. */
  #takeAcknowledgement({ sequence, acknowledgement, window, payload }: TcpSegment): boolean {
    const segment = { sequence, acknowledgement, window };
    const result = this.#sender.acknowledge(segment, payload.length > 0, this.#now());
    if (result === "not sent yet") {
      this.#answer();
      return false;
    }
    this.#resume();
    this.#parts.table.ready(this);
    this.#parts.table.timing();
    return true;
  }

  #takePayload({ sequence, payload, flags }: TcpSegment, owned: boolean): void {
    // The host learns of the end only once.
    if (this.#guestFinished) {
      this.#answer();
      return;
    }
    const accepted = this.#receiver.accept(sequence, payload, (flags & FIN) !== 0);
    const isSmall =
      accepted.kind === "in order" && !accepted.fin && payload.length < this.#sender.segmentSize;
    if (isSmall && !this.#acknowledge && !this.holdsAcknowledgement && this.#pace.heard(this.#now())) {
      this.holdsAcknowledgement = true;
      this.#parts.table.hold(this);
    } else this.#answer();
    if (accepted.kind !== "in order") return;
    if (accepted.payload.length > 0) {
      this.fromGuest += accepted.payload.length;
      this.#receiver.pending += accepted.payload.length;
      // A part must not keep much more than itself alive.
      const keeps = owned && accepted.payload.length * 2 >= accepted.payload.buffer.byteLength;
      this.#stream?.write(keeps ? accepted.payload : accepted.payload.slice());
    }
    if (accepted.fin) {
      this.#guestFinished = true;
      this.#stream?.end();
    }
  }

  #closeWhenFinished(): void {
    if (!this.#guestFinished || !this.#sender.finishAcknowledged) return;
    // The guest may still wait for our last acknowledgement; without it, it would only ask again.
    if (this.#acknowledge || this.holdsAcknowledgement) this.#send(ACK, this.#sender.next);
    this.#close();
  }

  #sendNext(next: NextSegment): boolean {
    const flags = ACK | (next.fin ? FIN : 0) | (next.length > 0 ? PSH : 0);
    const { queue, segmentSize } = this.#sender;
    const sent = this.#send(flags, next.sequence, next.length, segmentSize, (pieces) => {
      if (next.length > 0) queue.view(next.offset, next.length, pieces);
    });
    if (!sent) return false;
    this.toGuest += next.length;
    this.#sender.sent(next, this.#now());
    this.#parts.table.timing();
    return true;
  }

  #send(
    flags: number,
    sequence: number,
    length = 0,
    segmentSize = 0,
    fill?: (pieces: Uint8Array[]) => void,
  ): boolean {
    const acknowledgement = this.#receiver.next;
    const window = this.#receiver.advertise(this.#limit());
    const sent = this.#writer.send({ flags, sequence, acknowledgement, window }, length, segmentSize, fill);
    if (sent) {
      this.#acknowledge = false;
      this.holdsAcknowledgement = false;
    }
    return sent;
  }

  /** A guest that only waits for bytes would never hear of a lost one. */
  #sendReset(sequence: number): void {
    const acknowledgement = this.#receiver.next;
    this.#writer.sendSurely({ flags: RST | ACK, sequence, acknowledgement, window: 0 });
  }

  #answer(): void {
    this.#acknowledge = true;
    this.holdsAcknowledgement = false;
    this.#parts.table.ready(this);
  }

  #resume(): void {
    if (!this.#paused || this.#sender.queue.cost >= this.#limit() / 2) return;
    this.#paused = false;
    this.#stream?.resume();
  }

  #breakOff(): void {
    this.#stream?.reset();
    this.#endStream();
    this.#close();
  }

  #close(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#sender.queue.clear();
    this.#sender.deadline = undefined;
    this.#parts.table.forget(this);
    this.#releaseWhenOver();
  }

  #endStream(): void {
    this.#streamOver = true;
    this.#stream = undefined;
    this.#releaseWhenOver();
  }

  #releaseWhenOver(): void {
    if (this.#streamOver && this.state === "closed") this.#parts.table.release(this);
  }
}

/** The reset that answers a segment of no connection (RFC 9293, section 3.10.7.1); undefined for resets. */
export function resetFor({ flags, sequence, acknowledgement, payload }: TcpSegment) {
  if (flags & RST) return undefined;
  if (flags & ACK) return { flags: RST, sequence: acknowledgement, acknowledgement: 0, window: 0 };
  const length = payload.length + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
  return { flags: RST | ACK, sequence: 0, acknowledgement: sequenceAfter(sequence, length), window: 0 };
}
