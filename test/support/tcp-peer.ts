import { type IpAddress, NETWORK } from "../../src/network/addresses.ts";
import { type IpPacket, PROTOCOL } from "../../src/network/ip-packet.ts";
import { parseTcp, TCP_FLAG, type TcpSegment } from "../../src/network/tcp-segment.ts";
import { ipFrame, type NetworkGuest, packetOf } from "./network-guest.ts";
import type { Random } from "./random.ts";

const { FIN, SYN, RST, ACK } = TCP_FLAG;

export interface PeerOptions {
  readonly guest: NetworkGuest;
  readonly random: Random;
  readonly port?: number;
  readonly remote?: IpAddress;
  readonly remotePort?: number;
  readonly source?: IpAddress;
  /** Bytes of the window; no scale is used below 64 KiB. */
  readonly window?: number;
  readonly segmentSize?: number;
  /** Of a hundred frames either way, so many are lost, repeated, or late. */
  readonly loss?: number;
  readonly duplication?: number;
  readonly delay?: number;
}

/** The guest's end of one TCP connection, written for tests: small, slow, and right even on a bad line. */
export class TcpPeer {
  readonly options: Required<PeerOptions>;
  state: "new" | "calling" | "open" | "reset" = "new";
  received: Uint8Array[] = [];
  /** The other end has sent its last byte. */
  finished = false;
  /** Our end is acknowledged. */
  finishAcknowledged = false;
  /** Stops reading: the window closes once it is full. */
  stalled = false;
  #held = 0;
  readonly #scale: number;
  #sequence: number;
  /** Sent but not acknowledged, then not sent. */
  #out: Uint8Array = new Uint8Array(0);
  #sent = 0;
  #finishing = false;
  #expected = 0;
  #remoteScale = 0;
  #remoteWindow = 0;
  readonly #early = new Map<number, TcpSegment>();
  #late: Uint8Array[] = [];

  constructor(options: PeerOptions) {
    this.options = {
      port: 40_000,
      remote: NETWORK.gateway4,
      remotePort: 80,
      source: NETWORK.guest4,
      window: 1 << 20,
      segmentSize: 1460,
      loss: 0,
      duplication: 0,
      delay: 0,
      ...options,
    };
    this.#scale = this.options.window > 0xffff ? 7 : 0;
    this.#sequence = options.random.u32();
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.received);
  }

  /** Bytes that were not acknowledged yet. */
  get unacknowledged(): number {
    return this.#out.length;
  }

  call(): void {
    this.state = "calling";
    this.#emit(SYN, this.#sequence, new Uint8Array(0));
  }

  write(bytes: Uint8Array): void {
    this.#out = Buffer.concat([this.#out, bytes]);
    this.#push();
  }

  finish(): void {
    this.#finishing = true;
    this.#push();
  }

  reset(): void {
    this.state = "reset";
    this.#emit(RST | ACK, this.#sequence + this.#sent, new Uint8Array(0));
  }

  /** Reads what was held back by {@link stalled}. */
  read(): void {
    this.stalled = false;
    this.#held = 0;
    this.#emit(ACK, this.#sequence + this.#sent, new Uint8Array(0));
  }

  /** Takes frames off the card. */
  poll(): void {
    const { random, loss, duplication, delay } = this.options;
    const late = this.#late;
    this.#late = [];
    for (const frame of late) this.#takeFrame(frame);
    for (const { bytes } of this.options.guest.take()) {
      if (random.below(100) < loss) continue;
      if (random.below(100) < delay) this.#late.push(bytes);
      else this.#takeFrame(bytes);
      if (random.below(100) < duplication) this.#takeFrame(bytes);
    }
  }

  /** The timer: sends again what is not acknowledged. */
  repeat(): void {
    if (this.state === "calling") this.call();
    else if (this.state === "open") {
      this.#sent = 0;
      this.#push();
    }
  }

  #takeFrame(frame: Uint8Array): void {
    const packet = packetOf(frame);
    if (packet?.protocol !== PROTOCOL.TCP) return;
    // Offloaded checksums are not finished.
    const segment = parseTcp(packet, this.options.guest.completesChecksums);
    if (segment === undefined) throw new Error("the network sent a damaged segment");
    if (segment.destinationPort === this.options.port) this.#take(segment, packet);
  }

  #take(segment: TcpSegment, _packet: IpPacket): void {
    const { flags, sequence, acknowledgement, window } = segment;
    if (this.state === "reset") return;
    if (flags & RST) {
      this.state = "reset";
      return;
    }
    if (flags & SYN) {
      if (this.state === "new") {
        this.#accept(segment);
        return;
      }
      if (this.state === "calling" && acknowledgement === (this.#sequence + 1) >>> 0) {
        this.state = "open";
        this.#sequence = acknowledgement;
        this.#expected = (sequence + 1) >>> 0;
        this.#remoteScale = this.#scale > 0 ? (segment.options.windowScale ?? 0) : 0;
        this.#remoteWindow = window;
      }
      this.#emit(ACK, this.#sequence + this.#sent, new Uint8Array(0));
      this.#push();
      return;
    }
    this.#remoteWindow = window * 2 ** this.#remoteScale;
    const progress = (acknowledgement - this.#sequence) | 0;
    if (progress > 0) {
      const bytes = Math.min(progress, this.#out.length);
      this.#out = this.#out.subarray(bytes);
      this.#sent = Math.max(0, this.#sent - progress);
      this.#sequence = acknowledgement;
      if (progress > bytes) {
        if (this.#answering) this.#answering = false;
        else this.finishAcknowledged = true;
      }
    }
    this.#takePayload(segment);
    this.#push();
  }
  #answering = false;

  /** The other end calls. */
  #accept({ sequence, options, window }: TcpSegment): void {
    this.state = "open";
    this.#expected = (sequence + 1) >>> 0;
    this.#remoteScale = this.#scale > 0 ? (options.windowScale ?? 0) : 0;
    this.#remoteWindow = window;
    this.#answering = true;
    this.#emit(SYN | ACK, this.#sequence, new Uint8Array(0));
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#answering = false;
  }

  #takePayload(segment: TcpSegment): void {
    const { flags, payload } = segment;
    if (payload.length === 0 && (flags & FIN) === 0) {
      // A probe wants an answer.
      if (((segment.sequence - this.#expected) | 0) < 0)
        this.#emit(ACK, this.#sequence + this.#sent, payload);
      return;
    }
    this.#early.set(segment.sequence, segment);
    for (let moved = true; moved; ) {
      moved = false;
      for (const [start, early] of this.#early) {
        const behind = (this.#expected - start) | 0;
        if (behind < 0) continue;
        this.#early.delete(start);
        const fresh = early.payload.subarray(behind);
        const room = this.stalled ? this.options.window - this.#held : fresh.length;
        const taken = fresh.subarray(0, room);
        this.#expected = (this.#expected + taken.length) >>> 0;
        if (taken.length > 0) this.received.push(taken.slice());
        if (this.stalled) this.#held += taken.length;
        if (
          early.flags & FIN &&
          taken.length === fresh.length &&
          behind <= early.payload.length &&
          !this.finished
        ) {
          this.#expected = (this.#expected + 1) >>> 0;
          this.finished = true;
        }
        moved = true;
      }
    }
    this.#emit(ACK, this.#sequence + this.#sent, new Uint8Array(0));
  }

  #push(): void {
    if (this.state !== "open") return;
    while (this.#sent < this.#out.length && this.#sent < this.#remoteWindow) {
      const size = Math.min(
        this.options.segmentSize,
        this.#out.length - this.#sent,
        this.#remoteWindow - this.#sent,
      );
      const start = this.#sent;
      this.#sent += size;
      this.#emit(ACK, this.#sequence + start, this.#out.subarray(start, start + size));
    }
    if (this.#finishing && this.#sent === this.#out.length && !this.finishAcknowledged) {
      this.#sent++;
      this.#emit(FIN | ACK, this.#sequence + this.#out.length, new Uint8Array(0));
    }
  }

  #emit(flags: number, sequence: number, payload: Uint8Array): void {
    const { guest, random, port, remote, remotePort, source, segmentSize } = this.options;
    const options = flags & SYN ? [2, 4, segmentSize >> 8, segmentSize & 0xff] : [];
    if (flags & SYN && this.#scale > 0) options.push(1, 3, 3, this.#scale);
    const window = this.options.window - this.#held;
    const bytes = new Uint8Array(20 + options.length + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, port);
    view.setUint16(2, remotePort);
    view.setUint32(4, sequence >>> 0);
    view.setUint32(8, flags & ACK ? this.#expected : 0);
    view.setUint8(12, ((20 + options.length) / 4) << 4);
    view.setUint8(13, flags);
    view.setUint16(14, flags & SYN ? Math.min(window, 0xffff) : window >> this.#scale);
    bytes.set(options, 20);
    bytes.set(payload, 20 + options.length);
    const frame = ipFrame(source, remote, PROTOCOL.TCP, bytes, 16);
    if (random.below(100) < this.options.loss) return;
    guest.send(frame);
    if (random.below(100) < this.options.duplication) guest.send(frame);
  }
}
