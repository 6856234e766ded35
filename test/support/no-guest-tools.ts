import type { GuestPace, GuestTools } from "../../src/machine/virtual-machine-interface.ts";

/** Of a machine whose guest has no tools. */
export const NO_GUEST_TOOLS: GuestTools = {
  services: false,
  info: new Map(),
  set: () => {},
  call: () => {
    throw new Error("no services here");
  },
  state: () => ({
    listening: false,
    capabilities: new Map(),
    lastHeartbeat: undefined,
    syncsTime: false,
    facts: new Map(),
    cards: [],
  }),
  syncTime: () => {},
  order: () => false,
};

/** Of a machine whose guest's clock runs at the host's pace, always. */
export const HOST_PACE: GuestPace = { scale: 1, setScale: () => {} };
