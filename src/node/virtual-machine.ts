import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { Duplex } from "node:stream";
import { UserError } from "../base/errors.ts";
import type { Compatibility } from "../hypervisor/guest-services.ts";
import type { KernelSymbol } from "../introspection/kernel/kallsyms.ts";
import type {
  ProtectionDocument,
  ProtectionHandlers,
  ProtectionRequest,
} from "../introspection/protection/protection-document.ts";
import type { ScanDocument, ScanRequest } from "../introspection/scan/scan-document.ts";
import type {
  ExitReason,
  GuestIntrospection,
  GuestPace,
  GuestTools,
  VirtualMachine as Machine,
  MachineStatistics,
  NetworkOptions,
  VirtioBus,
  VirtualMachineFactory,
} from "../machine/virtual-machine-interface.ts";
import { Command, type CommandOptions } from "./agent/command.ts";
import { READY_PORT } from "./agent/protocol.ts";
import { openOne, type StreamOpener, streamOpener } from "./agent/socket-stream.ts";
import { type GuestChoice, prepareGuest } from "./cli/guest.ts";
import { createMachine } from "./create-machine.ts";
import { type DriveFile, openDrive } from "./disks/drive-file.ts";
import { parseDrive } from "./disks/drive-option.ts";
import { GuestFiles } from "./guest-files.ts";
import type { PullSettings } from "./images/pull.ts";
import { KERNEL_DECOMPRESSORS } from "./kernel-decompressors.ts";
import { openShare, parseShare, type Share } from "./share/share.ts";
import { readSnapshot, writeSnapshot } from "./snapshots/snapshot-file.ts";
import { userSettings } from "./user-settings.ts";

/** What a machine is made of. Everything has a default: Debian's kernel with a shell. */
export interface CreateOptions {
  /** Such as "debian:12" or "kernel:6.12-cloud"; pulled where it is missing. */
  readonly image?: string | undefined;
  /** Keep what a system writes to its disk under this name; without, it is forgotten. */
  readonly name?: string | undefined;
  readonly memoryBytes?: number | undefined;
  readonly cpus?: number | undefined;
  /** Further disks, as `--drive` has them. */
  readonly drives?: readonly string[] | undefined;
  /** Directories of the host, as `--share` has them, mounted when the guest starts. */
  readonly shares?: readonly string[] | undefined;
  /** Where virtio devices sit for which nothing else is said; "mmio" unless given. */
  readonly virtioBus?: VirtioBus | undefined;
  /** The user-mode network; without, the guest has no network card. */
  readonly net?: NetworkOptions | undefined;
  /** Another hypervisor's guest interface, answered besides our own: "vmware" for open-vm-tools. */
  readonly compatibility?: Compatibility | undefined;
  /** A snapshot's file, from which the machine goes on instead of booting; all else as when it was taken. */
  readonly restore?: string | undefined;
  /** The size of the console's terminal. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
  /** Where images come from and go to; this user's settings unless given. */
  readonly settings?: PullSettings | undefined;
  /** For tests: what puts the machine together. */
  readonly createMachine?: VirtualMachineFactory | undefined;
}

/** What {@link VirtualMachine.events} tells. */
export interface MachineEvents {
  /** The agent answers: commands can be run. */
  ready: [];
  /** The guest wrote to its serial port. */
  serial: [Uint8Array];
  /** The machine has ended. */
  ended: [ExitReason];
}

/** What is given up when the machine ends. */
interface HostResource {
  close(): void | Promise<void>;
}

const DEFAULT_MEMORY = 512 * 2 ** 20;
const DEFAULT_TERMINAL = { columns: 80, rows: 24 } as const;
/** Bytes that a console keeps that nobody reads. */
const MOST_UNREAD = 65_536;
/** Seconds that {@link VirtualMachine.ready} waits; systemd takes its time on a slow host. */
const READY_LIMIT = 600;

/** A terminal of the guest: what it writes is read, what is written is typed. */
export class GuestConsole extends Duplex {
  readonly #machine: () => Machine;
  #waiting: (() => void) | undefined;

  constructor(machine: () => Machine) {
    super({ allowHalfOpen: true });
    this.#machine = machine;
  }

  /** Takes what the guest wrote. A console that nobody reads keeps a part, and does not stop the guest. */
  show(bytes: Uint8Array): void | Promise<void> {
    const unread = this.readableFlowing === null && this.listenerCount("readable") === 0;
    if (this.destroyed || (unread && this.readableLength > MOST_UNREAD)) return undefined;
    if (this.push(bytes) || unread) return undefined;
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Tells the guest that the terminal has another size. */
  resize(columns: number, rows: number): void {
    this.#machine().console?.resize(columns, rows);
  }

  override _read(): void {
    this.#waiting?.();
    this.#waiting = undefined;
  }

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    const machine = this.#machine();
    void (machine.console ?? machine.serial).send(bytes).then(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read();
    done(error);
  }
}

/** A machine that runs, from {@link VirtualMachine.create} until it ends or is closed. */
export class VirtualMachine implements AsyncDisposable {
  /** The guest's terminal: the virtio console where its system has one, else the serial port. */
  readonly console: GuestConsole;
  readonly events = new EventEmitter<MachineEvents>();
  /** Files in the guest, through the agent. */
  readonly files: GuestFiles;
  /** Resolves with the reason when the machine has ended, however that comes about. */
  readonly ended: Promise<ExitReason>;
  readonly #machine: Machine;
  readonly #open: StreamOpener;
  readonly #resources: readonly HostResource[];
  #ready: Promise<void> | undefined;
  #isReady = false;
  #isEnded = false;

  /** Puts a machine together and starts it. Its guest boots meanwhile; {@link exec} waits for that. */
  static async create(options: CreateOptions = {}): Promise<VirtualMachine> {
    const settings = options.settings ?? userSettings();
    const terminal = options.terminal ?? DEFAULT_TERMINAL;
    const choice: GuestChoice = { image: options.image, name: options.name, rm: options.name === undefined };
    const drives: DriveFile[] = [];
    const shares: Share[] = [];
    try {
      for (const [index, share] of (options.shares ?? []).map(parseShare).entries()) {
        shares.push(openShare(share, `share${index}`));
      }
      const session = {
        kind: "shell",
        terminal: "xterm-256color",
        size: terminal,
        network: options.net !== undefined,
        mounts: shares,
        agent: true,
      } as const;
      const guest = await prepareGuest(choice, session, settings);
      if (!guest.ours) {
        throw new UserError(
          `The guest ${options.image ?? ""} is not one that the API can talk to; take a kernel or a system.`,
          { exitStatus: 2 },
        );
      }
      if (guest.disk !== undefined) {
        drives.push(await openDrive(guest.disk.path, { format: "raw", overlay: guest.disk.overlay }));
      }
      for (const drive of (options.drives ?? []).map(parseDrive)) {
        drives.push(await openDrive(drive.path, drive.options));
      }
      const { variables: _, ...boot } = guest;
      let self: VirtualMachine | undefined;
      const hvc = { ...terminal, output: (bytes: Uint8Array) => self?.console.show(bytes) };
      const machine = await (options.createMachine ?? createMachine)({
        ...boot,
        memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY,
        cpus: options.cpus ?? 1,
        decompressors: KERNEL_DECOMPRESSORS,
        drives,
        shares,
        virtioBus: options.virtioBus,
        net: options.net,
        compatibility: options.compatibility,
        serial: (bytes) => void self?.events.emit("serial", bytes),
        console: hvc,
        sockets: true,
        randomBytes: (length) => new Uint8Array(randomBytes(length)),
        restore: options.restore === undefined ? undefined : await readSnapshot(options.restore),
      });
      self = new VirtualMachine(machine, [...drives, ...shares], options.restore !== undefined);
      return self;
    } catch (error) {
      for (const resource of [...drives, ...shares]) await resource.close();
      throw error;
    }
  }

  private constructor(machine: Machine, resources: readonly HostResource[], isReady: boolean) {
    const { sockets } = machine;
    if (sockets === undefined)
      throw new UserError("The machine has no socket device, which its agent needs.");
    this.#machine = machine;
    this.#resources = resources;
    // The agent of a guest that is restored came before, and does not say so again.
    this.#isReady = isReady;
    this.console = new GuestConsole(() => machine);
    this.files = new GuestFiles((words, options) => this.exec(words, options));
    sockets.listen(READY_PORT, () => {
      this.#isReady = true;
      // Not from within the machine's own work.
      queueMicrotask(() => this.events.emit("ready"));
      return undefined;
    });
    this.ended = machine.run().then(async (reason) => {
      this.#isEnded = true;
      this.console.push(null);
      this.console.destroy();
      for (const resource of this.#resources) await resource.close();
      this.events.emit("ended", reason);
      return reason;
    });
    this.#open = streamOpener(sockets, this.ended);
  }

  /** Resolves when commands can be run; an error where the machine ends, or the agent does not come. */
  ready(): Promise<void> {
    this.#ready ??= this.#waitForAgent();
    return this.#ready;
  }

  /**
   * Runs a command: a program with its arguments, or a line for the guest's shell. It waits until the guest is up.
   * Await it for its output and status, or use its streams.
   */
  exec(words: string | readonly string[], options: CommandOptions = {}): Command {
    const open: StreamOpener = async (port, count) => {
      await this.ready();
      if (this.#isEnded) throw endedTooEarly();
      return await this.#open(port, count);
    };
    return new Command(open, words, options);
  }

  /** A stream to a port of the guest on its socket device (AF_VSOCK). */
  connect(port: number): Promise<Duplex> {
    return openOne(this.#open, port);
  }

  /** What the guest does at present, read from its memory: nothing runs in it for that. */
  inspect(): ReturnType<GuestIntrospection["inspect"]> {
    return this.#introspection.inspect();
  }

  /** Memory of its kernel's address space, or of a process's, as far as it can be read; at most 16 MiB at a time. */
  readMemory(address: bigint, length: number, pid?: number): Uint8Array {
    return this.#introspection.read(address, length, pid);
  }

  /** Protects pages of the guest, and tells of writes to them. */
  protect(request: ProtectionRequest): ProtectionDocument {
    return this.#introspection.protect(request);
  }

  /** What is done about writes to protected pages with the actions "callback" and "snapshot+pause". */
  handleWrites(handlers: ProtectionHandlers): void {
    this.#introspection.handle(handlers);
  }

  /** What is mapped in an address space of the guest. */
  scan(request: ScanRequest): ScanDocument {
    return this.#introspection.scan(request);
  }

  /** The symbols of its kernel, found in its memory. */
  kernelSymbols(): readonly KernelSymbol[] {
    return this.#introspection.kernelSymbols();
  }

  get #introspection(): GuestIntrospection {
    const { introspection } = this.#machine;
    if (introspection !== undefined) return introspection;
    throw new UserError("This machine's guest cannot be looked into.");
  }

  /** What the guest and its hypervisor tell each other: named values, orders to open-vm-tools. */
  get guest(): GuestTools {
    return this.#machine.guest;
  }

  /** How fast the guest's clock runs. */
  get pace(): GuestPace {
    return this.#machine.pace;
  }

  /** The ports of this computer that lead into the guest, with the numbers that were chosen for 0. */
  get publishedPorts(): Machine["publishedPorts"] {
    return this.#machine.publishedPorts;
  }

  /**
   * Keeps the machine's whole state in a file ({@link CreateOptions.restore}); it stands still meanwhile and goes on
   * afterwards. Drives are not in it, and connections through the network end where it is restored.
   */
  async snapshot(path: string): Promise<void> {
    await writeSnapshot(path, this.#machine);
  }

  stats(): MachineStatistics {
    return this.#machine.stats();
  }

  /** Ends the machine at once, as if its power were cut, and gives its disks up. */
  async close(): Promise<void> {
    this.#machine.stop();
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #waitForAgent(): Promise<void> {
    if (this.#isReady) return;
    if (this.#isEnded) throw endedTooEarly();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.events.once("ready", resolve);
      this.events.once("ended", () => reject(endedTooEarly()));
      timer = setTimeout(
        () => reject(new UserError(`The guest's agent did not come within ${READY_LIMIT} seconds.`)),
        READY_LIMIT * 1000,
      );
    }).finally(() => clearTimeout(timer));
  }
}

function endedTooEarly(): UserError {
  return new UserError("The machine has ended, so no command can be run in it.");
}
