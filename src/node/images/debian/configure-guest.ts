import { UserError } from "../../../base/errors.ts";
import type { BootFile } from "../../../machine/boot/boot-file.ts";
import type { Drive, VirtualMachineFactory } from "../../../machine/virtual-machine-interface.ts";
import { KERNEL_DECOMPRESSORS } from "../../kernel-decompressors.ts";
import type { Progress } from "../download.ts";
import { CONFIGURE_PORTS } from "./configure-script.ts";

export interface ConfigureGuest {
  readonly createMachine: VirtualMachineFactory;
  readonly kernel: BootFile;
  readonly initrd: BootFile;
  readonly drive: Drive;
  /** How many packages will be configured. */
  readonly packages: number;
  /** What is run afterwards. */
  readonly commands: readonly GuestCommand[];
  /** What the work is called, for the progress display. */
  readonly label: string;
}

/** A command of a recipe. */
export interface GuestCommand {
  readonly text: string;
  /** Who wants it, for messages. */
  readonly where: string;
}

const MEMORY_BYTES = 1024 * 2 ** 20;
/** Of what the scripts said, so much is kept for a message. */
const KEPT_CHARACTERS = 16_384;
const SHOWN_LINES = 20;

/** Boots the unpacked system on `drive` once, lets it configure itself, and waits until it is switched off. */
export async function configureInGuest(guest: ConfigureGuest, progress: Progress): Promise<void> {
  let serial = "";
  let log = "";
  let status: number | undefined;
  let command: GuestCommand | undefined;
  const configured = new Set<string>();
  const keep = (text: string, bytes: Uint8Array): string =>
    (text + Buffer.from(bytes).toString("latin1")).slice(-KEPT_CHARACTERS);
  const lines = new LineSplitter((line) => {
    const end = /^elvisor: (\d+)$/.exec(line);
    if (end !== null) status = Number(end[1]);
    const next = /^elvisor-command: (\d+)$/.exec(line);
    if (next !== null) {
      if (command === undefined) progress.stop();
      log = "";
      command = guest.commands[Number(next[1]) - 1];
      if (command !== undefined) progress.say(`${command.where}: ${firstLine(command.text)}`);
    }
    const done = /^status: (\S+): installed$/.exec(line)?.[1];
    if (done === undefined || configured.has(done)) return;
    configured.add(done);
    progress.advance(1);
  });
  const machine = await guest.createMachine({
    memoryBytes: MEMORY_BYTES,
    cpus: 1,
    kernel: guest.kernel,
    initrd: guest.initrd,
    commandLine: "console=ttyAMA0 quiet panic=-1",
    decompressors: KERNEL_DECOMPRESSORS,
    // Nobody relies on this disk before it is complete.
    drives: [{ ...guest.drive, flush: async () => {} }],
    serial: (bytes) => {
      serial = keep(serial, bytes);
    },
    ports: [
      { name: CONFIGURE_PORTS.status, output: (bytes) => lines.push(bytes) },
      {
        name: CONFIGURE_PORTS.log,
        output: (bytes) => {
          log = keep(log, bytes);
        },
      },
    ],
    onReboot: "end",
    ...(guest.commands.length > 0 && { net: {} }),
  });
  progress.start(guest.label, guest.packages, 0, "packages");
  try {
    const reason = await machine.run();
    if (status === 0) return;
    const said = lastLines(log === "" ? serial : log);
    const why = reason.kind === "failed" ? reason.sentence : `its last words were:\n${said}`;
    if (command !== undefined && status !== undefined) {
      throw new UserError(
        `${command.where}: The command "${firstLine(command.text)}" ended with status ${status}; ${why}`,
      );
    }
    throw new UserError(`${guest.label} did not succeed in the guest; ${why}`);
  } finally {
    progress.stop();
  }
}

function firstLine(text: string): string {
  const [first = "", ...more] = text.trim().split("\n");
  return more.length === 0 ? first : `${first} ...`;
}

function lastLines(text: string): string {
  return text.replaceAll("\r", "").trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
}

class LineSplitter {
  readonly #take: (line: string) => void;
  #rest = "";

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(bytes: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(bytes).toString("latin1")).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line);
  }
}
