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

/** A worker thread. It starts at once, so that it is there when something is hot, and keeps no process alive. */
function startThread(): CompilingThread {
  const worker = new Worker(workerAddress(), { name: "compiler" });
  const mail = new CompilingMail((request) => worker.postMessage(request));
  worker.on("message", (reply: CompilingReply) => mail.receive(reply));
  worker.on("error", () => mail.lose());
  worker.on("exit", () => mail.lose());
  worker.unref();
  return mail;
}

let thread: CompilingThread | undefined;

/** One for all machines of this process. */
export function compilingThread(): CompilingThread {
  thread ??= startThread();
  return thread;
}
