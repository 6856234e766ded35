import type { GuestTools } from "../../machine/virtual-machine-interface.ts";
import type { GuestDescription } from "./control-protocol.ts";

/** What a guest has told of itself, for people and JSON. */
export function describeGuest({ info, state }: GuestTools): GuestDescription {
  const { listening, lastHeartbeat, capabilities, syncsTime, facts, cards } = state();
  return {
    tools: {
      running: listening,
      lastHeartbeat: lastHeartbeat === undefined ? undefined : new Date(lastHeartbeat * 1000).toISOString(),
      capabilities: Object.fromEntries(capabilities),
      syncsTime,
    },
    facts: Object.fromEntries(facts),
    cards,
    values: Object.fromEntries([...info].map(([key, value]) => [key, Buffer.from(value).toString("utf8")])),
  };
}
