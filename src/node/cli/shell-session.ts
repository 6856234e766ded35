import type { ReadStream } from "node:tty";
import type { ByteInput, ByteOutput, VirtualMachine } from "../../machine/virtual-machine-interface.ts";
import { Cleanups } from "./cleanups.ts";
import { ESCAPE_HELP, EscapeKeys } from "./escape-keys.ts";
import { type Host, writeFully } from "./host.ts";
import { type PanicFacts, PanicWatch } from "./panic.ts";
import type { StopReason } from "./stop-reason.ts";
import { enterRawMode, TerminalModes } from "./terminal.ts";

/** Bytes typed ahead of the guest at which reading pauses. Until then Ctrl-A works even if the guest hangs. */
const MOST_TYPED_AHEAD = 16 * 2 ** 20;

const DEFAULT_SIZE = { columns: 80, rows: 24 } as const;

/** Lets a person, or a pipe, use the guest's console: everything it says is shown, everything typed goes in. */
export class ShellSession {
  readonly serial: ByteOutput;
  readonly console: { readonly output: ByteOutput; readonly columns: number; readonly rows: number };
  readonly ports = undefined;
  readonly #host: Host;
  readonly #inputFrom: "virtio" | "serial";
  readonly #modes = new TerminalModes();
  readonly #panic: PanicWatch;
  readonly #cleanups = new Cleanups();
  #typedAhead = 0;
  #sending: Promise<void> = Promise.resolve();

  constructor(host: Host, inputFrom: "virtio" | "serial", stop: (reason: StopReason) => void) {
    this.#host = host;
    this.#inputFrom = inputFrom;
    this.#panic = new PanicWatch(() => stop("panic"));
    const show: ByteOutput = (bytes) => {
      this.#modes.watch(bytes);
      this.#panic.watch(bytes);
      return writeFully(host.stdout, bytes);
    };
    this.serial = show;
    this.console = { output: show, ...terminalSize(host) };
    this.#cleanups.listen(host.stdout, "error", () => stop("closed-output"));
  }

  /** Begins to pass on what is typed. */
  attach(machine: VirtualMachine, stop: (reason: StopReason) => void): void {
    const { stdin, stdout } = this.#host;
    const input: ByteInput = (this.#inputFrom === "virtio" ? machine.console : undefined) ?? machine.serial;
    if (stdin.isTTY) {
      this.#cleanups.add(
        enterRawMode(stdin as ReadStream, (text) => stdout.isTTY && stdout.write(text), this.#modes),
      );
      const keys = new EscapeKeys();
      this.#cleanups.listen(stdin, "data", (typed: Uint8Array) => {
        for (const part of keys.split(typed)) {
          switch (part.kind) {
            case "bytes":
              this.#send(input, part.bytes);
              break;
            case "quit":
              stop("quit");
              break;
            case "help":
              this.#say(ESCAPE_HELP);
              break;
            case "statistics":
              this.#say(describeStatistics(machine));
              break;
          }
        }
      });
    } else {
      this.#cleanups.listen(stdin, "data", (bytes: Uint8Array) => this.#send(input, bytes));
    }
    this.#cleanups.listen(stdin, "error", () => {});
    this.#cleanups.listen(stdout, "resize", () => {
      const { columns, rows } = terminalSize(this.#host);
      machine.console?.resize(columns, rows);
    });
    stdin.resume();
  }

  /** Gives the terminal back. */
  detach(): void {
    this.#host.stdin.pause();
    this.#cleanups.run();
  }

  /** What to say at the end, where something went wrong. */
  report(stopped: StopReason | undefined, facts: PanicFacts): string | undefined {
    if (stopped !== "panic") return undefined;
    return this.#host.stdout.isTTY ? this.#panic.shortReport(facts) : this.#panic.report(facts);
  }

  #send(input: ByteInput, bytes: Uint8Array): void {
    const { stdin } = this.#host;
    this.#typedAhead += bytes.length;
    if (this.#typedAhead > MOST_TYPED_AHEAD) stdin.pause();
    this.#sending = this.#sending.then(async () => {
      await input.send(bytes);
      this.#typedAhead -= bytes.length;
      if (this.#typedAhead <= MOST_TYPED_AHEAD && stdin.isPaused()) stdin.resume();
    });
  }

  #say(text: string): void {
    const lines = text.split("\n").map((line) => `${line}\r\n`);
    this.#host.stderr.write(`\r\n${lines.join("")}`);
  }
}

function terminalSize({ stdout }: Host): { columns: number; rows: number } {
  return { columns: stdout.columns || DEFAULT_SIZE.columns, rows: stdout.rows || DEFAULT_SIZE.rows };
}

/** The machine's figures, a line each. */
function describeStatistics(machine: VirtualMachine): string {
  const entries = Object.entries(machine.stats());
  const width = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}
