import { addressesOf, emptyAnswer, questionOf, RESPONSE } from "./dns-message.ts";
import type { HostNetwork } from "./host-network.ts";
import type { Policy } from "./policy.ts";

/** Questions that the host's resolver has at once; more go unanswered, as on a busy network. */
const MOST_PENDING = 256;

/** Passes the guest's questions on to the host's resolver, where the policy lets them. */
export class DnsRelay {
  readonly #host: HostNetwork;
  readonly #policy: Policy;
  #pending = 0;

  constructor(host: HostNetwork, policy: Policy) {
    this.#host = host;
    this.#policy = policy;
  }

  /** The answer to a query; undefined when there will be none. `query` is kept. Never rejects. */
  async answer(query: Uint8Array, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    if (query.length < 12 || (query[2]! & 0x80) !== 0 || this.#pending >= MOST_PENDING) return undefined;
    const question = questionOf(query);
    if (question === undefined) return emptyAnswer(query, RESPONSE.FORMAT_ERROR);
    if (!this.#policy.allowsName(question.name)) return emptyAnswer(query, RESPONSE.REFUSED);
    this.#pending++;
    const answer = await this.#host.resolve(query, transport);
    this.#pending--;
    if (answer === undefined) return emptyAnswer(query, RESPONSE.SERVER_FAILURE);
    this.#policy.pin(question.name, addressesOf(answer));
    return answer;
  }
}
