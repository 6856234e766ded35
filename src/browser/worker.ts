/** The worker in which a machine runs. {@link PageMessage} and {@link WorkerMessage} say what it speaks. */
import { assertNever, UserError } from "../base/errors.ts";
import { createVirtualMachine } from "../machine/virtual-machine.ts";
import type { ExitReason, VirtualMachine } from "../machine/virtual-machine-interface.ts";
import { BrowserTime } from "./browser-time.ts";
import { compilingThread } from "./compiling-thread.ts";
import { loadGuest } from "./guest-files.ts";
import type { PageMessage, WorkerMessage } from "./messages.ts";
import { PacedOutput } from "./paced-output.ts";

/** Milliseconds between two "progress" messages, of two kinds. */
const MACHINE_PROGRESS = 500;
const LOADING_PROGRESS = 50;

/** What is used of a worker's global scope; the compiler has the page's in mind. */
interface WorkerScope {
  onmessage: ((event: { readonly data: PageMessage }) => void) | null;
  postMessage(message: WorkerMessage, transfer: readonly ArrayBuffer[]): void;
}
const scope = globalThis as unknown as WorkerScope;

const output = new PacedOutput((bytes) => {
  const own = new Uint8Array(bytes);
  say({ kind: "output", bytes: own }, [own.buffer]);
});
let machine: VirtualMachine | undefined;
let size = { columns: 80, rows: 24 };

scope.onmessage = ({ data: message }) => {
  switch (message.kind) {
    case "start":
      size = message;
      void run(message.guestAddress)
        .catch(describeFailure)
        .then((reason) => say({ kind: "ended", reason }));
      break;
    case "input":
      void machine?.console?.send(message.bytes);
      break;
    case "resize":
      size = message;
      machine?.console?.resize(size.columns, size.rows);
      break;
    case "shown":
      output.shown(message.count);
      break;
    default:
      assertNever(message, "a message from the page");
  }
};

function say(message: WorkerMessage, transfer: readonly ArrayBuffer[] = []): void {
  scope.postMessage(message, transfer);
}

async function run(guestAddress: string): Promise<ExitReason> {
  const host = new BrowserTime();
  let lastReport = Number.NEGATIVE_INFINITY;
  const guest = await loadGuest(guestAddress, (file, received) => {
    const now = host.now();
    if (received > 0 && received < file.size && now - lastReport < LOADING_PROGRESS) return;
    lastReport = now;
    say({ kind: "loading", name: file.name, received, size: file.size });
  });
  const show = (bytes: Uint8Array): void | Promise<void> => output.write(bytes);
  const { memoryBytes, cpus, engine, kernel, initrd, commandLine } = guest;
  machine = await createVirtualMachine(
    {
      ...{ memoryBytes, cpus, engine, kernel, initrd, commandLine },
      serial: show,
      console: { output: show, ...size },
      randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    },
    host,
    undefined,
    compilingThread,
  );
  say({ kind: "started" });
  const started = host.now();
  const report = setInterval(() => {
    const { instructions } = machine!.stats();
    say({ kind: "progress", milliseconds: host.now() - started, instructions: Number(instructions) });
  }, MACHINE_PROGRESS);
  try {
    return await machine.run();
  } finally {
    clearInterval(report);
    host.close();
  }
}

function describeFailure(error: unknown): ExitReason {
  if (error instanceof UserError) return { kind: "failed", sentence: error.message };
  const report = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    kind: "failed",
    sentence: `This is a defect of elvisor; please report it with this text: ${report}`,
  };
}
