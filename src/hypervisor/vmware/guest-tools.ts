import type { GuestInfo } from "../services/guest-info.ts";
import type { MessageEndpoint, MessageProtocols } from "./message-channels.ts";
import { type NetworkCard, readNetworkCards } from "./nic-info.ts";

/** What the guest's tools have told of themselves. */
export interface ToolsState {
  /** The guest listens for orders. */
  readonly listening: boolean;
  /** Capabilities that it registered, by name without "tools.capability.". */
  readonly capabilities: ReadonlyMap<string, string>;
  /** Seconds since 1970 when the tools last asked for orders, which they do about ten times a second. */
  readonly lastHeartbeat: number | undefined;
  /** The guest is to keep its clock at the host's. */
  readonly syncsTime: boolean;
  /** What the tools gathered about the guest, by names such as "hostname", "os" and "uptime". */
  readonly facts: ReadonlyMap<string, string>;
  readonly cards: readonly NetworkCard[];
}

/** Orders that the host can give. */
export const TOOLS_ORDERS = ["OS_Halt", "OS_Reboot", "Time_Synchronize 1"] as const;
export type ToolsOrder = (typeof TOOLS_ORDERS)[number];

export interface ToolsHost {
  readonly info: GuestInfo;
  wallSeconds(): number;
  log(text: string): void;
}

/** Orders that wait for a guest which does not listen: more are not kept. */
const MOST_ORDERS = 16;
const GUEST_INFO = "guestinfo.";
const CAPABILITY = "tools.capability.";

/**
 * The host's end of the message channels as open-vm-tools uses them: RPCI, calls that are answered with "1 " and a
 * value or "0 " and a reason, and TCLO, orders that the tools poll for and acknowledge.
 */
export class GuestTools implements MessageProtocols {
  readonly #host: ToolsHost;
  readonly #capabilities = new Map<string, string>();
  readonly #orders: string[] = [];
  #listening = false;
  #lastHeartbeat: number | undefined;
  #syncsTime = false;
  readonly #facts = new Map<string, string>();
  #cards: readonly NetworkCard[] = [];

  constructor(host: ToolsHost) {
    this.#host = host;
  }

  state(): ToolsState {
    return {
      listening: this.#listening,
      capabilities: this.#capabilities,
      lastHeartbeat: this.#lastHeartbeat,
      syncsTime: this.#syncsTime,
      facts: this.#facts,
      cards: this.#cards,
    };
  }

  /** Gives the tools an order, which they find when they look next; false while no tools listen. */
  order(order: ToolsOrder): boolean {
    if (!this.#listening || this.#orders.length >= MOST_ORDERS) return false;
    this.#orders.push(order);
    return true;
  }

  /** Whether the guest's tools keep its clock at the host's. */
  get syncsTime(): boolean {
    return this.#syncsTime;
  }

  set syncsTime(wanted: boolean) {
    this.#syncsTime = wanted;
    if (this.#listening && this.#orders.length < MOST_ORDERS) this.#orders.push(this.#timeOption);
  }

  get #timeOption(): string {
    return `Set_Option ${SYNC_TIME} ${this.#syncsTime ? 1 : 0}`;
  }

  /** After a reset of the machine nobody listens. */
  reset(): void {
    this.#capabilities.clear();
    this.#orders.length = 0;
    this.#listening = false;
    this.#lastHeartbeat = undefined;
    this.#facts.clear();
    this.#cards = [];
  }

  calls(): MessageEndpoint {
    let reply: Uint8Array | undefined;
    return {
      take: (message) => {
        reply = this.#answer(message);
      },
      next: () => {
        const answer = reply;
        reply = undefined;
        return answer;
      },
    };
  }

  orders(): MessageEndpoint {
    this.#listening = true;
    // The tools begin by saying who they are.
    this.#orders.unshift("reset", "Capabilities_Register", this.#timeOption);
    return {
      // Acknowledgements: nothing depends on them.
      take: () => {},
      next: () => {
        this.#lastHeartbeat = this.#host.wallSeconds();
        const order = this.#orders.shift();
        return order === undefined ? undefined : encode(order);
      },
    };
  }

  #answer(message: Uint8Array): Uint8Array {
    const end = message.indexOf(0x20);
    const name = decode(end < 0 ? message : message.subarray(0, end)).replace(/\0+$/, "");
    const rest = end < 0 ? new Uint8Array(0) : message.subarray(end + 1);
    if (name.startsWith(CAPABILITY)) {
      this.#capabilities.set(name.slice(CAPABILITY.length), text(rest));
      return encode("1 ");
    }
    switch (name) {
      case "info-set":
        return this.#set(rest);
      case "info-get":
        return this.#get(text(rest));
      case "log":
        this.#host.log(text(rest));
        return encode("1 ");
      case "vmx.set_option": {
        // The option's name, what it was, what it is to be.
        const [option, , wanted] = text(rest).split(" ");
        if (option === SYNC_TIME) this.syncsTime = wanted === "1";
        return encode("1 ");
      }
      case "machine.id.get":
        return encode("0 No machine id");
      case "SetGuestInfo":
        return this.#setNumbered(rest);
      default:
        return KNOWN.test(name) ? encode("1 ") : encode("0 Unknown command");
    }
  }

  /** `guestinfo.name value`. The value is bytes, up to the end. */
  #set(rest: Uint8Array): Uint8Array {
    const end = rest.indexOf(0x20);
    const name = decode(end < 0 ? rest : rest.subarray(0, end));
    if (!name.startsWith(GUEST_INFO)) return encode("0 Permission denied");
    let value = end < 0 ? new Uint8Array(0) : rest.subarray(end + 1);
    // Values are C strings; some callers send the end along, and reading does not give it back.
    if (value.at(-1) === 0) value = value.subarray(0, -1);
    return this.#host.info.set(name.slice(GUEST_INFO.length), value)
      ? encode("1 ")
      : encode("0 Value too large or too many");
  }

  #get(name: string): Uint8Array {
    const value = name.startsWith(GUEST_INFO)
      ? this.#host.info.get(name.slice(GUEST_INFO.length))
      : undefined;
    if (value === undefined) return encode("0 No value found");
    const answer = new Uint8Array(2 + value.length);
    answer.set(encode("1 "));
    answer.set(value, 2);
    return answer;
  }

  /** `SetGuestInfo  number value`: facts that the tools gather. What is not understood they send in an older way. */
  #setNumbered(rest: Uint8Array): Uint8Array {
    const [head = "", number = ""] = /^ ?(\d+) /.exec(decode(rest.subarray(0, 16))) ?? [];
    const value = rest.subarray(head.length);
    if (Number(number) === NETWORK_CARDS) {
      const cards = readNetworkCards(value);
      if (cards === undefined) return encode("0 Not understood");
      this.#cards = cards;
      return encode("1 ");
    }
    const name = NUMBERED.get(Number(number));
    if (name === undefined) return encode(BINARY_FACTS.has(Number(number)) ? "1 " : "0 Not understood");
    this.#facts.set(name, text(value).slice(0, LONGEST_FACT));
    return encode("1 ");
  }
}

/** Facts with a number of their own in SetGuestInfo that are text. */
const NUMBERED: ReadonlyMap<number, string> = new Map([
  [1, "hostname"],
  [4, "build"],
  [5, "system"],
  [6, "system-id"],
  [7, "uptime"],
]);
/** The cards in XDR; disks (3) and memory (8) are structures of their own, which nobody reads. */
const NETWORK_CARDS = 10;
const BINARY_FACTS: ReadonlySet<number> = new Set([3, 8]);
const LONGEST_FACT = 1024;
/** The option by which guests keep their clocks at the host's. */
const SYNC_TIME = "synctime";

/** Calls of the tools that need nothing of this host but a yes. */
const KNOWN =
  /^(tools\.(set\.|os\.statechange\.)|vmx\.capability\.|toolinstall\.|unity\.|reset|ping|Set_Option|disk\.|guest\.|deployPkg\.|upgrader\.|GuestStats|StateLogger|x\d*\.)/;

const encoder = new TextEncoder();

function encode(line: string): Uint8Array {
  return encoder.encode(line);
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Text without the zero that C programs send along. */
function text(bytes: Uint8Array): string {
  return decode(bytes).replace(/\0+$/, "");
}
