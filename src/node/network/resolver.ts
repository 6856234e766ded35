import { createSocket } from "node:dgram";
import { getServers, lookup, lookupService } from "node:dns";
import { connect, isIPv6 } from "node:net";
import { formatAddress, type IpAddress, parseAddress } from "../../network/addresses.ts";
import {
  answerWith,
  emptyAnswer,
  encodeName,
  questionOf,
  RECORD,
  RESPONSE,
} from "../../network/dns-message.ts";

/** Milliseconds for one server to answer, and how many servers are asked. */
const PATIENCE = 2_500;
const MOST_SERVERS = 3;
/** Seconds for which the guest may remember what the host's own look-up found, which does not say. */
const TIME_TO_LIVE = 30;

/** "192.0.2.1", "192.0.2.1:5353", "2001:db8::1" or "[2001:db8::1]:5353". */
interface NameServer {
  readonly address: string;
  readonly port: number;
}

/** Passes DNS messages to the servers that the host asks, or asks as the host's programs do where none answers. */
export class Resolver {
  readonly #servers: () => readonly string[];

  /** `servers` gives the servers' addresses each time they are needed. */
  constructor(servers: () => readonly string[] = getServers) {
    this.#servers = servers;
  }

  async resolve(query: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    for (const server of this.#servers().slice(0, MOST_SERVERS).map(parseServer)) {
      const answer = await (transport === "udp" ? askByUdp(query, server) : askByTcp(query, server));
      if (answer !== undefined) return answer;
    }
    return await askHost(query);
  }
}

function parseServer(text: string): NameServer {
  const match = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text);
  return match === null
    ? { address: text, port: 53 }
    : { address: (match[1] ?? match[2])!, port: Number(match[3]) };
}

function askByUdp(query: Uint8Array, { address, port }: NameServer): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    let over = false;
    const finish = (answer: Uint8Array | undefined): void => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), PATIENCE);
    timer.unref();
    socket.unref();
    socket.on("error", () => finish(undefined));
    // A connected socket takes answers from that server only.
    socket.connect(port, address, () => {
      if (!over) socket.send(query, (error) => error && finish(undefined));
    });
    socket.on("message", (answer) => {
      if (isAnswer(answer, query)) finish(answer);
    });
  });
}

function askByTcp(query: Uint8Array, { address, port }: NameServer): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    const finish = (answer: Uint8Array | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => finish(undefined), PATIENCE);
    timer.unref();
    socket.unref();
    socket.on("error", () => finish(undefined));
    socket.on("close", () => finish(undefined));
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = received.subarray(2, 2 + received.readUInt16BE(0));
      finish(isAnswer(answer, query) ? answer : undefined);
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}

function isAnswer(answer: Uint8Array, query: Uint8Array): boolean {
  return answer.length >= 12 && answer[0] === query[0] && answer[1] === query[1] && (answer[2]! & 0x80) !== 0;
}

/** As the host's programs ask: its hosts file, its services. Addresses and names of addresses only. */
async function askHost(query: Uint8Array): Promise<Uint8Array | undefined> {
  const question = questionOf(query);
  if (question === undefined) return undefined;
  switch (question.type) {
    case RECORD.A:
    case RECORD.AAAA: {
      const family = question.type === RECORD.A ? 4 : 6;
      const found = await new Promise<IpAddress[] | undefined>((resolve) => {
        lookup(question.name, { family, all: true }, (error, addresses) => {
          const bytes = addresses
            ?.map(({ address }) => parseAddress(address))
            .filter((each) => each !== undefined);
          resolve(error === null ? bytes : error.code === "ENOTFOUND" ? [] : undefined);
        });
      });
      if (found === undefined) return undefined;
      return found.length === 0
        ? emptyAnswer(query, RESPONSE.NO_NAME)
        : answerWith(query, found, TIME_TO_LIVE);
    }
    case RECORD.PTR: {
      const address = addressOfPointer(question.name);
      if (address === undefined) return emptyAnswer(query, RESPONSE.NO_NAME);
      const name = await new Promise<string | undefined>((resolve) => {
        lookupService(address, 0, (error, hostname) => resolve(error === null ? hostname : undefined));
      });
      const data = name === undefined || name === address ? undefined : encodeName(name);
      return data === undefined
        ? emptyAnswer(query, RESPONSE.NO_NAME)
        : answerWith(query, [data], TIME_TO_LIVE);
    }
    default:
      return undefined;
  }
}

/** The address in "4.3.2.1.in-addr.arpa" or its like of IPv6. */
function addressOfPointer(name: string): string | undefined {
  const parts = name.toLowerCase().split(".").reverse();
  const [top, kind, ...digits] = parts;
  if (top !== "arpa") return undefined;
  if (kind === "in-addr" && digits.length === 4) {
    const address = parseAddress(digits.join("."));
    return address && formatAddress(address);
  }
  if (kind !== "ip6" || digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit)))
    return undefined;
  const address = parseAddress(digits.join("").replace(/(.{4})(?!$)/g, "$1:"));
  return address && formatAddress(address);
}
