import type { MemoryFault } from "../../mmu/memory-fault.ts";
import type { GuestCaller } from "../services/guest-caller.ts";
import type { MessageChannels } from "./message-channels.ts";

/**
 * VMware's public guest interface, as open-vm-tools and Linux's vmwgfx driver speak it on arm64: registers X0 to
 * X6 stand for ax, bx, cx, dx, si, di and bp, X7 says how (direction, high bandwidth).
 */

export const BACKDOOR_MAGIC = 0x564d_5868n;
const LOW_BANDWIDTH_PORT = 0x5658n;
const HIGH_BANDWIDTH_PORT = 0x5659n;
/** X7's low word: what a low-bandwidth call and the two directions of a high-bandwidth one say. */
const LOW_BANDWIDTH = 0x0en;
const HIGH_BANDWIDTH_OUT = 0x18n;
const HIGH_BANDWIDTH_IN = 0x1cn;
const UNKNOWN = 0xffff_ffffn;

/** Version of the interface, and which product answers (ESX server). */
const INTERFACE_VERSION = 6n;
const PRODUCT_TYPE = 2n;

export type BackdoorOutcome = "served" | "not ours" | MemoryFault;

/** Facts about the machine that commands ask for. */
export interface BackdoorFacts {
  readonly memoryBytes: number;
  /** Frequency of the generic timer, Hz. */
  readonly counterFrequency: number;
  /** 16 bytes. */
  readonly uuid: Uint8Array;
  /** Microseconds since 1970. */
  wallMicroseconds(): bigint;
  /** The guest is to keep its clock at the host's. */
  syncsTime(): boolean;
}

const COMMAND_MESSAGE = 30;
const NOMINAL_MEGAHERTZ = 1000n;
const OPTION_SYNC_TIME = 0x400n;

/** Commands without state, by number: they set registers of the answer. */
const COMMANDS: ReadonlyMap<number, (facts: BackdoorFacts, caller: GuestCaller) => void> = new Map([
  // GETMHZ: the cycle counter's pace.
  [1, (_, caller) => caller.setX(0, NOMINAL_MEGAHERTZ)],
  [10, version],
  // GETGUIOPTIONS: only time synchronisation is an option here.
  [13, (facts, caller) => caller.setX(0, facts.syncsTime() ? OPTION_SYNC_TIME : 0n)],
  [19, uuid],
  [20, (facts, caller) => caller.setX(0, BigInt(Math.floor(facts.memoryBytes / 2 ** 20)))], // GETMEMSIZE
  [23, time],
  [45, frequency],
  [46, fullTime],
  [55, fullTime],
  // GET_VCPU_INFO: no legacy x2APIC, no special virtual processors.
  [68, (_, caller) => caller.setX(0, 0n)],
]);

function version(_: BackdoorFacts, caller: GuestCaller): void {
  caller.setX(0, INTERFACE_VERSION);
  caller.setX(1, BACKDOOR_MAGIC);
  caller.setX(2, PRODUCT_TYPE);
}

/** GETUUID: 16 bytes, four in each register. */
function uuid({ uuid: bytes }: BackdoorFacts, caller: GuestCaller): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  for (let index = 0; index < 4; index++) caller.setX(index, BigInt(view.getUint32(index * 4, true)));
}

/** GETTIME: seconds, microseconds, the largest lag, minutes west of Greenwich. */
function time(facts: BackdoorFacts, caller: GuestCaller): void {
  const now = facts.wallMicroseconds();
  caller.setX(0, now / 1_000_000n);
  caller.setX(1, now % 1_000_000n);
  caller.setX(2, 0n);
  caller.setX(3, 0n);
}

/** GETTIMEFULL: the magic, then seconds in two halves, microseconds, and the largest lag. */
function fullTime(facts: BackdoorFacts, caller: GuestCaller): void {
  const now = facts.wallMicroseconds();
  const seconds = now / 1_000_000n;
  caller.setX(0, BACKDOOR_MAGIC);
  caller.setX(1, now % 1_000_000n);
  caller.setX(2, 0n);
  caller.setX(4, seconds >> 32n);
  caller.setX(3, seconds & 0xffff_ffffn);
  caller.setX(5, 0n);
}

/** GETHZ: the counter's frequency in two halves, and the bus clock's. */
function frequency({ counterFrequency }: BackdoorFacts, caller: GuestCaller): void {
  caller.setX(0, BigInt(counterFrequency) & 0xffff_ffffn);
  caller.setX(1, BigInt(counterFrequency) >> 32n);
  caller.setX(2, BigInt(counterFrequency) & 0xffff_ffffn);
}

export class VmwareBackdoor {
  readonly #facts: BackdoorFacts;
  readonly #channels: MessageChannels;

  constructor(facts: BackdoorFacts, channels: MessageChannels) {
    this.#facts = facts;
    this.#channels = channels;
  }

  /** X0 and the upper half of X7 are what they should be. */
  call(caller: GuestCaller): BackdoorOutcome {
    const way = caller.x(7) & 0xffff_ffffn;
    const port = caller.x(3) & 0xffffn;
    if (port === HIGH_BANDWIDTH_PORT) {
      if (way === HIGH_BANDWIDTH_OUT) return this.#channels.sendMemory(caller) ?? "served";
      if (way === HIGH_BANDWIDTH_IN) return this.#channels.receiveMemory(caller) ?? "served";
      return "not ours";
    }
    if (port !== LOW_BANDWIDTH_PORT || way !== LOW_BANDWIDTH) return "not ours";
    const command = Number(caller.x(2) & 0xffffn);
    if (command === COMMAND_MESSAGE) this.#channels.command(caller);
    else {
      const serve = COMMANDS.get(command);
      if (serve === undefined) caller.setX(0, UNKNOWN);
      else serve(this.#facts, caller);
    }
    return "served";
  }
}
