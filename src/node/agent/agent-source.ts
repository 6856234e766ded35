import { COMMAND } from "./program/command.ts";
import { COMMON } from "./program/common.ts";
import { ORDERS } from "./program/orders.ts";
import { RELAYS } from "./program/relay.ts";
import { SERVE } from "./program/serve.ts";
import { START } from "./program/start.ts";

/**
 * The agent, in A64 assembly: a static program that needs nothing of its guest but Linux with AF_VSOCK. The
 * first process accepts connections and makes a process for each; that one reads the request, makes the
 * streams, starts the command, and passes bytes until it has ended and all it wrote is on its way.
 *
 * In a handler: x19 control connection, x20 process id, x21 its pidfd, x22 terminal or -1, x23 flags,
 * x24 request, x25 relays, x26 1 once the command has ended, x27 and x28 the report; x29 ignored signals.
 */
export const AGENT_SOURCE = [START, SERVE, COMMAND, RELAYS, ORDERS, COMMON].join("\n");
