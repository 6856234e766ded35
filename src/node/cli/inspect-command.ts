import type { ReadStream } from "node:tty";
import type { GuestIntrospection } from "../../machine/virtual-machine-interface.ts";
import { RemoteMachine } from "../machines/control-client.ts";
import { Registry, runtimeDirectory } from "../machines/registry.ts";
import { Cleanups } from "./cleanups.ts";
import type { Host } from "./host.ts";
import { writeLine } from "./protect-command.ts";
import { table } from "./table.ts";
import { enterRawMode, onEndingSignal, TerminalModes } from "./terminal.ts";

export interface InspectOptions {
  readonly json?: boolean;
  readonly once?: boolean;
  /** Seconds between two looks. */
  readonly interval: number;
}

/** `elvisor inspect`: a guest from outside, once or as a picture that follows it. */
export async function inspectCommand(name: string, options: InspectOptions, host: Host): Promise<void> {
  const machine = RemoteMachine.find(new Registry(runtimeDirectory(host.environment)), name);
  if (options.json === true) {
    host.stdout.write(`${JSON.stringify(await machine.inspect(), null, 2)}\n`);
  } else if (options.once === true || host.stdout.isTTY !== true) {
    host.stdout.write(`${picture(name, await machine.inspect()).join("\n")}\n`);
  } else await follow(machine, name, options.interval, host);
}

/** What a terminal shows of an inspection, line by line. */
export function picture(name: string, inspection: ReturnType<GuestIntrospection["inspect"]>): string[] {
  const { kernel, elements, processes, modules, addressSpaces, protection } = inspection;
  const used = new Map(addressSpaces.map(({ tables, elements: users }) => [tables, users]));
  return [
    `${name}: ${kernel.banner}`,
    `Kernel at ${kernel.base}, ${kernel.symbols} symbols`,
    ...elements.map(
      ({ index, level, pc, symbol }) =>
        `CPU ${index}: EL${level}, ${pc}${symbol === undefined ? "" : ` (${symbol})`}`,
    ),
    ...protection.trees.map(
      ({ handle, owner, pages }) => `Protected by tree ${handle} of the ${owner}: ${pages} pages`,
    ),
    ...protection.writes.slice(-SHOWN_WRITES).map(writeLine),
    "",
    ...table(
      ["PID", "PARENT", "THREADS", "TABLES", "CPU", "NAME"],
      processes.map((process) => [
        String(process.pid),
        String(process.parent),
        String(process.threads),
        process.tables ?? "",
        (used.get(process.tables ?? "") ?? []).join(","),
        process.kernelThread ? `[${process.name}]` : process.name,
      ]),
    ),
    "",
    ...table(
      ["MODULE", "CODE", "SIZE"],
      modules.map((module) => [module.name, module.base, String(module.size)]),
    ),
  ].map(printable);
}

/** Writes to protected pages that are shown; elvisor protect has them all. */
const SHOWN_WRITES = 5;
const CLEAR = "\x1b[H\x1b[J";
const [OTHER_SCREEN, HIDE_CURSOR] = ["\x1b[?1049h", "\x1b[?25l"];
const CONTROL_C = 3;

/** Draws again every so many seconds, until "q" or Ctrl-C. Programs come first: kernel threads are left out. */
async function follow(machine: RemoteMachine, name: string, interval: number, host: Host): Promise<void> {
  const { stdin, stdout } = host;
  const cleanups = new Cleanups();
  const modes = new TerminalModes();
  const write = (text: string): void => {
    modes.watch(Buffer.from(text));
    stdout.write(text);
  };
  let ended = false;
  let wake = (): void => {};
  const end = (): void => {
    ended = true;
    wake();
  };
  cleanups.add(onEndingSignal(end));
  if (stdin.isTTY) {
    cleanups.add(enterRawMode(stdin as ReadStream, (text) => stdout.write(text), modes));
    cleanups.listen(stdin, "data", (keys: Uint8Array) => {
      if (keys.includes(CONTROL_C) || keys.includes("q".charCodeAt(0))) end();
    });
    stdin.resume();
    cleanups.add(() => stdin.pause());
  }
  cleanups.listen(stdout, "resize", () => wake());
  try {
    write(`${OTHER_SCREEN}${HIDE_CURSOR}`);
    while (!ended) {
      const inspection = await machine.inspect();
      const processes = inspection.processes.filter(({ kernelThread }) => !kernelThread);
      const lines = picture(name, { ...inspection, processes });
      const [rows, columns] = [stdout.rows ?? 24, stdout.columns ?? 80];
      const hidden = inspection.processes.length - processes.length;
      const shown = lines.slice(0, rows - 2).map((line) => line.slice(0, columns));
      write(
        `${CLEAR}${shown.join("\r\n")}\r\n\r\n${hidden} kernel threads; q ends this view`.slice(0, 65_536),
      );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, interval * 1000);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (ended) wake();
      });
    }
  } finally {
    cleanups.run();
  }
}

/** Names come from the guest; a terminal must not obey them. */
function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the terminal
  return line.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
