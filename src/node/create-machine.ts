import { performance } from "node:perf_hooks";
import type { HostTime } from "../machine/host-time.ts";
import { createVirtualMachine } from "../machine/virtual-machine.ts";
import type { VirtualMachineFactory } from "../machine/virtual-machine-interface.ts";
import { compilingThread } from "./compiling-thread.ts";
import { enableEngineFeatures } from "./engine-features.ts";
import { nodeNetwork } from "./network/node-network.ts";

/** Node's timers do not sleep for less than this many milliseconds; a guest that waits for its timer's event stream does. */
const SHORTEST_TIMER = 1;
/** So long may what arrives meanwhile, such as an answer over the network, wait until it is seen. */
const LONGEST_BLOCK = 0.2;
const NEVER_NOTIFIED = new Int32Array(new SharedArrayBuffer(4));

/** Node's clocks and event loop. */
export const NODE_TIME: HostTime = {
  now: () => performance.now(),
  wallSeconds: () => Date.now() / 1000,
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  sleep(milliseconds) {
    if (milliseconds < SHORTEST_TIMER) {
      Atomics.wait(NEVER_NOTIFIED, 0, 0, Math.min(milliseconds, LONGEST_BLOCK));
      return { over: NODE_TIME.breathe(), wake: () => {} };
    }
    let wake = (): void => {};
    const over = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return { over, wake: () => wake() };
  },
};

/** Puts a machine together with what Node.js brings. */
export const createMachine: VirtualMachineFactory = (options) => {
  enableEngineFeatures();
  return createVirtualMachine(options, NODE_TIME, options.net && nodeNetwork(), compilingThread);
};
