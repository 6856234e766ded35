import type { BootFile } from "../../src/machine/boot/boot-file.ts";
import type {
  ByteInput,
  Drive,
  ExitReason,
  NetworkOptions,
  VirtioBus,
  VirtualMachine,
  VirtualMachineFactory,
  VirtualMachineOptions,
} from "../../src/machine/virtual-machine-interface.ts";
import { createMachine } from "../../src/node/create-machine.ts";
import { type CpioEntry, writeCpio } from "../../src/node/images/cpio.ts";
import { KERNEL_DECOMPRESSORS } from "../../src/node/kernel-decompressors.ts";
import type { Share } from "../../src/node/share/share.ts";
import { GuestConsole, typeLine } from "./guest-console.ts";
import { type GuestKernel, guestFiles } from "./guest-images.ts";

const MEBIBYTE = 2 ** 20;

/** ELVISOR_ENGINE=translator boots all guests of the tests with the other engine. */
const ENGINE = process.env["ELVISOR_ENGINE"] === "translator" ? "translator" : "interpreter";

/** Seconds in which any kernel must have reached its shell, on a busy host. */
export const BOOT_LIMIT = 120;

/** Seconds in which a command in the guest must be done, unless the test says otherwise. */
const COMMAND_LIMIT = 30;

export interface GuestOptions {
  readonly kernel: GuestKernel;
  /** Instead of those of `kernel`. */
  readonly boot?: { readonly kernel: BootFile; readonly initrd: BootFile };
  /** Which machine to boot on; ours unless given. */
  readonly factory?: VirtualMachineFactory;
  readonly cpus?: number;
  readonly numaDomains?: number;
  readonly memoryMebibytes?: number;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
  readonly deterministic?: boolean;
  readonly append?: string;
  readonly deviceTree?: Uint8Array;
  readonly acpi?: "on" | "off" | "auto";
  readonly aliases?: VirtualMachineOptions["aliases"];
  readonly identity?: VirtualMachineOptions["identity"];
  /** Put into memory. */
  readonly files?: VirtualMachineOptions["files"];
  /** Started first; it finds the kernel in fw_cfg. */
  readonly firmware?: BootFile;
  readonly drives?: readonly Drive[];
  readonly virtioBus?: VirtioBus;
  readonly balloon?: VirtualMachineOptions["balloon"];
  readonly shares?: readonly Share[];
  readonly net?: NetworkOptions;
  /** Another hypervisor's interface to answer. */
  readonly compatibility?: VirtualMachineOptions["compatibility"];
  readonly onGuestLog?: VirtualMachineOptions["onGuestLog"];
  readonly time?: VirtualMachineOptions["time"];
  readonly onReboot?: VirtualMachineOptions["onReboot"];
  readonly counterFrequency?: VirtualMachineOptions["counterFrequency"];
  /** A state stream to go on from. */
  readonly restore?: VirtualMachineOptions["restore"];
  /** Added to the initial file system. */
  readonly initialFiles?: readonly CpioEntry[];
  /** Unless given, the one of this run of the tests. */
  readonly engine?: "interpreter" | "translator";
}

/** A guest that runs: the default initial file system on a Debian kernel. */
export class Guest {
  readonly machine: VirtualMachine;
  /** The kernel's console. */
  readonly serial: GuestConsole;
  /** Where the shell is: the virtio console, or the kernel's. */
  readonly console: GuestConsole;
  readonly input: ByteInput;
  /** Why the machine ended. */
  readonly ended: Promise<ExitReason>;
  #commands = 0;

  constructor(machine: VirtualMachine, serial: GuestConsole, console: GuestConsole) {
    this.machine = machine;
    this.serial = serial;
    this.console = machine.console === undefined ? serial : console;
    this.input = machine.console ?? machine.serial;
    this.ended = machine.run();
  }

  /** Waits for the prompt of the shell. */
  async prompt(seconds = BOOT_LIMIT): Promise<void> {
    await this.#orEnd(this.console.expect(/~ # /, seconds));
  }

  /** From the prompt, lets {@link run} be used: a shell without echo, prompt and line editing takes over. */
  async enterCommandMode(): Promise<void> {
    await typeLine(this.input, 'stty -echo; echo "o"k; exec sh /proc/self/fd/0');
    await this.#orEnd(this.console.expect(/^ok\r?\n/m, COMMAND_LIMIT));
    await this.run("true");
  }

  /** Runs a command in the guest and returns what it wrote, without carriage returns, and its status. */
  async run(command: string, seconds = COMMAND_LIMIT): Promise<{ output: string; status: number }> {
    const number = this.#commands++;
    await typeLine(this.input, `echo "<${number}:"; { ${command}\n} </dev/null; echo ":${number}=$?>"`);
    const start = new RegExp(`^<${number}:\r?\n`, "m");
    const end = new RegExp(`:${number}=(\\d+)>\r?\n`);
    await this.#orEnd(this.console.expect(start, seconds));
    const from = this.console.text.length - this.console.rest.length;
    const match = await this.#orEnd(this.console.expect(end, seconds));
    const until = this.console.text.length - this.console.rest.length - match[0].length;
    const output = this.console.text.slice(from, until).replaceAll("\r", "");
    return { output, status: Number(match[1]) };
  }

  /** What a command wrote; fails where its status is not 0. */
  async output(command: string, seconds?: number): Promise<string> {
    const { output, status } = await this.run(command, seconds);
    if (status !== 0) throw new Error(`"${command}" ended with ${status}: ${output}`);
    return output;
  }

  /** Boots to the shell, ready for {@link run}. */
  async ready(seconds?: number): Promise<this> {
    await this.prompt(seconds);
    await this.enterCommandMode();
    return this;
  }

  /** Switches off from inside. */
  async powerOff(): Promise<ExitReason> {
    await typeLine(this.input, "poweroff -f");
    return await this.ended;
  }

  async stop(): Promise<void> {
    this.machine.stop();
    await this.ended.catch(() => {});
  }

  async #orEnd<Result>(wait: Promise<Result>): Promise<Result> {
    const end = this.ended.then((reason) => {
      throw new Error(
        `the machine ended (${JSON.stringify(reason)}) after: ${this.console.text.slice(-2000)}`,
      );
    });
    return await Promise.race([wait, end]);
  }
}

/** Boots a kernel with the default initial file system. */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const { factory = createMachine, cpus = 1, memoryMebibytes = 512, append } = options;
  const files = options.boot ?? (await guestFiles(options.kernel, { network: options.net !== undefined }));
  const serial = new GuestConsole();
  const terminal = new GuestConsole();
  const machineOptions: VirtualMachineOptions = {
    ...files,
    ...(options.initialFiles !== undefined && { initrd: withFiles(files.initrd, options.initialFiles) }),
    memoryBytes: memoryMebibytes * MEBIBYTE,
    cpus,
    numaDomains: options.numaDomains,
    commandLine: `console=ttyAMA0${append === undefined ? "" : ` ${append}`}`,
    deviceTree:
      options.deviceTree === undefined ? undefined : { name: "the given tree", bytes: options.deviceTree },
    decompressors: KERNEL_DECOMPRESSORS,
    acpi: options.acpi,
    aliases: options.aliases,
    identity: options.identity,
    files: options.files,
    firmware: options.firmware,
    secure: options.secure ?? false,
    virtualization: options.virtualization ?? false,
    deterministic: options.deterministic ?? false,
    engine: options.engine ?? ENGINE,
    ...(options.net !== undefined && { net: options.net }),
    ...(options.drives !== undefined && { drives: options.drives }),
    virtioBus: options.virtioBus,
    compatibility: options.compatibility,
    onGuestLog: options.onGuestLog,
    time: options.time,
    onReboot: options.onReboot ?? "restart",
    restore: options.restore,
    counterFrequency: options.counterFrequency,
    balloon: options.balloon,
    ...(options.shares !== undefined && { shares: options.shares }),
    serial: serial.output,
    console: { output: terminal.output, columns: 80, rows: 24 },
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  };
  return new Guest(await factory(machineOptions), serial, terminal);
}

/** The kernel unpacks one archive after the other. */
function withFiles(initrd: BootFile, entries: readonly CpioEntry[]): BootFile {
  return { ...initrd, bytes: Buffer.concat([initrd.bytes, writeCpio(entries)]) };
}

/**
 * Boots, lets `body` use the guest at its shell, and ends the machine whatever happens. `seconds` is the patience with
 * the boot.
 */
export async function withGuest<Result>(
  options: GuestOptions,
  body: (guest: Guest) => Promise<Result>,
  seconds?: number,
): Promise<Result> {
  const guest = await startGuest(options);
  try {
    await guest.ready(seconds);
    return await body(guest);
  } finally {
    await guest.stop();
  }
}
