import { addressKey } from "./addresses.ts";
import type { IpPacket } from "./ip-packet.ts";

/** Packets that wait for their parts, and how long they do (RFC 8200, section 4.5: 60 seconds at most). */
const MOST_PACKETS = 16;
const LIFETIME = 30_000;
/** What a whole packet may have; also bounds what one can make us keep. */
const MOST_BYTES = 65_535;
const MOST_PARTS = 128;

interface Partial {
  readonly began: number;
  readonly parts: { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Known with the last part. */
  length: number | undefined;
  received: number;
}

/** Joins fragments. Overlapping ones are refused with all of their packet (RFC 5722). */
export class Reassembly {
  readonly #now: () => number;
  readonly #partial = new Map<string, Partial>();

  constructor(now: () => number) {
    this.#now = now;
  }

  clear(): void {
    this.#partial.clear();
  }

  /** The packet that `packet`'s fragment completes, if it does. */
  add(packet: IpPacket): IpPacket | undefined {
    const { fragment, payload } = packet;
    if (fragment === undefined) return packet;
    this.#forgetOld();
    const key = `${fragment.identification} ${packet.protocol} ${addressKey(packet.source)}${addressKey(packet.destination)}`;
    const partial = this.#partial.get(key) ?? this.#begin(key);
    const end = fragment.offset + payload.length;
    const fits =
      (payload.length % 8 === 0 || !fragment.more) &&
      payload.length > 0 &&
      end <= MOST_BYTES &&
      partial.parts.length < MOST_PARTS &&
      (partial.length === undefined || (fragment.more ? end <= partial.length : end === partial.length)) &&
      partial.parts.every(({ offset, bytes }) => end <= offset || fragment.offset >= offset + bytes.length);
    if (!fits) {
      this.#partial.delete(key);
      return undefined;
    }
    if (!fragment.more) partial.length = end;
    partial.parts.push({ offset: fragment.offset, bytes: payload.slice() });
    partial.received += payload.length;
    if (partial.received !== partial.length) return undefined;
    this.#partial.delete(key);
    const whole = new Uint8Array(partial.length);
    for (const { offset, bytes } of partial.parts) {
      if (offset + bytes.length > whole.length) return undefined;
      whole.set(bytes, offset);
    }
    return { ...packet, payload: whole, fragment: undefined };
  }

  #begin(key: string): Partial {
    const [oldest] = this.#partial.keys();
    if (this.#partial.size >= MOST_PACKETS && oldest !== undefined) this.#partial.delete(oldest);
    const partial: Partial = { began: this.#now(), parts: [], length: undefined, received: 0 };
    this.#partial.set(key, partial);
    return partial;
  }

  #forgetOld(): void {
    const limit = this.#now() - LIFETIME;
    for (const [key, { began }] of this.#partial) if (began < limit) this.#partial.delete(key);
  }
}
