import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import type { HostNetwork } from "../../network/host-network.ts";
import { bindDatagrams, openDatagrams } from "./datagrams.ts";
import { EchoProgram } from "./echo.ts";
import { Resolver } from "./resolver.ts";
import { connectStream, listenForStreams } from "./streams.ts";

export interface NodeNetworkOptions {
  /** Addresses of DNS servers, in the form of Node's `dns.getServers`, instead of the host's. */
  readonly nameServers?: readonly string[];
}

/** The sockets and names of the host, without privileges. */
export function nodeNetwork({ nameServers }: NodeNetworkOptions = {}): HostNetwork {
  const echo = new EchoProgram();
  const resolver = new Resolver(nameServers && (() => nameServers));
  return {
    now: () => performance.now(),
    after(milliseconds, callback, holding = false) {
      const timer = setTimeout(callback, milliseconds);
      if (!holding) timer.unref();
      return () => clearTimeout(timer);
    },
    soon: (callback) => void setImmediate(callback),
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    connect: connectStream,
    listen: listenForStreams,
    openDatagrams,
    bindDatagrams,
    echo: (address) => echo.ask(address),
    resolve: (query, transport) => resolver.resolve(query, transport),
  };
}
