import {
  CompilingMail,
  type CompilingReply,
  type CompilingThread,
} from "../engine/translator/background-compiler.ts";

const WORKER_PATH = "compiling-worker.js";

/** A worker of the machine's worker. */
export function compilingThread(): CompilingThread {
  const worker = new Worker(WORKER_PATH, { type: "module", name: "compiler" });
  const mail = new CompilingMail((request) => worker.postMessage(request));
  worker.onmessage = ({ data }: MessageEvent<CompilingReply>) => mail.receive(data);
  worker.onerror = () => mail.lose();
  return mail;
}
