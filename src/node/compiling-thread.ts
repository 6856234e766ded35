import { Worker } from "node:worker_threads";
import {
  CompilingMail,
  type CompilingReply,
  type CompilingThread,
} from "../engine/translator/background-compiler.ts";

/** Next to this file, and among what was built where this one runs from its source. */
function workerAddress(): URL {
  const built = import.meta.url.endsWith(".ts") ? "../../dist/src/node/" : "./";
  return new URL(`${built}compiling-worker.js`, import.meta.url);
}

/** A worker thread, started when there is something to compile. It keeps no process alive. */
function startThread(): CompilingThread {
  let worker: Worker | undefined;
  const mail = new CompilingMail((request) => {
    worker ??= start();
    worker.postMessage(request);
  });
  const start = (): Worker => {
    const started = new Worker(workerAddress(), { name: "compiler" });
    started.on("message", (reply: CompilingReply) => mail.receive(reply));
    started.on("error", () => mail.lose());
    started.on("exit", () => mail.lose());
    started.unref();
    return started;
  };
  return mail;
}

let thread: CompilingThread | undefined;

/** One for all machines of this process. */
export function compilingThread(): CompilingThread {
  thread ??= startThread();
  return thread;
}
