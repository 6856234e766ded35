import type { ReadStream } from "node:tty";
import { CommandNotStarted, signalNumber } from "../agent/command.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import { Cleanups } from "./cleanups.ts";
import { type Host, writeFully } from "./host.ts";
import { enterRawMode, TerminalModes } from "./terminal.ts";

/** The options of `elvisor exec`. */
export interface ExecOptions {
  /** Give the command a terminal. */
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
}

/** Signals to this process that the command gets instead. */
const PASSED_ON = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** `elvisor exec`: runs a command in a running machine; the result is its status. */
export async function execCommand(
  name: string,
  words: readonly string[],
  options: ExecOptions,
  host: Host,
): Promise<number> {
  const { stdin, stdout, stderr } = host;
  const machine = RemoteMachine.find(new Registry(runtimeDirectory(host.environment)), name);
  const terminal =
    options.tty === true ? { columns: stdout.columns || 80, rows: stdout.rows || 24 } : undefined;
  const env = Object.fromEntries((options.env ?? []).map(splitVariable));
  if (terminal !== undefined) env["TERM"] ??= host.environment["TERM"] || "vt100";
  const command = machine.exec(words, { cwd: options.workdir, env, terminal });
  const cleanups = new Cleanups();
  const modes = new TerminalModes();
  try {
    if (terminal !== undefined && stdin.isTTY) {
      cleanups.add(enterRawMode(stdin as ReadStream, (text) => stdout.isTTY && stdout.write(text), modes));
    }
    cleanups.listen(stdout, "resize", () => void command.resize(stdout.columns || 80, stdout.rows || 24));
    for (const signal of PASSED_ON)
      cleanups.listen(process, signal, () => void command.kill(signal).catch(() => {}));
    cleanups.listen(stdin, "data", (bytes: Uint8Array) => {
      if (!command.stdin.write(bytes)) {
        stdin.pause();
        command.stdin.once("drain", () => stdin.resume());
      }
    });
    const ended = (): void => void command.stdin.end();
    cleanups.listen(stdin, "end", ended);
    cleanups.listen(stdin, "error", ended);
    if (stdin.readableEnded || stdin.destroyed) ended();
    else stdin.resume();
    const pass = async (from: typeof command.stdout, to: Host["stdout"] | Host["stderr"]): Promise<void> => {
      for await (const bytes of from as AsyncIterable<Uint8Array>) {
        modes.watch(bytes);
        await writeFully(to, bytes);
      }
    };
    // A reader that has gone away ends the command, as a pipe would.
    cleanups.listen(stdout, "error", () => void command.kill("SIGPIPE").catch(() => {}));
    await Promise.all([pass(command.stdout, stdout), pass(command.stderr, stderr)]);
    const exit = await command.exited;
    return exit.code ?? 128 + signalNumber(exit.signal);
  } catch (error) {
    if (!(error instanceof CommandNotStarted)) throw error;
    stderr.write(`elvisor: ${error.message}\n`);
    return error.exitStatus;
  } finally {
    stdin.pause();
    cleanups.run();
  }
}

function splitVariable(text: string): [string, string] {
  const at = text.indexOf("=");
  return at < 0 ? [text, process.env[text] ?? ""] : [text.slice(0, at), text.slice(at + 1)];
}
