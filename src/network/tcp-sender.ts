import { SendQueue } from "./send-queue.ts";
import { sequenceAfter, sequenceDistance } from "./tcp-segment.ts";

/** Milliseconds before the first repetition (RFC 6298, section 2.1), and between later ones at most. */
const FIRST_TIMEOUT = 1000;
const LONGEST_TIMEOUT = 60_000;
/** Repetitions without an answer after which the guest's end is taken for dead: about nine minutes. */
const MOST_TIMEOUTS = 13;
/** Acknowledgements of the same byte that mean that a segment was lost (RFC 5681, section 3.2). */
const DUPLICATES = 3;

/** What to send next, from the queue's start on. */
export interface NextSegment {
  readonly sequence: number;
  readonly offset: number;
  readonly length: number;
  readonly fin: boolean;
}

/** What an acknowledgement means. */
export type AcknowledgeResult = "progress" | "nothing" | "not sent yet";

/**
 * Our half of a connection's sequence space: what was sent, what is acknowledged, what has to be repeated. There is
 * no congestion window: between us and the guest lies memory, and the guest's window says what it can take.
 */
export class TcpSender {
  readonly queue = new SendQueue();
  /** First unacknowledged; next to send; one after the highest ever sent. */
  #unacknowledged: number;
  #next: number;
  #highest: number;
  /** The guest's window in bytes, the segment that told it, and the factor of later ones. */
  #window = 0;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  windowScale = 0;
  segmentSize = 536;
  /** The stream ends with what is in the queue. */
  finishing = false;
  finishAcknowledged = false;
  /** When something must be repeated, in the host's milliseconds. */
  deadline: number | undefined;
  #timeouts = 0;
  #duplicates = 0;
  /** While this is not acknowledged, a loss has been found and is being repaired. */
  #recoverUntil: number | undefined;

  /** `initial` is the sequence number of our SYN. */
  constructor(initial: number) {
    this.#unacknowledged = initial;
    this.#next = initial;
    this.#highest = initial;
  }

  get next(): number {
    return this.#next;
  }

  get highest(): number {
    return this.#highest;
  }

  /** Bytes (and SYN or FIN) that the guest has not acknowledged. */
  get outstanding(): number {
    return sequenceDistance(this.#highest, this.#unacknowledged);
  }

  /** The SYN is sent, for the first time or again. */
  sentSyn(now: number): void {
    this.#next = sequenceAfter(this.#unacknowledged, 1);
    this.#highest = this.#next;
    this.#arm(now);
  }

  /** The first acknowledgement, that of our SYN. */
  begin(window: number, sequence: number, acknowledgement: number): void {
    this.#unacknowledged = this.#highest;
    this.#window = window;
    this.#windowSequence = sequence;
    this.#windowAcknowledgement = acknowledgement;
    this.#timeouts = 0;
    this.deadline = undefined;
  }

  /** The next segment of at most `most` bytes; undefined when there is nothing to send or the window is full. */
  nextSegment(most: number): NextSegment | undefined {
    const sent = sequenceDistance(this.#next, this.#unacknowledged);
    const available = this.queue.length - sent;
    const usable = this.#window - sent;
    const length = Math.min(available, usable, most);
    const segment = { sequence: this.#next, offset: sent };
    if (length > 0) {
      // Rather than a short segment now, a long one once the guest has read (RFC 9293, section 3.8.6.2.1).
      if (length < this.segmentSize && length < available && sent > 0) return undefined;
      return { ...segment, length, fin: this.finishing && length === available && usable > length };
    }
    const finNow =
      this.finishing && !this.finishAcknowledged && available === 0 && (usable > 0 || sent === 0);
    return finNow ? { ...segment, length: 0, fin: true } : undefined;
  }

  /** A segment was sent. */
  sent({ sequence, length, fin }: NextSegment, now: number): void {
    this.#next = sequenceAfter(sequence, length + (fin ? 1 : 0));
    if (sequenceDistance(this.#next, this.#highest) > 0) this.#highest = this.#next;
    if (this.deadline === undefined) this.#arm(now);
  }

  /** Takes the acknowledgement and window of a segment; `hasPayload` segments are no duplicates. */
  acknowledge(
    segment: { sequence: number; acknowledgement: number; window: number },
    hasPayload: boolean,
    now: number,
  ): AcknowledgeResult {
    const { sequence, acknowledgement } = segment;
    const progress = sequenceDistance(acknowledgement, this.#unacknowledged);
    if (sequenceDistance(acknowledgement, this.#highest) > 0) return "not sent yet";
    if (progress < 0) return "nothing";
    const before = this.#window;
    this.#updateWindow(sequence, acknowledgement, segment.window * 2 ** this.windowScale);
    if (progress === 0) {
      if (this.outstanding > 0 && !hasPayload && before === this.#window) this.#duplicate();
      this.watchWindow(now);
      return this.#window > before ? "progress" : "nothing";
    }
    const bytes = Math.min(progress, this.queue.length);
    this.queue.acknowledge(bytes);
    if (progress > bytes) this.finishAcknowledged = true;
    this.#unacknowledged = acknowledgement;
    if (sequenceDistance(this.#next, acknowledgement) < 0) this.#next = acknowledgement;
    this.#timeouts = 0;
    this.#duplicates = 0;
    this.#recover(acknowledgement);
    this.deadline = undefined;
    if (this.outstanding > 0) this.#arm(now);
    this.watchWindow(now);
    return "progress";
  }

  /**
   * The deadline has passed: "repeat" what {@link nextSegment} gives now, "probe" the closed window with an old
   * sequence number, or take the guest's end for "dead".
   */
  expire(now: number): "repeat" | "probe" | "dead" {
    this.#timeouts++;
    this.#arm(now);
    if (this.#window === 0) return "probe";
    if (this.#timeouts > MOST_TIMEOUTS) return "dead";
    this.#next = this.#unacknowledged;
    return "repeat";
  }

  /** The SYN has not been answered; false when it has been repeated often enough. */
  expireSyn(now: number, mostTimeouts: number): boolean {
    this.#timeouts++;
    this.#arm(now);
    return this.#timeouts <= mostTimeouts;
  }

  /** A sequence number that the guest must answer with what it expects. */
  get probeSequence(): number {
    return sequenceAfter(this.#unacknowledged, -1);
  }

  #arm(now: number): void {
    this.deadline = now + Math.min(FIRST_TIMEOUT * 2 ** this.#timeouts, LONGEST_TIMEOUT);
  }

  #updateWindow(sequence: number, acknowledgement: number, window: number): void {
    const newer = sequenceDistance(sequence, this.#windowSequence);
    if (newer < 0 || (newer === 0 && sequenceDistance(acknowledgement, this.#windowAcknowledgement) < 0))
      return;
    this.#window = window;
    this.#windowSequence = sequence;
    this.#windowAcknowledgement = acknowledgement;
  }

  /** A closed window is asked about from time to time: the segment that opens it may get lost. */
  watchWindow(now: number): void {
    const waits = this.queue.length > 0 || (this.finishing && !this.finishAcknowledged);
    if (this.#window === 0 && waits) {
      if (this.deadline === undefined) this.#arm(now);
    } else if (this.outstanding === 0) {
      this.deadline = undefined;
      this.#timeouts = 0;
    }
  }

  #duplicate(): void {
    this.#duplicates++;
    if (this.#duplicates !== DUPLICATES || this.#recoverUntil !== undefined) return;
    this.#recoverUntil = this.#highest;
    this.#next = this.#unacknowledged;
  }

  #recover(acknowledgement: number): void {
    if (this.#recoverUntil === undefined) return;
    if (sequenceDistance(acknowledgement, this.#recoverUntil) >= 0) this.#recoverUntil = undefined;
  }
}
