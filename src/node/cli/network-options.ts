import { UserError } from "../../base/errors.ts";
import type { NetworkOptions } from "../../machine/virtual-machine-interface.ts";
import { parseAllowRule } from "../../network/policy.ts";
import { parsePublishedPort } from "../../network/publish.ts";

/** The network's part of the command line, as it was written. */
export interface NetworkWords {
  readonly net?: string | undefined;
  readonly publish?: readonly string[] | undefined;
  readonly deterministic?: boolean | undefined;
}

/** Reads --net and --publish. Unless told otherwise a guest has a network, a deterministic one none. */
export function networkOptions({
  net,
  publish = [],
  deterministic = false,
}: NetworkWords): NetworkOptions | undefined {
  const [kind, ...words] = (net ?? (deterministic && publish.length === 0 ? "none" : "user")).split(",");
  if (kind !== "none" && kind !== "user")
    throw misuse(`"${net}" is no network; give --net none, --net user or --net user,allow=HOST:PORT.`);
  if (kind === "none") {
    if (words.length > 0)
      throw misuse(`--net none takes nothing more, but has "${words[0]}"; leave that out.`);
    if (publish.length > 0) throw misuse(`--publish ${publish[0]} needs a network; leave --net none out.`);
    return undefined;
  }
  if (deterministic) {
    throw misuse(
      "A deterministic machine has no network, because no two runs would hear the same; leave out --deterministic or give --net none.",
    );
  }
  const allow = words.map((word) => {
    const rule = /^allow=(.*)$/.exec(word)?.[1];
    if (rule === undefined) throw misuse(`"${word}" in --net ${net} is unknown; give allow=HOST:PORT.`);
    parseAllowRule(rule);
    return rule;
  });
  for (const port of publish) parsePublishedPort(port);
  return { allow: allow.length === 0 ? undefined : allow, publish };
}

function misuse(sentence: string): UserError {
  return new UserError(sentence, { exitStatus: 2 });
}
