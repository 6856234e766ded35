import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { CodeStore } from "../engine/translator/code-cache.ts";
import type { HostTime } from "../machine/host-time.ts";
import { createVirtualMachine } from "../machine/virtual-machine.ts";
import type { VirtualMachineFactory, VirtualMachineOptions } from "../machine/virtual-machine-interface.ts";
import { FileCodeStore, startPackProcess } from "./code-cache/file-code-store.ts";
import { compilingThread } from "./compiling-thread.ts";
import { enableEngineFeatures } from "./engine-features.ts";
import { cacheDirectory } from "./images/cache.ts";
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

/** Where translated code is kept: the option's directory, the environment's, or one in this user's cache. */
function codeStore({ codeCache, codeCacheCheck, ...machine }: VirtualMachineOptions): CodeStore | undefined {
  const named = codeCache ?? process.env["ELVISOR_CODE_CACHE"];
  const isPlain = machine.deterministic === true || machine.engine === "interpreter";
  if (named === false || named === "off" || isPlain) return undefined;
  return new FileCodeStore(named || join(cacheDirectory(process.env), "code"), {
    check: codeCacheCheck ?? false,
    pack: startPackProcess,
  });
}

/** Puts a machine together with what Node.js brings. */
export const createMachine: VirtualMachineFactory = (options) => {
  enableEngineFeatures();
  const network = options.net && nodeNetwork();
  return createVirtualMachine(options, NODE_TIME, network, compilingThread, codeStore(options));
};
