import { UserError } from "../base/errors.ts";
import {
  addressKey,
  formatAddress,
  type IpAddress,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnspecified,
  NETWORK,
  parseAddress,
} from "./addresses.ts";

/** A destination that the guest may reach. */
export interface AllowRule {
  /** An address, a name in lower case, or "*." and a name for everything below it. */
  readonly host: string;
  /** Undefined: every port. */
  readonly port: number | undefined;
}

/** Addresses of names that are remembered; the oldest go first. */
const MOST_PINS = 4096;

/** Reads "HOST:PORT"; HOST is a name, "*.NAME", an IPv4 address, or an IPv6 address in brackets, PORT may be "*". */
export function parseAllowRule(text: string): AllowRule {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+)):(\d{1,5}|\*)$/i.exec(text);
  const host = (match?.[1] ?? match?.[2] ?? "").toLowerCase().replace(/\.$/, "");
  const port = match?.[3] === "*" ? undefined : Number(match?.[3]);
  const isAddress = parseAddress(host) !== undefined;
  const isName = /^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/.test(host);
  const looksNumeric = /^[\d.]+$/.test(host) && !isAddress;
  const inBrackets = match?.[1] !== undefined;
  if (
    match === null ||
    (port !== undefined && !(port >= 1 && port <= 65_535)) ||
    looksNumeric ||
    (inBrackets ? !isAddress : !isAddress && !isName)
  ) {
    throw new UserError(
      `"${text}" is no destination; allow HOST:PORT, such as mirror.example.org:80, 192.0.2.1:443 or [2001:db8::1]:22.`,
      { exitStatus: 2 },
    );
  }
  return { host: isAddress ? formatAddress(parseAddress(host)!) : host, port };
}

/** What the guest may reach. Names stand for the addresses that the resolver has given the guest for them. */
export class Policy {
  /** Undefined: everything. */
  readonly #rules: readonly AllowRule[] | undefined;
  /** Rules by the address for which they hold; in the order of their learning. */
  readonly #pins = new Map<string, Set<AllowRule>>();

  constructor(rules: readonly AllowRule[] | undefined) {
    this.#rules = rules;
  }

  /** `address` is as the guest sees it: the host's loopback address is the gateway's. */
  allows(address: IpAddress, port: number): boolean {
    if (this.#rules === undefined) return true;
    const text = formatAddress(address);
    const pinned = this.#pins.get(addressKey(address));
    return this.#rules.some(
      (rule) =>
        (rule.port === undefined || rule.port === port) &&
        (rule.host === text || HOST_ITSELF[text]?.includes(rule.host) || pinned?.has(rule)),
    );
  }

  /** Whether the guest may ask for this name. */
  allowsName(name: string): boolean {
    return this.#rules === undefined || this.#rulesFor(name).length > 0;
  }

  /** The resolver has said that `name` has these addresses. */
  pin(name: string, addresses: readonly IpAddress[]): void {
    if (this.#rules === undefined) return;
    const rules = this.#rulesFor(name);
    if (rules.length === 0) return;
    for (const address of addresses) {
      // Whoever holds the name must not thereby open the way to what is this host's or this link's own.
      if (isLoopback(address) || isLinkLocal(address) || isMulticast(address) || isUnspecified(address))
        continue;
      const key = addressKey(address);
      const known = this.#pins.get(key) ?? new Set();
      for (const rule of rules) known.add(rule);
      this.#pins.delete(key);
      this.#pins.set(key, known);
      const [oldest] = this.#pins.keys();
      if (this.#pins.size > MOST_PINS && oldest !== undefined) this.#pins.delete(oldest);
    }
  }

  #rulesFor(name: string): AllowRule[] {
    const asked = name.toLowerCase().replace(/\.$/, "");
    return (this.#rules ?? []).filter(({ host }) =>
      host.startsWith("*.") ? asked.endsWith(host.slice(1)) : host === asked,
    );
  }
}

/** What a user calls the host, by the address under which the guest reaches it. */
const HOST_ITSELF: Readonly<Record<string, readonly string[]>> = {
  [formatAddress(NETWORK.gateway4)]: ["localhost", "127.0.0.1"],
  [formatAddress(NETWORK.gateway6)]: ["localhost", "::1"],
};
