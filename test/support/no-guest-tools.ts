import type { GuestTools } from "../../src/machine/virtual-machine-interface.ts";

/** Of a machine whose guest has no tools. */
export const NO_GUEST_TOOLS: GuestTools = {
  info: new Map(),
  set: () => {},
  state: () => ({ listening: false, capabilities: new Map(), lastHeartbeat: undefined }),
  order: () => false,
};
