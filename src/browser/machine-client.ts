import { assertNever } from "../base/errors.ts";
import type { ExitReason } from "../machine/virtual-machine-interface.ts";
import type { PageMessage, WorkerMessage } from "./messages.ts";
import { type MachineState, SpeedGauge } from "./state.ts";

/** What a machine tells the page. */
export interface MachineListener {
  /** Resolves when the bytes have been shown. */
  onOutput(bytes: Uint8Array): Promise<void>;
  onState(state: MachineState): void;
}

/** A machine in a worker of its own, from its start to its end. */
export class MachineClient {
  readonly #worker: Worker;
  readonly #listener: MachineListener;
  readonly #gauge = new SpeedGauge();

  constructor(
    workerAddress: string,
    guestAddress: string,
    size: { readonly columns: number; readonly rows: number },
    listener: MachineListener,
  ) {
    this.#listener = listener;
    this.#worker = new Worker(workerAddress, { type: "module", name: "machine" });
    this.#worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#receive(data);
    this.#worker.onerror = ({ message }) => {
      const sentence = `The machine's worker failed: ${message || "its script cannot be loaded"}.`;
      this.#end({ kind: "failed", sentence });
    };
    this.#say({ kind: "start", guestAddress, ...size });
  }

  send(bytes: Uint8Array): void {
    this.#say({ kind: "input", bytes });
  }

  resize(columns: number, rows: number): void {
    this.#say({ kind: "resize", columns, rows });
  }

  #say(message: PageMessage): void {
    this.#worker.postMessage(message);
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case "loading":
        this.#listener.onState(message);
        break;
      case "started":
        this.#listener.onState({ kind: "running", speed: undefined });
        break;
      case "output": {
        const count = message.bytes.length;
        void this.#listener.onOutput(message.bytes).then(() => this.#say({ kind: "shown", count }));
        break;
      }
      case "progress": {
        const speed = this.#gauge.next(message.milliseconds, message.instructions);
        this.#listener.onState({ kind: "running", speed });
        break;
      }
      case "ended":
        this.#end(message.reason);
        break;
      default:
        assertNever(message, "a message from the worker");
    }
  }

  /** The worker goes, and its memory with it. */
  #end(reason: ExitReason): void {
    this.#worker.terminate();
    this.#listener.onState({ kind: "ended", reason });
  }
}
