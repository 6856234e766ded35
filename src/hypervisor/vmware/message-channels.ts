import type { MemoryFault } from "../../mmu/memory-fault.ts";
import { type GuestCaller, isFault } from "../services/guest-caller.ts";

/** Channels that a guest may have open, and the longest message. */
const MOST_CHANNELS = 8;
const LONGEST_MESSAGE = 65_536 + 1024;

/** Steps of the protocol, in bits 31:16 of the command. */
const STEP = {
  OPEN: 0,
  SEND_SIZE: 1,
  SEND_PAYLOAD: 2,
  RECEIVE_SIZE: 3,
  RECEIVE_PAYLOAD: 4,
  RECEIVE_STATUS: 5,
  CLOSE: 6,
} as const;

/** Bits of the status in bits 31:16 of the answer. */
const STATUS = { FAILED: 0, SUCCESS: 1, DO_RECEIVE: 2, CLOSED: 4, UNSENT: 8, HIGH_BANDWIDTH: 128 } as const;

/** Protocols, four letters each, in OPEN's argument; its top bit asks for cookies. */
const RPCI = 0x4943_5052;
const TCLO = 0x4f4c_4354;
const WANTS_COOKIES = 0x8000_0000;

/** What stands at the host's end of a channel. */
export interface MessageEndpoint {
  /** A whole message of the guest's. */
  take(message: Uint8Array): void;
  /** What the guest is to receive next, if anything. */
  next(): Uint8Array | undefined;
}

/** Makes the host's end of a new channel: calls of the guest's (RPCI), or orders to it (TCLO). */
export interface MessageProtocols {
  calls(): MessageEndpoint;
  orders(): MessageEndpoint;
}

interface Channel {
  readonly endpoint: MessageEndpoint;
  readonly cookieHigh: bigint;
  readonly cookieLow: bigint;
  sending: { bytes: Uint8Array; done: number } | undefined;
  receiving: { bytes: Uint8Array; done: number } | undefined;
}

/** Messages in both directions, piecewise through registers or at once from memory. */
export class MessageChannels {
  readonly #protocols: MessageProtocols;
  readonly #channels: (Channel | undefined)[] = new Array<Channel | undefined>(MOST_CHANNELS).fill(undefined);
  #opened = 0;

  constructor(protocols: MessageProtocols) {
    this.#protocols = protocols;
  }

  get open(): number {
    return this.#channels.filter((channel) => channel !== undefined).length;
  }

  reset(): void {
    this.#channels.fill(undefined);
  }

  /** One step through registers. */
  command(caller: GuestCaller): void {
    const step = Number((caller.x(2) >> 16n) & 0xffffn);
    const status = step === STEP.OPEN ? this.#open(caller) : this.#step(caller, step);
    caller.setX(2, (caller.x(2) & 0xffffn) | (BigInt(status) << 16n));
  }

  #open(caller: GuestCaller): number {
    const argument = Number(caller.x(1) & 0xffff_ffffn);
    const protocol = (argument & ~WANTS_COOKIES) >>> 0;
    const number = this.#channels.indexOf(undefined);
    if (number < 0 || (protocol !== RPCI && protocol !== TCLO)) return STATUS.FAILED;
    const hasCookies = (argument & WANTS_COOKIES) !== 0;
    this.#opened++;
    const channel: Channel = {
      endpoint: protocol === RPCI ? this.#protocols.calls() : this.#protocols.orders(),
      // They tell a caller that mixes channels up; they are no secret.
      cookieHigh: hasCookies ? BigInt(this.#opened & 0xffff_ffff) : 0n,
      cookieLow: hasCookies ? BigInt((this.#opened * 0x9e37_79b1) >>> 0) : 0n,
      sending: undefined,
      receiving: undefined,
    };
    this.#channels[number] = channel;
    caller.setX(3, (caller.x(3) & 0xffffn) | (BigInt(number) << 16n));
    caller.setX(4, channel.cookieHigh);
    caller.setX(5, channel.cookieLow);
    return STATUS.SUCCESS;
  }

  #channel(caller: GuestCaller, high: bigint, low: bigint): Channel | undefined {
    const channel = this.#channels[Number((caller.x(3) >> 16n) & 0xffffn)];
    const mask = 0xffff_ffffn;
    return channel?.cookieHigh === (high & mask) && channel.cookieLow === (low & mask) ? channel : undefined;
  }

  #step(caller: GuestCaller, step: number): number {
    const channel = this.#channel(caller, caller.x(4), caller.x(5));
    if (channel === undefined) return STATUS.FAILED;
    const argument = Number(caller.x(1) & 0xffff_ffffn);
    switch (step) {
      case STEP.SEND_SIZE:
        return this.#sendSize(channel, argument);
      case STEP.SEND_PAYLOAD: {
        const piece = new Uint8Array(4);
        new DataView(piece.buffer).setUint32(0, argument, true);
        return this.#taken(channel, piece) ? STATUS.SUCCESS : STATUS.FAILED;
      }
      case STEP.RECEIVE_SIZE:
        return this.#receiveSize(caller, channel);
      case STEP.RECEIVE_PAYLOAD:
        return this.#receivePayload(caller, channel);
      case STEP.RECEIVE_STATUS:
        channel.receiving = undefined;
        return STATUS.SUCCESS;
      case STEP.CLOSE:
        this.#channels[this.#channels.indexOf(channel)] = undefined;
        return STATUS.SUCCESS;
      default:
        return STATUS.FAILED;
    }
  }

  #sendSize(channel: Channel, size: number): number {
    if (size > LONGEST_MESSAGE) return STATUS.FAILED;
    channel.sending = { bytes: new Uint8Array(size), done: 0 };
    if (size === 0) this.#finish(channel);
    return STATUS.SUCCESS | STATUS.HIGH_BANDWIDTH;
  }

  /** Adds a piece of the message; the last may be longer than what is left. */
  #taken(channel: Channel, piece: Uint8Array): boolean {
    const { sending } = channel;
    if (sending === undefined) return false;
    const part = piece.subarray(0, sending.bytes.length - sending.done);
    sending.bytes.set(part, sending.done);
    sending.done += part.length;
    if (sending.done === sending.bytes.length) this.#finish(channel);
    return true;
  }

  #finish(channel: Channel): void {
    const message = channel.sending?.bytes;
    channel.sending = undefined;
    if (message !== undefined) channel.endpoint.take(message);
  }

  #receiveSize(caller: GuestCaller, channel: Channel): number {
    channel.receiving = waiting(channel);
    if (channel.receiving === undefined) return STATUS.SUCCESS;
    caller.setX(1, BigInt(channel.receiving.bytes.length));
    caller.setX(3, (caller.x(3) & 0xffffn) | (BigInt(STEP.SEND_SIZE) << 16n));
    return STATUS.SUCCESS | STATUS.DO_RECEIVE | STATUS.HIGH_BANDWIDTH;
  }

  #receivePayload(caller: GuestCaller, { receiving }: Channel): number {
    if (receiving === undefined) return STATUS.FAILED;
    const piece = new Uint8Array(4);
    piece.set(receiving.bytes.subarray(receiving.done, receiving.done + 4));
    receiving.done += 4;
    caller.setX(1, BigInt(new DataView(piece.buffer).getUint32(0, true)));
    caller.setX(3, (caller.x(3) & 0xffffn) | (BigInt(STEP.SEND_PAYLOAD) << 16n));
    return STATUS.SUCCESS;
  }

  /** X2 bytes at X4 are the message's rest. A fault leaves everything as it was. */
  sendMemory(caller: GuestCaller): MemoryFault | undefined {
    const channel = this.#channel(caller, caller.x(6), caller.x(5));
    const length = Number(caller.x(2) & 0xffff_ffffn);
    const rest = channel?.sending === undefined ? 0 : channel.sending.bytes.length - channel.sending.done;
    if (channel === undefined || length === 0 || length > rest) return answer(caller, STATUS.FAILED);
    const bytes = caller.read(caller.x(4), length);
    if (isFault(bytes)) return bytes;
    this.#taken(channel, bytes);
    return answer(caller, STATUS.SUCCESS);
  }

  /** The message's next X2 bytes go to X5. */
  receiveMemory(caller: GuestCaller): MemoryFault | undefined {
    const channel = this.#channel(caller, caller.x(4), caller.x(6));
    const receiving = channel?.receiving;
    const length = Number(caller.x(2) & 0xffff_ffffn);
    if (receiving === undefined || length > receiving.bytes.length - receiving.done) {
      return answer(caller, STATUS.FAILED);
    }
    const fault = caller.write(
      caller.x(5),
      receiving.bytes.subarray(receiving.done, receiving.done + length),
    );
    if (fault !== undefined) return fault;
    receiving.done += length;
    return answer(caller, STATUS.SUCCESS);
  }
}

function waiting({ endpoint }: Channel): Channel["receiving"] {
  const bytes = endpoint.next();
  return bytes === undefined ? undefined : { bytes, done: 0 };
}

function answer(caller: GuestCaller, status: number): undefined {
  caller.setX(1, (caller.x(1) & 0xffffn) | (BigInt(status) << 16n));
}
