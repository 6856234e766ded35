import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { Bug, UserError } from "../../base/errors.ts";
import type { BootFile } from "../../machine/boot/boot-file.ts";
import type { PlacedFile } from "../../machine/boot/boot-plan.ts";
import type { AcpiChoice } from "../../machine/boot/system-description.ts";
import type { GuestTimeChoice } from "../../machine/machine.ts";
import type {
  ExitReason,
  VariableStore,
  VirtioBus,
  VirtualMachine,
  VirtualMachineOptions,
} from "../../machine/virtual-machine-interface.ts";
import { mergeIdentities, type SmbiosIdentity } from "../../platform/smbios/identity.ts";
import { formatBytes } from "../../platform/units.ts";
import { readAliases } from "../aliases/alias-file.ts";
import { type DriveFile, openDrive } from "../disks/drive-file.ts";
import { parseDrive } from "../disks/drive-option.ts";
import { openVariableFile, type VariableFile } from "../disks/variable-file.ts";
import { cacheDirectory, ImageCache } from "../images/cache.ts";
import type { GuestSession } from "../images/initramfs.ts";
import { KERNEL_DECOMPRESSORS } from "../kernel-decompressors.ts";
import { ConsoleHub } from "../machines/console-hub.ts";
import { ControlServer } from "../machines/control-server.ts";
import { checkedName, MachineStore, machinesDirectory } from "../machines/machine-store.ts";
import { type Registration, Registry, runtimeDirectory } from "../machines/registry.ts";
import { openShare, parseShare, type Share } from "../share/share.ts";
import { readSnapshot } from "../snapshots/snapshot-file.ts";
import { boardOf } from "./board-options.ts";
import { CommandSession } from "./command-session.ts";
import { DEFAULT_KERNEL } from "./defaults.ts";
import { runDetached, wordsInForeground } from "./detach.ts";
import { type Guest, type GuestChoice, prepareGuest } from "./guest.ts";
import type { Host } from "./host.ts";
import { networkOptions } from "./network-options.ts";
import type { PanicFacts } from "./panic.ts";
import { stderrProgress } from "./progress.ts";
import { ShellSession } from "./shell-session.ts";
import { EXIT_STATUS, type StopReason, statusOfStop } from "./stop-reason.ts";
import { onEndingSignal } from "./terminal.ts";
import { readInputFile } from "./user-files.ts";
import type { FilePlace } from "./values.ts";

/** The options of `elvisor run`, read. */
export interface RunOptions extends GuestChoice {
  readonly memory: number;
  readonly cpus: number;
  readonly numa: number;
  readonly drive?: readonly string[] | undefined;
  readonly share?: readonly string[] | undefined;
  readonly net?: string | undefined;
  readonly publish?: readonly string[] | undefined;
  readonly virtioBus: VirtioBus;
  readonly balloon?: number | undefined;
  readonly engine: "translator" | "interpreter";
  readonly translation?: "background" | "inline";
  readonly codeCache?: string;
  readonly codeCacheCheck?: boolean;
  readonly mmu: "walk" | "shadow";
  readonly tlbi: "full" | "incremental";
  readonly mmuCheck?: boolean;
  readonly dbtRegtrack: "on" | "off";
  readonly dbtCounters: "on" | "off";
  readonly deterministic?: boolean;
  readonly compat?: "vmware" | undefined;
  readonly guestServices?: boolean;
  readonly timeScale?: GuestTimeChoice | undefined;
  readonly restore?: string | undefined;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
  readonly acpi?: AcpiChoice | undefined;
  readonly aliases?: string | undefined;
  readonly load?: readonly FilePlace[] | undefined;
  readonly smbios?: readonly SmbiosIdentity[] | undefined;
  readonly console?: "virtio" | "serial" | undefined;
  readonly stats?: string | undefined;
  readonly timeout?: number | undefined;
  readonly mirror?: string | undefined;
  readonly keyring?: string | undefined;
  /** Run in the background. */
  readonly detach?: boolean;
}

/** Bytes of memory with less of which Debian's kernels end before their console says why. */
const SMALLEST_MEMORY = 48 * 2 ** 20;

/** Milliseconds that a machine has to notice that it was stopped. */
const STOP_LIMIT = 5_000;

/** Runs a machine until it ends; the result is the process's exit status. */
export async function runCommand(options: RunOptions, host: Host): Promise<number> {
  const net = networkOptions(options);
  if (options.restore !== undefined && options.exec !== undefined) {
    throw new UserError(
      "A restored machine has its shell already, so --exec cannot give it a command; use elvisor exec.",
      {
        exitStatus: 2,
      },
    );
  }
  const restore = options.restore === undefined ? undefined : await readSnapshot(options.restore);
  // Commands from outside need more than a deterministic machine has, and --exec is one itself.
  const agent = options.exec === undefined && options.deterministic !== true;
  const drives: DriveFile[] = [];
  const shares: Share[] = [];
  let variables: VariableFile | undefined;
  let registration: Registration | undefined;
  try {
    for (const { path, options: drive } of (options.drive ?? []).map(parseDrive)) {
      const report = (sentence: string) => void host.stderr.write(`elvisor: ${sentence}\n`);
      drives.push(await openDrive(path, { ...drive, report }));
    }
    for (const [index, choice] of (options.share ?? []).map(parseShare).entries())
      shares.push(openShare(choice, `share${index}`));
    const guest = await prepareGuest(
      options,
      { ...guestSession(options, host), network: net !== undefined, mounts: shares, agent },
      {
        cache: new ImageCache(cacheDirectory(host.environment)),
        progress: stderrProgress(host.stderr),
        environment: host.environment,
        mirror: options.mirror,
        keyring: options.keyring,
      },
    );
    if (guest.ours) checkMemory(options.memory);
    const name = checkedName(options.name ?? guest.name ?? `guest-${process.pid}`);
    if (options.detach === true) {
      // They were looked at; the process in the background opens them itself, and locks them.
      for (const drive of drives.splice(0)) await drive.close();
      await runDetached(name, wordsInForeground(process.argv.slice(1), name), host);
      return EXIT_STATUS.success;
    }
    if (guest.ours && agent) {
      registration = await new Registry(runtimeDirectory(host.environment)).register({
        name,
        image: options.image ?? DEFAULT_KERNEL,
        pid: process.pid,
        started: Date.now(),
        memory: options.memory,
        cpus: options.cpus,
      });
    }
    if (guest.disk !== undefined) {
      const { path, overlay } = guest.disk;
      const report = (sentence: string) => void host.stderr.write(`elvisor: ${sentence}\n`);
      drives.unshift(await openDrive(path, { format: "raw", overlay, report }));
    }
    const uefiVars = await variablesPath(options, guest, host);
    if (uefiVars !== undefined) variables = openVariableFile(uefiVars, variableTemplate(guest));
    return await runWith(
      { ...guest, drives, shares, net, restore, variables: variables ?? keptInMemory(guest) },
      options,
      host,
      registration,
    );
  } finally {
    registration?.release();
    for (const share of shares) share.close();
    for (const drive of drives) await drive.close();
    variables?.close();
  }
}

function checkMemory(bytes: number): void {
  if (bytes >= SMALLEST_MEMORY) return;
  throw new UserError(
    `Debian's kernels do not start with ${formatBytes(bytes)} of memory; give --memory 64M or more.`,
  );
}

/** Where firmware's variables are kept: in a file that was named, else with a machine that has a name. */
async function variablesPath(
  { uefiVars, name, rm }: RunOptions,
  guest: Guest,
  host: Host,
): Promise<string | undefined> {
  if (uefiVars !== undefined) return uefiVars;
  const called = name ?? guest.name;
  if (guest.variables === undefined || called === undefined || rm === true) return undefined;
  return await new MachineStore(machinesDirectory(host.environment)).variables(called);
}

function variableTemplate({ variables }: Guest): BootFile {
  if (variables === undefined) throw new Bug("a firmware without variables got past the checks");
  return variables;
}

/** Variables that are gone when the machine ends. */
function keptInMemory({ variables }: Guest): VariableStore | undefined {
  return variables === undefined ? undefined : { contents: variables, write: () => true };
}

type ReadyGuest = Omit<Guest, "variables"> &
  Pick<VirtualMachineOptions, "drives" | "shares" | "net" | "restore" | "variables">;

async function runWith(
  guest: ReadyGuest,
  options: RunOptions,
  host: Host,
  registration: Registration | undefined,
): Promise<number> {
  let machine: VirtualMachine | undefined;
  let stopped: StopReason | undefined;
  let stopLimitReached: (reason: ExitReason) => void = () => {};
  const stopLimit = new Promise<ExitReason>((resolve) => {
    stopLimitReached = resolve;
  });
  const stop = (reason: StopReason): void => {
    stopped ??= reason;
    machine?.stop();
    setTimeout(() => stopLimitReached({ kind: "stopped" }), STOP_LIMIT).unref();
  };
  const inputFrom = options.console ?? (guest.ours ? "virtio" : "serial");
  const session =
    options.exec === undefined ? new ShellSession(host, inputFrom, stop) : new CommandSession(host, stop);
  const hub = new ConsoleHub();
  const board = boardOf(options);
  machine = await host.createMachine({
    ...guest,
    ...board,
    decompressors: KERNEL_DECOMPRESSORS,
    deterministic: options.deterministic ?? false,
    virtioBus: options.virtioBus,
    balloon: options.balloon === undefined ? undefined : { bytes: options.balloon },
    compatibility: options.compat,
    time: options.timeScale,
    guestServices: options.guestServices ?? true,
    onGuestLog: (text) => void host.stderr.write(`elvisor: The guest logs: ${printable(text)}\n`),
    engine: options.engine,
    ...(options.translation !== undefined && { translation: options.translation }),
    codeCache: options.codeCache === "off" ? false : options.codeCache,
    codeCacheCheck: options.codeCacheCheck ?? false,
    mmu: options.mmu,
    tlbi: options.tlbi,
    mmuCheck: options.mmuCheck ?? false,
    registerTracking: options.dbtRegtrack !== "off",
    inlineCounters: options.dbtCounters !== "off",
    acpi: options.acpi,
    aliases: await readAliases(options.aliases, guest.deviceTree ?? board),
    files: await readFiles(options.load),
    identity: mergeIdentities(options.smbios ?? []),
    serial: session.serial,
    console: session.console && { ...session.console, output: hub.tee(session.console.output) },
    sockets: registration !== undefined,
    ports: session.ports,
    // A command runs once; its input is gone after that.
    onReboot: options.exec === undefined ? "restart" : "end",
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  const timer =
    options.timeout === undefined ? undefined : setTimeout(() => stop("timeout"), options.timeout * 1000);
  const stopListening = onEndingSignal(stop);
  let reason: ExitReason;
  const control =
    registration === undefined
      ? undefined
      : new ControlServer(machine, hub, () => stop("quit"), {
          name: options.name ?? guest.name,
          isReady: options.restore !== undefined,
        });
  try {
    if (registration !== undefined) await control?.listen(registration.socket);
    registration?.publish();
    session.attach(machine, stop);
    reason = stopped === undefined ? await Promise.race([machine.run(), stopLimit]) : { kind: "stopped" };
  } finally {
    clearTimeout(timer);
    stopListening();
    control?.close();
    session.detach();
  }
  if (options.stats !== undefined) await writeStatistics(options.stats, machine);
  const facts = { memoryBytes: options.memory, initrd: guest.initrd?.name };
  return conclude(reason, stopped, session, facts, options, host);
}

async function readFiles(places: readonly FilePlace[] = []): Promise<PlacedFile[]> {
  const read = async ({ path, address }: FilePlace): Promise<PlacedFile> => ({
    file: await readInputFile(path, "file"),
    address,
  });
  return await Promise.all(places.map(read));
}

function guestSession(options: RunOptions, { environment, stdout }: Host): GuestSession {
  if (options.exec !== undefined) return { kind: "command", command: options.exec };
  const { columns, rows } = stdout;
  return {
    kind: "shell",
    terminal: stdout.isTTY ? environment["TERM"] || "vt100" : "dumb",
    size: columns && rows ? { columns, rows } : undefined,
  };
}

function conclude(
  reason: ExitReason,
  stopped: StopReason | undefined,
  session: ShellSession | CommandSession,
  facts: PanicFacts,
  options: RunOptions,
  { stderr }: Host,
): number {
  const failure = options.exec === undefined ? EXIT_STATUS.failure : EXIT_STATUS.execFailure;
  const say = (text: string): void => {
    stderr.write(`elvisor: ${text}\n`);
  };
  if (reason.kind === "failed") {
    say(reason.sentence);
    return failure;
  }
  const status = session instanceof CommandSession ? session.status : EXIT_STATUS.success;
  // A command that had finished before we stopped the machine has its own status all the same.
  if (
    stopped !== undefined &&
    !(session instanceof CommandSession && status !== undefined && stopped !== "timeout")
  ) {
    if (stopped === "timeout") {
      say(
        `The guest was still running after ${options.timeout} seconds; give it longer with --timeout SECONDS.`,
      );
    }
    const report = session.report(stopped, facts);
    if (report !== undefined) say(report);
    return statusOfStop(stopped, failure);
  }
  const report = session.report(undefined, facts);
  if (report !== undefined) say(report);
  return status ?? failure;
}

async function writeStatistics(path: string, machine: VirtualMachine): Promise<void> {
  try {
    await writeFile(path, `${JSON.stringify(machine.stats(), null, 2)}\n`);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(
      `The statistics cannot be written to ${path} (${code}); give another file with --stats.`,
      {
        cause,
      },
    );
  }
}

/** Text of the guest's for a terminal, which must not obey it. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach the terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
}
