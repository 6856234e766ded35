import { sequenceAfter, sequenceDistance } from "./tcp-segment.ts";

/** Our windows are multiples of 2^7 bytes, so up to 8 MiB. */
export const WINDOW_SCALE = 7;

/** The part of a segment that is new, or why nothing is. */
export type Accepted =
  | { readonly kind: "in order"; readonly payload: Uint8Array; readonly fin: boolean }
  /** All of it was there before, or lies outside of the window: answer with what is expected. */
  | { readonly kind: "not acceptable" }
  /** Something before it is missing; it will be sent again. */
  | { readonly kind: "early" };

/** The guest's half of a connection's sequence space. */
export class TcpReceiver {
  /** The next byte that is expected. */
  next: number;
  /** The window ends before this one; that was promised and is not taken back. */
  #edge: number;
  /** Bytes that the host's side has taken but not got rid of. */
  pending = 0;
  windowScale = 0;

  /** `first` follows the guest's SYN. */
  constructor(first: number) {
    this.next = first;
    this.#edge = first;
  }

  /** The window for a header, with `limit` bytes of buffer; what is promised by sending it. */
  advertise(limit: number, scale = this.windowScale): number {
    const window = Math.min(this.#window(limit) >>> scale, 0xffff);
    const edge = sequenceAfter(this.next, window * 2 ** scale);
    if (sequenceDistance(edge, this.#edge) > 0) this.#edge = edge;
    return window;
  }

  /** Whether there is so much more room than the guest knows of that it should be told. */
  shouldTell(limit: number): boolean {
    const known = sequenceDistance(this.#edge, this.next);
    return this.#window(limit) - known >= Math.min(limit >> 2, known === 0 ? 1 << 16 : limit);
  }

  #window(limit: number): number {
    return Math.max(limit - this.pending, sequenceDistance(this.#edge, this.next), 0);
  }

  /** Whether a segment touches the window at all (RFC 9293, section 3.10.7.4, first step). */
  isAcceptable(sequence: number, length: number): boolean {
    const start = sequenceDistance(sequence, this.next);
    const size = sequenceDistance(this.#edge, this.next);
    if (length === 0) return size === 0 ? start === 0 : start >= 0 && start < size;
    return size > 0 && start < size && start + length > 0;
  }

  /** Takes what is new of a segment and moves on behind it. */
  accept(sequence: number, payload: Uint8Array, fin: boolean): Accepted {
    const start = sequenceDistance(sequence, this.next);
    if (start > 0) return { kind: "early" };
    const room = sequenceDistance(this.#edge, this.next);
    const fresh = payload.subarray(Math.min(-start, payload.length));
    const taken = fresh.length > room ? fresh.subarray(0, room) : fresh;
    const complete = taken.length === fresh.length && -start <= payload.length;
    if (taken.length === 0 && !(fin && complete)) return { kind: "not acceptable" };
    this.next = sequenceAfter(this.next, taken.length + (fin && complete ? 1 : 0));
    if (sequenceDistance(this.next, this.#edge) > 0) this.#edge = this.next;
    return { kind: "in order", payload: taken, fin: fin && complete };
  }
}
