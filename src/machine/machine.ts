import { MASK64 } from "../base/bits.ts";
import { Bug, UserError } from "../base/errors.ts";
import { ScaledClock } from "../base/time-scale.ts";
import { type ElementState, SLOT } from "../cpu/element-state.ts";
import { featureSet } from "../cpu/feature-set.ts";
import { type AccessLog, SILENT_LOG } from "../devices/access-log.ts";
import type { ByteSink } from "../devices/byte-sink.ts";
import { INSTRUCTION_SET } from "../engine/instruction-set.ts";
import { HOT_WORDS, WARM_WORDS } from "../engine/interpreter/hot-words.ts";
import { HANDLER_LIMIT, Interpreter, recordCacheBytes } from "../engine/interpreter/interpreter.ts";
import { CodeCache, type CodeStore } from "../engine/translator/code-cache.ts";
import { INLINE_COMPILER, type RegionCompiler } from "../engine/translator/region-compiler.ts";
import { regionMemoryBytes } from "../engine/translator/region-memory.ts";
import { type Compatibility, GuestServices } from "../hypervisor/guest-services.ts";
import { TrappedTimers } from "../hypervisor/guest-time.ts";
import { callPsci, type PowerController, PSCI_POWER_STATE, PSCI_STATUS } from "../hypervisor/psci.ts";
import type { CallOutcome } from "../hypervisor/services/guest-caller.ts";
import { BACKDOOR_IMMEDIATE } from "../hypervisor/services/register-doors.ts";
import { GuestTrees } from "../introspection/protection/guest-trees.ts";
import { ProtectionMonitor, type WriterPlace } from "../introspection/protection/monitor.ts";
import { Bus } from "../memory/bus.ts";
import { FrameTable } from "../memory/frame-table.ts";
import { GuestWriteBuffers } from "../memory/guest-write-buffer.ts";
import { MAXIMUM_MEMORY_SIZE, MachineMemory } from "../memory/machine-memory.ts";
import { PhysicalMap } from "../memory/physical-map.ts";
import { TracedMemory } from "../memory/traced-memory.ts";
import { TracedStore } from "../memory/traced-store.ts";
import { missFunctions } from "../mmu/shadow/miss-module.ts";
import { ShadowTables } from "../mmu/shadow/shadow-tables.ts";
import { TlbGroup } from "../mmu/tlb-maintenance.ts";
import { formatBytes, MEBIBYTE } from "../platform/units.ts";
import { cpuAffinity } from "../platform/virt-board.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";
import { VirtBoard } from "./board.ts";
import { applyBootPlan } from "./boot/apply-boot-plan.ts";
import type { BootPlan } from "./boot/boot-plan.ts";
import { startState } from "./boot/start-state.ts";
import { overheadBytes, RECORD_PAGES, SHADOW_TABLES } from "./engine-memory.ts";
import { FlashContents, type FlashWritten } from "./flash-contents.ts";
import type { InstructionTime } from "./instruction-time.ts";
import type { MachineClock } from "./machine-clock.ts";
import { ProcessingElement } from "./processing-element.ts";
import { RunLoop } from "./run-loop.ts";

export interface MachineParts {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly secure: boolean;
  readonly virtualization: boolean;
  readonly plan: BootPlan;
  readonly clock: MachineClock;
  /** Given for a deterministic machine: the clock's source. */
  readonly instructionTime: InstructionTime | undefined;
  readonly serial: ByteSink;
  /** Called when an interrupt signal changes: a machine that sleeps may have to wake up. */
  readonly onSignal?: () => void;
  readonly log?: AccessLog;
  /** Keeps what the guest writes to flash 1. */
  readonly onVariablesWritten?: FlashWritten | undefined;
  /** Another hypervisor's guest interface to answer besides our own. */
  readonly compatibility?: Compatibility | undefined;
  /** 16 bytes by which the hypervisor knows the machine; zeros unless given. */
  readonly uuid?: Uint8Array | undefined;
  /** Whether the guest may call the hypervisor, at first; it may unless given. */
  readonly guestServices?: boolean | undefined;
  /** How fast the guest's counters run, and by which means; at the machine's pace unless given. */
  readonly time?: GuestTimeChoice | undefined;
  /** Lines that the guest logs with its host. */
  readonly onGuestLog?: ((text: string) => void) | undefined;
  /** Jumps to code before it is translated; undefined: only the interpreter runs. */
  readonly translationThreshold?: number | undefined;
  /** False: translated code stores its registers after each block, to compare with. */
  readonly tracksRegisters?: boolean;
  /** False: engines ask the processor for each count of the system counter, to compare with. */
  readonly inlinesCounters?: boolean;
  /** Who compiles translated code; this thread unless given. */
  readonly regionCompiler?: RegionCompiler | undefined;
  /** Keeps translated code for later machines; nothing is kept unless given. */
  readonly codeStore?: CodeStore | undefined;
  readonly memoryManagement?: MemoryManagement | undefined;
  /** Count dispatches by handler; see Interpreter.profile. */
  readonly profile?: boolean;
  /** Linear memory that other machines may lie in, too, with {@link machineBytes} to spare; else one of its own. */
  readonly memory?: MachineMemory | undefined;
}

/**
 * The guest's time (row H3). "scaled": the counters themselves run at another pace. "trap": they do not, and the
 * hypervisor converts at each access, with the virtual timer hidden from the guest. Both show the same counts.
 */
export interface GuestTimeChoice {
  readonly scale: number;
  readonly path: "scaled" | "trap";
}

/** How addresses are translated; all give the same results. */
export interface MemoryManagement {
  /** From shadow tables, or by walking the guest's tables each time the soft TLB misses. */
  readonly mode: "walk" | "shadow";
  /**
   * With shadow tables, what a TLBI of a regime or an ASID does: "full" drops its translations, "incremental"
   * only what the guest has changed since, for which tables of the last level have to be traced, too.
   */
  readonly tlbi: "full" | "incremental";
  /** Compare every translation from shadow tables with a walk; a difference is a defect of ours. */
  readonly check: boolean;
  /** Shadow ASIDs of one element. */
  readonly addressSpaces?: number | undefined;
}

const DEFAULT_MEMORY_MANAGEMENT: MemoryManagement = { mode: "walk", tlbi: "full", check: false };

/** What software asked for that ends or restarts the machine. */
export type PowerRequest = "off" | "reset";

/** A page that an element's tables of EL1 begin in. */
function isTable(state: ElementState, page: number): boolean {
  const root = (base: bigint) => Number((base & 0xffff_ffff_f000n) >> 12n);
  return [SLOT.TTBR0_EL1, SLOT.TTBR1_EL1].some((slot) => root(state.read(slot)) === page);
}

type ProtectionStop = Machine["protectionStop"];

/** What several writes behind one instruction come to. */
function worseStop(one: ProtectionStop, other: ProtectionStop): ProtectionStop {
  const order: readonly ProtectionStop[] = [undefined, "pause", "snapshot", "kill"];
  return order.indexOf(one) >= order.indexOf(other) ? one : other;
}

const AFFINITY_MASK = 0xff_00ff_ffffn;

/** One linear memory holds the guest's RAM and everything else of a machine. */
function checkHostMemory(memoryBytes: number, overhead: number): void {
  const most = Math.floor((MAXIMUM_MEMORY_SIZE - overhead) / MEBIBYTE);
  if (memoryBytes <= most * MEBIBYTE) return;
  throw new UserError(
    `A machine cannot have ${formatBytes(memoryBytes)} of memory here; give at most --memory ${most}M.`,
    { exitStatus: 2 },
  );
}

/** Bytes of linear memory that a machine takes. */
export function machineBytes(parts: Omit<MachineParts, "memory">): number {
  const { memoryBytes, cpus, secure, plan, profile = false } = parts;
  const overhead =
    (secure ? VIRT_MAP.secureRam.size : 0) +
    FlashContents.romBytes(plan.flash) +
    FlashContents.romBytes(plan.variables) +
    overheadBytes(cpus, profile);
  checkHostMemory(memoryBytes, overhead);
  return memoryBytes + overhead;
}

/** Memory, processing elements, engine and board of one machine, put together; no host, no time of its own. */
export class Machine implements PowerController {
  readonly memory: MachineMemory;
  readonly guest: TracedMemory;
  readonly bus: Bus;
  readonly board: VirtBoard;
  readonly elements: readonly ProcessingElement[];
  readonly interpreter: Interpreter;
  readonly tlbs: TlbGroup;
  readonly store: TracedStore;
  /** Undefined where translations come from walks only. */
  readonly shadow: ShadowTables | undefined;
  readonly loop: RunLoop;
  readonly services: GuestServices;
  /** The clock of the guest's counters, whose pace may change. */
  readonly guestClock: ScaledClock;
  /** Decides about writes to monitored pages; trees that guests register are in `guestTrees`. */
  readonly monitor: ProtectionMonitor;
  readonly guestTrees: GuestTrees;
  /** Set when a write to a monitored page stopped the machine; the loop is interrupted then. */
  protectionStop: "pause" | "snapshot" | "kill" | undefined;
  /** Set when the guest asked to be switched off or reset; the loop is interrupted then. */
  powerRequest: PowerRequest | undefined;
  readonly #parts: MachineParts;
  /** The element that has its turn, or had the last one. */
  #running: ProcessingElement | undefined;
  /** The element whose instruction calls PSCI. */
  #caller: ProcessingElement | undefined;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    const { memoryBytes, cpus, secure, virtualization, plan, clock, log = SILENT_LOG } = parts;
    const size = machineBytes(parts);
    this.memory = parts.memory ?? new MachineMemory(size);
    const frames = new FrameTable(this.memory);
    const map = new PhysicalMap(this.memory, frames);
    this.store = new TracedStore(this.memory, frames);
    this.guest = new TracedMemory(map, this.store, secure);
    this.bus = new Bus(map);
    const { mode, tlbi, check, addressSpaces } = parts.memoryManagement ?? DEFAULT_MEMORY_MANAGEMENT;
    if (mode === "shadow") {
      const buffers = new GuestWriteBuffers(this.memory, frames);
      this.shadow = new ShadowTables({
        ...{ map, store: this.store, buffers, tables: SHADOW_TABLES },
        leaves: tlbi === "incremental",
      });
    }
    const { shadow } = this;
    this.tlbs = new TlbGroup(map, this.store, shadow);
    this.board = new VirtBoard({
      ...{
        map,
        bus: this.bus,
        guest: this.guest,
        clock,
        log,
        memoryBytes,
        cpus,
        secure,
        virtualization,
        plan,
      },
      serial: parts.serial,
      onVariablesWritten: parts.onVariablesWritten,
      onSignal: (element, signals) => {
        this.elements?.[element]?.processor.setInterruptSignals(signals);
        parts.onSignal?.();
      },
      onSecurePower: (what) => this.#requestPower(what === "off" ? "off" : "reset"),
    });
    const options = { secure, virtualization };
    this.guestClock = new ScaledClock(clock);
    const { guestClock } = this;
    guestClock.setScale(parts.time?.scale ?? 1);
    const traps = parts.time?.path === "trap";
    // Inside a run that is exact, only the processor knows how many instructions have been executed.
    const isInline = (parts.inlinesCounters ?? true) && !traps && parts.instructionTime === undefined;
    const features = featureSet(INSTRUCTION_SET.features, options);
    this.elements = Array.from(
      { length: cpus },
      (_, index) =>
        new ProcessingElement({
          ...{ map, store: this.store, bus: this.bus, group: this.tlbs, index, features, options },
          clock: traps ? clock : guestClock,
          inlineClock: isInline ? guestClock : undefined,
          ...{ shadow, check, userBanks: addressSpaces },
          gic: this.board.gic,
          hooks: {
            conduit: (kind) => this.#conduit(kind, index),
            serviceCall: (door, immediate) => this.#serviceCall(door, immediate, index),
            broadcastEvent: () => this.#broadcastEvent(),
            timerTrap: traps
              ? new TrappedTimers(guestClock, () => this.elements[index]!.processor.timers)
              : undefined,
          },
        }),
    );
    this.monitor = new ProtectionMonitor(map, this.store, {
      seconds: () => clock.ticks() / clock.frequency,
      writer: () => this.#writer(),
      stop: (how) => {
        this.protectionStop = worseStop(this.protectionStop, how);
        this.loop.interrupt();
      },
      isTable: (page) => this.elements.some(({ processor: { state } }) => isTable(state, page)),
    });
    this.guestTrees = new GuestTrees(this.guest, this.monitor);
    this.services = new GuestServices({
      enabled: parts.guestServices ?? true,
      compatibility: parts.compatibility,
      facts: { memoryBytes, counterFrequency: clock.frequency, uuid: parts.uuid ?? new Uint8Array(16) },
      wallSeconds: () => clock.wallSeconds(),
      seconds: () => clock.ticks() / clock.frequency,
      log: (text) => parts.onGuestLog?.(text),
      integrity: this.guestTrees,
    });
    this.interpreter = this.#makeInterpreter();
    this.store.hooks.onCodeWrite = (frame, first, length) =>
      this.interpreter.codeWritten(frame, first, length);
    this.loop = new RunLoop({
      elements: this.elements,
      interpreter: this.interpreter,
      clock,
      instructionTime: parts.instructionTime,
      onTurn: (element) => {
        this.#running = element;
        if (this.shadow !== undefined) this.shadow.buffers.turnOf(element.index);
      },
    });
  }

  #makeInterpreter(): Interpreter {
    const { translationThreshold, profile, clock } = this.#parts;
    const { shadow } = this;
    return new Interpreter({
      memory: this.memory.memory,
      ...INSTRUCTION_SET,
      hotWords: HOT_WORDS,
      warmWords: WARM_WORDS,
      recordsBase: this.memory.allocate(recordCacheBytes(RECORD_PAGES), 16),
      recordPages: RECORD_PAGES,
      trace: (frame, first, length) => this.store.trace.addCode(frame, first, length),
      untrace: (frame) => this.store.trace.remove(frame, "TR_CODE"),
      banks: () => this.tlbs.bankAddresses(),
      ticks: () => clock.ticks(),
      serveMisses:
        shadow === undefined || this.#parts.memoryManagement?.check === true
          ? undefined
          : (host) => missFunctions({ map: this.guest.map, buffers: shadow.buffers }, host),
      ...(profile === true && { profile: this.memory.allocate(HANDLER_LIMIT * 4, 16) }),
      translator:
        translationThreshold === undefined
          ? undefined
          : {
              threshold: translationThreshold,
              tracksRegisters: this.#parts.tracksRegisters ?? true,
              base: this.memory.allocate(regionMemoryBytes(RECORD_PAGES), 16),
              isUniprocessor: this.#parts.cpus === 1,
              compiler: this.#parts.regionCompiler ?? INLINE_COMPILER,
              codeCache: this.#openCodeCache(),
            },
    });
  }

  #openCodeCache(): CodeCache | undefined {
    const { codeStore, cpus, tracksRegisters } = this.#parts;
    if (codeStore === undefined) return undefined;
    return new CodeCache(codeStore, {
      memoryPages: this.memory.memory.buffer.byteLength / 65536,
      tracksRegisters: tracksRegisters ?? true,
      element: cpus === 1 ? this.elements[0]?.base : undefined,
    });
  }

  /** Power-on, or reset: everything back, the boot plan applied again. */
  start(): void {
    const { plan } = this.#parts;
    this.#reset();
    applyBootPlan(plan, this.guest);
    this.shadow?.purge();
    for (const element of this.elements) {
      element.power = plan.secondaries === "start" || element.index === 0 ? "on" : "off";
      if (element.power === "on") element.processor.start(plan.start);
    }
  }

  /** In the place of {@link start} for a machine that is restored: memory stays empty, and nothing is on. */
  startEmpty(): void {
    this.#reset();
    for (const element of this.elements) element.power = "off";
  }

  #reset(): void {
    const { clock } = this.#parts;
    this.powerRequest = undefined;
    this.protectionStop = undefined;
    this.monitor.reset();
    this.guestTrees.reset();
    clock.reset();
    this.guestClock.reset();
    this.board.reset();
    this.services.reset();
    for (const element of this.elements) this.#resetElement(element);
  }

  #resetElement({ processor }: ProcessingElement): void {
    processor.reset();
    processor.state.write(SLOT.CNTFRQ_EL0, BigInt(this.guestClock.frequency));
  }

  /** What a machine must have in common with another one to take its state, by the options that decide it. */
  get description() {
    const { memoryBytes, cpus, secure, virtualization, plan, compatibility = "none", time } = this.#parts;
    return {
      "--memory": memoryBytes,
      "--cpus": cpus,
      "--secure": secure,
      "--virtualization": virtualization,
      "--compat": compatibility,
      "--deterministic": this.#parts.instructionTime !== undefined,
      "the path of --time-scale": time?.path ?? "scaled",
      "what answers PSCI": plan.psciConduit,
    };
  }

  get clock(): MachineClock {
    return this.#parts.clock;
  }

  /** Instructions executed by all elements since they were reset. */
  get instructions(): number {
    return this.elements.reduce((sum, element) => sum + element.instructions, 0);
  }

  #writer(): WriterPlace | undefined {
    const element = this.#running;
    return element && { element: element.index, pc: element.processor.state.pc };
  }

  #requestPower(what: PowerRequest): void {
    this.powerRequest = what;
    this.loop.interrupt();
  }

  #broadcastEvent(): void {
    for (const { processor } of this.elements) processor.signalEvent();
  }

  // PSCI.

  #conduit(kind: "hvc" | "smc", index: number): boolean {
    if (this.#parts.plan.psciConduit !== kind) return false;
    const caller = this.elements[index];
    if (caller === undefined) throw new Bug(`no element has index ${index}`);
    this.#caller = caller;
    const { state } = caller.processor;
    if (this.services.smcccCall(caller.caller) === "served") return true;
    const result = callPsci(this, [state.x(0), state.x(1), state.x(2), state.x(3)]);
    if (result !== "no return") state.setX(0, result & MASK64);
    return true;
  }

  #serviceCall(door: "debug channel" | "breakpoint", immediate: number, index: number): CallOutcome {
    if (door === "breakpoint" && immediate !== BACKDOOR_IMMEDIATE) return "not ours";
    const element = this.elements[index];
    if (element === undefined) throw new Bug(`no element has index ${index}`);
    return this.services.registerCall(element.caller);
  }

  #elementOf(affinity: bigint): ProcessingElement | undefined {
    return this.elements.find(({ index }) => BigInt(cpuAffinity(index)) === (affinity & AFFINITY_MASK));
  }

  cpuOn(affinity: bigint, entry: bigint, context: bigint) {
    const element = this.#elementOf(affinity);
    if (element === undefined) return PSCI_STATUS.INVALID_PARAMETERS;
    if (element.power === "on") return PSCI_STATUS.ALREADY_ON;
    const { secure, virtualization, plan } = this.#parts;
    this.#resetElement(element);
    element.processor.start(startState({ secure, virtualization }, plan.start.level, Number(entry), context));
    element.power = "on";
    return PSCI_STATUS.SUCCESS;
  }

  cpuOff(): void {
    if (this.#caller !== undefined) this.#caller.power = "off";
  }

  suspend(): void {
    if (this.#caller !== undefined) this.#caller.processor.sleep();
  }

  affinityInfo(affinity: bigint) {
    const element = this.#elementOf(affinity);
    if (element === undefined) return undefined;
    return element.power === "on" ? PSCI_POWER_STATE.ON : PSCI_POWER_STATE.OFF;
  }

  systemOff(): void {
    this.#requestPower("off");
  }

  systemReset(): void {
    this.#requestPower("reset");
  }
}
