import { COUNTER_FREQUENCY } from "../base/clock.ts";
import { UserError } from "../base/errors.ts";
import type { StateSink } from "../base/state-sink.ts";
import { BackgroundCompiler, type CompilingThread } from "../engine/translator/background-compiler.ts";
import type { CodeStore } from "../engine/translator/code-cache.ts";
import type { RegionCompiler } from "../engine/translator/region-compiler.ts";
import type { GuestServices } from "../hypervisor/guest-services.ts";
import type { HostNetwork } from "../network/host-network.ts";
import type { PublishedPort } from "../network/publish.ts";
import type { UserNetwork } from "../network/user-network.ts";
import type { BootPlan } from "./boot/boot-plan.ts";
import { prepareBoot } from "./boot/prepare-boot.ts";
import { type GuestNetwork, openGuestNetwork } from "./guest-network.ts";
import type { HostTime } from "./host-time.ts";
import { InstructionTime } from "./instruction-time.ts";
import { Introspection } from "./introspection.ts";
import { Machine } from "./machine.ts";
import { MachineClock, type TimeSource } from "./machine-clock.ts";
import { machineIdentity, machineUuid } from "./machine-identity.ts";
import type { OrderedDrives } from "./ordered-drives.ts";
import { OutputQueue } from "./output-queue.ts";
import { Peripherals } from "./peripherals.ts";
import { Snapshots } from "./snapshots.ts";
import { machineStatistics } from "./statistics.ts";
import {
  type ByteInput,
  DEFAULT_MMU,
  type ExitReason,
  type GpioLines,
  type GuestPace,
  type GuestSockets,
  type GuestTools,
  type MachineStatistics,
  type MemoryBalloon,
  type VirtioConsole,
  type VirtioPort,
  type VirtualMachine,
  type VirtualMachineOptions,
} from "./virtual-machine-interface.ts";

/** Milliseconds of guest execution between two looks at the host's events. */
const BURST = 8;
/**
 * Milliseconds after something came from the host in which a short wait looks for more all the time: hosts sleep
 * longer than asked, and whoever has just been answered often answers soon.
 */
const CONVERSATION = 2;
/** Waits of fewer milliseconds are short: hosts' timers are no finer. */
const SHORT_WAIT = 1;
/** Milliseconds between two looks whether a machine that stands still may go on. */
const PAUSE_STEP = 50;
const KILLED = "The guest wrote to a page that is protected with kill, so its machine was ended.";
/** The longest sleep when nothing is scheduled; input wakes it. */
const LONGEST_SLEEP = 60_000;
/** The date that a deterministic machine starts at: 2024-01-01. */
const DETERMINISTIC_DATE = 1_704_067_200;

/** Puts a machine together on this host; unfit inputs are a UserError. */
export async function createVirtualMachine(
  options: VirtualMachineOptions,
  host: HostTime,
  hostNetwork?: HostNetwork,
  compilingThread?: () => CompilingThread,
  codeStore?: CodeStore,
): Promise<VirtualMachine> {
  if (options.time?.path === "trap" && options.virtualization === true) {
    throw new UserError(
      "The guest's time cannot be trapped in a machine whose own EL2 sets those traps; leave out --virtualization or ,trap.",
      { exitStatus: 2 },
    );
  }
  checkCounter(options);
  const identity = machineIdentity(options);
  const plan = await prepareBoot({ ...options, identity });
  let machine: RunningMachine | undefined;
  const network = await openGuestNetwork(options, hostNetwork, () => machine?.wake());
  try {
    const regionCompiler = backgroundCompiler(options, compilingThread);
    const translation = { regionCompiler, codeStore: options.deterministic === true ? undefined : codeStore };
    machine = new RunningMachine({ ...options, identity }, plan, host, network, translation);
    if (options.restore !== undefined) await machine.restore(options.restore);
    return machine;
  } catch (error) {
    await network?.network.close();
    throw error;
  }
}

/** Frequencies of counters that software gets along with (DDI 0487, D12.1.2: 1 MHz to 50 MHz; newer ones 1 GHz). */
const SLOWEST_COUNTER = 1_000_000;
const FASTEST_COUNTER = 1_000_000_000;

function checkCounter({ counterFrequency = COUNTER_FREQUENCY, deterministic }: VirtualMachineOptions): void {
  if (deterministic === true && counterFrequency !== COUNTER_FREQUENCY)
    throw new UserError("A deterministic machine's counter has 62.5 MHz; leave its frequency out.");
  const fits = counterFrequency >= SLOWEST_COUNTER && counterFrequency <= FASTEST_COUNTER;
  if (Number.isInteger(counterFrequency) && fits) return;
  throw new UserError(`A counter cannot have ${counterFrequency} Hz; give 1000000 to 1000000000.`);
}

function guestTools(services: GuestServices): GuestTools {
  return {
    get services() {
      return services.enabled;
    },
    set services(wanted) {
      services.enabled = wanted;
    },
    info: services.info.entries(),
    set(key, value) {
      if (services.info.set(key, value)) return;
      throw new UserError(
        `The guest cannot be given ${value.length} bytes as "${key}"; keys have at most 128 characters, values 65536 bytes.`,
      );
    },
    call: (name, inputs) => services.callFromHost(name, inputs),
    state: () => services.tools(),
    syncTime: (wanted) => services.syncTime(wanted),
    order: (order) => services.order(order),
  };
}

class HostTicks implements TimeSource {
  readonly #host: HostTime;
  readonly frequency: number;
  #start: number;

  constructor(host: HostTime, frequency = COUNTER_FREQUENCY) {
    this.#host = host;
    this.frequency = frequency;
    this.#start = host.now();
  }

  ticks(): number {
    return Math.floor(((this.#host.now() - this.#start) * this.frequency) / 1000);
  }

  continueAt(ticks: number): void {
    this.#start = this.#host.now() - (ticks * 1000) / this.frequency;
  }

  wallSeconds(): number {
    return this.#host.wallSeconds();
  }
}

class RunningMachine implements VirtualMachine {
  readonly serial: ByteInput;
  readonly console: VirtioConsole | undefined;
  readonly ports: ReadonlyMap<string, VirtioPort>;
  readonly balloon: MemoryBalloon | undefined;
  readonly sockets: GuestSockets | undefined;
  readonly publishedPorts: readonly PublishedPort[];
  readonly guest: GuestTools;
  readonly gpio: GpioLines;
  readonly introspection: Introspection;
  readonly pace: GuestPace;
  readonly #network: UserNetwork | undefined;
  readonly #host: HostTime;
  readonly #machine: Machine;
  readonly #clock: MachineClock;
  readonly #output = new OutputQueue(() => this.#machine.loop.interrupt());
  readonly #started: number;
  readonly #onReboot: "restart" | "end";
  readonly #orderedDrives: OrderedDrives | undefined;
  readonly #snapshots: Snapshots;
  #restored = false;
  #stopped = false;
  #nap: { wake(): void } | undefined;
  /** Something arrived since the last burst: no time to sleep. */
  #woken = false;
  /** When something came from outside last. */
  #heardAt = Number.NEGATIVE_INFINITY;
  #resets = 0;
  #idleMilliseconds = 0;

  constructor(
    options: VirtualMachineOptions,
    plan: BootPlan,
    host: HostTime,
    network: GuestNetwork | undefined,
    translation: TranslationHelp,
  ) {
    this.#host = host;
    this.#network = network?.network;
    this.publishedPorts = network?.publishedPorts ?? [];
    this.#started = host.now();
    this.#onReboot = options.onReboot ?? "restart";
    const instructionTime = options.deterministic ? new InstructionTime(DETERMINISTIC_DATE) : undefined;
    this.#clock = new MachineClock(instructionTime ?? new HostTicks(host, options.counterFrequency));
    this.#machine = makeMachine(options, plan, {
      ...{ clock: this.#clock, instructionTime, output: this.#output, translation },
      onSignal: () => this.#rouse(),
    });
    this.guest = guestTools(this.#machine.services);
    this.introspection = new Introspection(this.#machine, () => host.now());
    this.pace = this.#guestPace();
    const peripherals = new Peripherals(this.#machine, options, this.#output, () => this.wake(), network);
    this.serial = peripherals.serial;
    this.console = peripherals.console;
    this.ports = peripherals.ports;
    this.gpio = peripherals.gpio;
    this.balloon = peripherals.balloon;
    this.sockets = peripherals.sockets;
    this.#orderedDrives = peripherals.orderedDrives;
    this.#snapshots = new Snapshots({
      ...{ machine: this.#machine, peripherals, host, drives: options.drives ?? [] },
      drain: () => this.#output.drain(),
      interrupt: () => {
        this.#machine.loop.interrupt();
        this.wake();
      },
    });
  }

  async run(): Promise<ExitReason> {
    try {
      return await this.#run();
    } finally {
      this.#snapshots.close();
      this.#machine.interpreter.translator?.cache?.save();
      await this.#network?.close();
    }
  }

  /** In the place of a start. */
  async restore(stream: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#snapshots.restore(stream);
    this.#restored = true;
  }

  snapshot(sink: StateSink): Promise<void> {
    return this.#snapshots.take(sink);
  }

  async #run(): Promise<ExitReason> {
    if (!this.#restored) this.#machine.start();
    // One that stood still when its snapshot was taken does so from the beginning.
    await this.#pause();
    for (;;) {
      if (this.#stopped) return { kind: "stopped" };
      this.#network?.pump();
      const deadline = this.#host.now() + BURST;
      const end = this.#machine.loop.burst(
        () => this.#host.now() >= deadline || this.#orderedDrives?.busy === true,
      );
      this.#woken = false;
      await this.#output.drain();
      await this.#orderedDrives?.settle(() => this.#host.breathe());
      if (this.#machine.protectionStop === "kill") return { kind: "failed", sentence: KILLED };
      await this.#snapshots.serve();
      this.introspection.deliver();
      await this.#keepForOwner();
      await this.#pause();
      const { powerRequest } = this.#machine;
      if (powerRequest === "off") return { kind: "power-off" };
      if (powerRequest === "reset") {
        if (this.#onReboot === "end") return { kind: "reboot" };
        this.#resets++;
        this.#machine.start();
      }
      if (end.kind === "idle") await this.#sleep(end.until);
      else await this.#host.breathe();
    }
  }

  /** The owner's snapshot behind a write to a protected page: of a machine that stands still, as it does then. */
  async #keepForOwner(): Promise<void> {
    if (this.#machine.protectionStop !== "snapshot") return;
    this.#machine.protectionStop = "pause";
    await this.introspection.keep((sink) => this.#snapshots.keep(sink));
  }

  /** Stands still while a write to a protected page has stopped the machine, until its owner lets it go on. */
  async #pause(): Promise<void> {
    while (this.#machine.protectionStop === "pause" && !this.#stopped) {
      const nap = this.#host.sleep(PAUSE_STEP);
      this.#nap = nap;
      await nap.over;
      this.#nap = undefined;
      await this.#snapshots.serve();
    }
  }

  /** Sleeps until an alarm is due or something arrives. */
  async #sleep(until: number | undefined): Promise<void> {
    const milliseconds =
      until === undefined ? LONGEST_SLEEP : ((until - this.#clock.ticks()) * 1000) / this.#clock.frequency;
    if (milliseconds <= 0 || this.#woken) {
      await this.#host.breathe();
      return;
    }
    const began = this.#host.now();
    if (milliseconds < SHORT_WAIT && began - this.#heardAt < CONVERSATION) {
      await this.#host.breathe();
      this.#idleMilliseconds += this.#host.now() - began;
      return;
    }
    const nap = this.#host.sleep(Math.min(milliseconds, LONGEST_SLEEP));
    this.#nap = nap;
    await nap.over;
    this.#nap = undefined;
    this.#idleMilliseconds += this.#host.now() - began;
  }

  #guestPace(): GuestPace {
    const { guestClock } = this.#machine;
    return {
      get scale() {
        return guestClock.scale;
      },
      setScale: (scale) => {
        guestClock.setScale(scale);
        // What it waits for may be due earlier now.
        this.wake();
      },
    };
  }

  /** Something has arrived for the guest. */
  wake(): void {
    this.#heardAt = this.#host.now();
    this.#rouse();
  }

  /** There may be something to do for the guest. */
  #rouse(): void {
    this.#woken = true;
    this.#nap?.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.#machine.loop.interrupt();
    void this.#network?.close();
    this.wake();
  }

  stats(): MachineStatistics {
    const run = {
      milliseconds: this.#host.now() - this.#started,
      idleMilliseconds: this.#idleMilliseconds,
      resets: this.#resets,
    };
    return machineStatistics(this.#machine, run, this.#network?.statistics());
  }
}

/** What the host brings for translated code. */
interface TranslationHelp {
  readonly regionCompiler: RegionCompiler | undefined;
  readonly codeStore: CodeStore | undefined;
}

interface MachineSurroundings {
  readonly clock: MachineClock;
  readonly instructionTime: InstructionTime | undefined;
  readonly output: OutputQueue;
  readonly translation: TranslationHelp;
  onSignal(): void;
}

function makeMachine(
  options: VirtualMachineOptions,
  plan: BootPlan,
  { clock, instructionTime, output, translation, onSignal }: MachineSurroundings,
): Machine {
  try {
    return new Machine({
      memoryBytes: options.memoryBytes,
      cpus: options.cpus,
      secure: options.secure ?? false,
      virtualization: options.virtualization ?? false,
      plan,
      clock,
      instructionTime,
      serial: output.sink(options.serial),
      onSignal,
      compatibility: options.compatibility,
      time: options.time,
      guestServices: options.guestServices,
      uuid: machineUuid(options.identity),
      onGuestLog: options.onGuestLog,
      onVariablesWritten: options.variables?.write,
      memoryManagement: {
        mode: options.mmu ?? DEFAULT_MMU,
        tlbi: options.tlbi ?? "full",
        check: options.mmuCheck ?? false,
      },
      tracksRegisters: options.registerTracking ?? true,
      inlinesCounters: options.inlineCounters ?? true,
      translationThreshold: options.engine === "interpreter" ? undefined : TRANSLATION_THRESHOLD,
      ...translation,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(
      `This host cannot reserve memory for a guest with ${options.memoryBytes} bytes; give less with --memory.`,
      { cause: error },
    );
  }
}

/** Undefined where hot code is translated on the machine's own thread. */
function backgroundCompiler(
  { engine, translation, deterministic }: VirtualMachineOptions,
  thread: (() => CompilingThread) | undefined,
): RegionCompiler | undefined {
  if (engine === "interpreter" || thread === undefined) return undefined;
  const wanted = translation ?? (deterministic === true ? "inline" : "background");
  return wanted === "background" ? new BackgroundCompiler(thread()) : undefined;
}

/**
 * Jumps to a piece of code before it is translated. With 20,000 the work of `npm run bench -- programs` took 7.3 s for
 * python3 and 17.3 for gcc, with 10,000 5.1 and 16.4, with 5,000 7.9 and 22.4 (single runs, wall time, a host with two
 * processors, when regions still had much code several times): code that is only warm costs the host's compiler more than it saves.
 */
const TRANSLATION_THRESHOLD = 10_000;
