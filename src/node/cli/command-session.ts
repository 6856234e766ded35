import type { ByteOutput, VirtualMachine } from "../../machine/virtual-machine-interface.ts";
import { COMMAND_PORTS, INPUT_GREETING } from "../images/guest-scripts.ts";
import { Cleanups } from "./cleanups.ts";
import { type Host, writeFully } from "./host.ts";
import { type PanicFacts, PanicWatch } from "./panic.ts";
import type { StopReason } from "./stop-reason.ts";

/** Passes one command's input, output and errors through, byte for byte, and learns its exit status. */
export class CommandSession {
  readonly serial: ByteOutput;
  readonly console = undefined;
  readonly ports: readonly { readonly name: string; readonly output: ByteOutput }[];
  readonly #host: Host;
  readonly #panic: PanicWatch;
  readonly #cleanups = new Cleanups();
  #statusText = "";

  constructor(host: Host, stop: (reason: StopReason) => void) {
    this.#host = host;
    this.#panic = new PanicWatch(() => stop("panic"));
    this.serial = (bytes) => this.#panic.watch(bytes);
    this.ports = [
      { name: COMMAND_PORTS.input, output: () => {} },
      { name: COMMAND_PORTS.output, output: (bytes) => writeFully(host.stdout, bytes) },
      { name: COMMAND_PORTS.errors, output: (bytes) => writeFully(host.stderr, bytes) },
      {
        name: COMMAND_PORTS.status,
        output: (bytes) => {
          this.#statusText += Buffer.from(bytes).toString("latin1");
        },
      },
    ];
    this.#cleanups.listen(host.stdout, "error", () => stop("closed-output"));
  }

  /** Begins to pass on standard input. */
  attach(machine: VirtualMachine): void {
    const { stdin } = this.#host;
    const port = machine.ports.get(COMMAND_PORTS.input)!;
    let sending = port.send(Buffer.from(INPUT_GREETING));
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      sending = sending.then(() => port.end());
    };
    this.#cleanups.listen(stdin, "data", (bytes: Uint8Array) => {
      stdin.pause();
      sending = sending.then(async () => {
        await port.send(bytes);
        stdin.resume();
      });
    });
    this.#cleanups.listen(stdin, "end", end);
    this.#cleanups.listen(stdin, "error", end);
    if (stdin.readableEnded || stdin.destroyed) end();
    else stdin.resume();
  }

  detach(): void {
    this.#host.stdin.pause();
    this.#cleanups.run();
  }

  /** The command's exit status, undefined while it is not known. */
  get status(): number | undefined {
    return /^\d+\n/.test(this.#statusText) ? Number.parseInt(this.#statusText, 10) : undefined;
  }

  /** What went wrong, where the command did not end by itself. */
  report(stopped: StopReason | undefined, facts: PanicFacts): string | undefined {
    if (stopped === "panic") return this.#panic.report(facts);
    if (stopped !== undefined || this.status !== undefined) return undefined;
    return `The guest ended before the command did. It last said:\n${this.#panic.lastLines().join("\n")}`;
  }
}
