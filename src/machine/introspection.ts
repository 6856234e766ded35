import { hex } from "../base/bits.ts";
import { assertNever, UserError } from "../base/errors.ts";
import type { StateSink } from "../base/state-sink.ts";
import { SLOT } from "../cpu/element-state.ts";
import { type Inspection, inspectGuest } from "../introspection/inspection.ts";
import type { ElementView, GuestView } from "../introspection/kernel/guest-view.ts";
import type { KernelSymbol } from "../introspection/kernel/kallsyms.ts";
import { LinuxKernel } from "../introspection/kernel/linux-kernel.ts";
import { codeOf, type KernelPages, kernelPages } from "../introspection/protection/kernel-pages.ts";
import type { MonitoredWrite } from "../introspection/protection/monitor.ts";
import { buildTree, type ProtectionAction } from "../introspection/protection/page-tree.ts";
import {
  type ProtectionDocument,
  type ProtectionHandlers,
  type ProtectionRequest,
  treeDocument,
  type WriteDocument,
  writeDocument,
} from "../introspection/protection/protection-document.ts";
import { WriteCallbacks } from "../introspection/protection/write-callbacks.ts";
import {
  type HalfDocument,
  halfDocument,
  type ScanDocument,
  type ScanRequest,
} from "../introspection/scan/scan-document.ts";
import { Scanner } from "../introspection/scan/scanner.ts";
import type { StoredRegisterName } from "../isa/system-registers/table.ts";
import type { TranslationRegisterName } from "../mmu/translation-registers.ts";
import type { Machine } from "./machine.ts";
import type { ProcessingElement } from "./processing-element.ts";

/** Looks into a machine's guest from outside, between two bursts; nothing has to run in the guest for it. */
export class Introspection {
  readonly #machine: Machine;
  readonly #now: () => number;
  #kernel: LinuxKernel | undefined;
  /** The kernel that was protected last, for the names of its places. */
  #protected: { readonly kernel: LinuxKernel; readonly pages: KernelPages } | undefined;
  #scanner: Scanner | undefined;
  readonly #callbacks = new WriteCallbacks();
  #handlers: ProtectionHandlers = {};
  /** What became of the last snapshot that a write asked for. */
  #kept: string | undefined;

  /** `now`: milliseconds of the host, for figures. */
  constructor(machine: Machine, now: () => number = () => 0) {
    this.#machine = machine;
    this.#now = now;
    machine.monitor.onWrite = (write) => {
      if (write.action === "callback") this.#callbacks.add(write);
    };
  }

  /** The guest's processes, modules and address spaces at this moment. */
  inspect(): Inspection & { readonly protection: ProtectionDocument } {
    const view = guestView(this.#machine);
    const { trees, writes, paused } = this.protect({ kind: "state" });
    const protection = { trees, writes: writes.slice(-SHOWN_WRITES), paused };
    return { ...inspectGuest(view, this.kernel(view)), protection };
  }

  kernelSymbols(): readonly KernelSymbol[] {
    return this.kernel().symbols;
  }

  /** Finds what is mapped, by executing AT (row M9). */
  scan(request: ScanRequest): ScanDocument {
    const view = guestView(this.#machine);
    const [element] = view.elements;
    if (element === undefined)
      throw new UserError("No processor of the machine is on, so nothing is mapped.");
    const scans: HalfDocument[] = [];
    const scan = (half: "user" | "kernel", lowerTables: bigint, processes: readonly string[]): void => {
      const began = this.#now();
      const target = {
        ...{ space: element.space(lowerTables), half },
        registers: element.translationRegisters(lowerTables),
      };
      const result = this.#scanning().scan(target, request.usingTables);
      const tables = hex((half === "user" ? lowerTables : element.upperTables) & TABLE_ADDRESS);
      const milliseconds = this.#now() - began;
      scans.push(halfDocument(result, { half, tables, processes, milliseconds }, request));
    };
    if (request.half !== "user") scan("kernel", element.lowerTables, []);
    if (request.half !== "kernel") {
      for (const { tables, processes } of this.#spaces(view, element, request))
        scan("user", tables, processes);
    }
    return { scans };
  }

  #spaces(view: GuestView, element: ElementView, { space }: ScanRequest) {
    if (space === "current") return [{ tables: element.lowerTables, processes: [] }];
    if (typeof space === "object" && "pid" in space) {
      const { tables, process } = this.#tablesOf(view, space.pid);
      return [{ tables, processes: [process] }];
    }
    const { addressSpaces } = inspectGuest(view, this.kernel(view));
    const wanted = typeof space === "object" ? space.asid : undefined;
    const found = addressSpaces.filter(({ asids }) => wanted === undefined || asids.includes(wanted));
    if (wanted !== undefined && found.length === 0) {
      throw new UserError(
        `No address space with ASID ${wanted} is in use; they are known in machines that run with --mmu shadow.`,
      );
    }
    return found.map(({ tables, processes: users }) => ({ tables: BigInt(tables), processes: users }));
  }

  #scanning(): Scanner {
    const { guest, store } = this.#machine;
    this.#scanner ??= new Scanner(
      { map: guest.map, store, clock: this.#machine.clock },
      guestView(this.#machine).reader,
    );
    return this.#scanner;
  }

  /** Bytes from `address` on, as far as they are mapped for the kernel, or for the process `pid`. */
  read(address: bigint, length: number, pid?: number): Uint8Array {
    const view = guestView(this.#machine);
    const [element] = view.elements;
    if (element === undefined) return new Uint8Array(0);
    const tables = pid === undefined ? undefined : this.#tablesOf(view, pid).tables;
    return view.reader.read(element.space(tables), address, length).bytes;
  }

  #tablesOf(view: GuestView, pid: number): { tables: bigint; process: string } {
    const process = inspectGuest(view, this.kernel(view)).processes.find((one) => one.pid === pid);
    if (process === undefined) throw new UserError(`The guest has no process ${pid}.`);
    if (process.tables === undefined) {
      throw new UserError(`Process ${pid} is a thread of the kernel and has no address space of its own.`);
    }
    return { tables: BigInt(process.tables), process: `${process.name} (${pid})` };
  }

  /** Protects the kernel's pages, or says what has happened to protected ones (row M7). */
  protect(request: ProtectionRequest): ProtectionDocument {
    const { monitor } = this.#machine;
    switch (request.kind) {
      case "kernel":
        this.#protectKernel(request.action, request.allow);
        break;
      case "remove":
        this.#unprotect(request.handle);
        break;
      case "resume":
        this.#machine.protectionStop = undefined;
        break;
      case "state":
        break;
      default:
        return assertNever(request, "a protection request");
    }
    return {
      trees: monitor.trees.map(treeDocument),
      writes: this.#writes(request.kind === "state" ? (request.since ?? 0) : Number.POSITIVE_INFINITY),
      paused: this.#machine.protectionStop === "pause",
      snapshot: this.#kept,
    };
  }

  /** See GuestIntrospection. */
  handle(handlers: ProtectionHandlers): void {
    this.#handlers = { ...this.#handlers, ...handlers };
    const { written } = this.#handlers;
    if (handlers.written === undefined) return;
    this.#callbacks.listen((writes, dropped) => written?.(this.#documents(writes), dropped));
  }

  /** Between two bursts: tells the owner's listener of writes. */
  deliver(): void {
    this.#callbacks.deliver();
  }

  /** Lets the owner keep the machine behind a write, where he wants to. */
  async keep(take: (sink: StateSink) => Promise<void>): Promise<void> {
    const { keep } = this.#handlers;
    this.#kept = "No snapshot was taken: nobody has said where to keep it.";
    if (keep === undefined) return;
    try {
      this.#kept = await keep(take);
    } catch (error) {
      // The machine stands still all the same; its owner reads why.
      this.#kept = error instanceof Error ? error.message : String(error);
    }
  }

  #protectKernel(action: ProtectionAction, allow: readonly string[]): void {
    const kernel = this.kernel();
    const allowed = allow.map((name) => {
      const code = codeOf(kernel, name);
      if (code === undefined) throw new UserError(`The guest's kernel has no function ${name}.`);
      return code;
    });
    const pages = kernelPages(kernel, action);
    if (pages === undefined) {
      throw new UserError(
        "The symbols of the guest's kernel do not say where its code and read-only data are.",
      );
    }
    const { root, memory } = buildTree(pages.entries, action);
    const result = this.#machine.monitor.protect("host", root, memory, allowed);
    if (typeof result === "string") throw new UserError(`The kernel's pages cannot be protected: ${result}.`);
    this.#protected = { kernel, pages };
  }

  #unprotect(handle: number | undefined): void {
    const { monitor } = this.#machine;
    if (handle !== undefined) {
      if (!monitor.remove(handle))
        throw new UserError(`The machine has no tree ${handle} of protected pages.`);
    } else for (const tree of monitor.trees) monitor.remove(tree.handle);
  }

  #writes(since: number): WriteDocument[] {
    return this.#documents(this.#machine.monitor.writes(since));
  }

  #documents(writes: readonly MonitoredWrite[]): WriteDocument[] {
    const of = this.#protected;
    return writes.map((write) => writeDocument(write, of?.kernel, (address) => of?.pages.virtualOf(address)));
  }

  /** The kernel that runs at present; finding one takes a second, so it is kept while it stays the same. */
  kernel(view: GuestView = guestView(this.#machine)): LinuxKernel {
    if (this.#kernel?.isIn(view) !== true) this.#kernel = LinuxKernel.find(view);
    if (this.#kernel === undefined) {
      throw new UserError(
        "No Linux kernel with a symbol table (CONFIG_KALLSYMS) is found in the guest; it may still be starting: try again.",
      );
    }
    return this.#kernel;
  }
}

/** Writes to protected pages that an inspection has. */
const SHOWN_WRITES = 100;
const TABLE_ADDRESS = 0xffff_ffff_f000n;

/** TCR_EL1.HA and HD, and the same of VTCR_EL2. */
const TCR_HARDWARE_FLAGS = 3n << 39n;
const VTCR_HARDWARE_FLAGS = 3n << 21n;
const HCR_VM = 1n;
const HCR_RW = 1n << 31n;

/** A machine's guest as introspection sees it. */
export function guestView({ elements }: Machine): GuestView {
  return {
    reader: elements[0]!.mmu.reader,
    elements: elements.filter(({ power }) => power === "on").map(elementView),
  };
}

function elementView({ index, processor, mmu }: ProcessingElement): ElementView {
  const { state } = processor;
  const level = mmu.context.isE2h ? "EL2" : "EL1";
  return {
    index,
    level: state.el,
    pc: state.pc,
    vectors: state.read(SLOT[`VBAR_${level}`]),
    lowerTables: state.read(SLOT[`TTBR0_${level}`]),
    upperTables: state.read(SLOT[`TTBR1_${level}`]),
    control: state.read(SLOT[`TCR_${level}`]),
    space: (lowerTables) => mmu.systemSpace(lowerTables),
    translationRegisters(lowerTables) {
      const read = (name: TranslationRegisterName) => mmu.context.registers.read(name);
      const registers = new Map<StoredRegisterName, bigint>([
        ["TTBR0_EL1", lowerTables ?? read(`TTBR0_${level}`)],
        ["TTBR1_EL1", read(`TTBR1_${level}`)],
        ["TCR_EL1", read(`TCR_${level}`) & ~TCR_HARDWARE_FLAGS],
        ["MAIR_EL1", read(`MAIR_${level}`)],
        ["SCTLR_EL1", read(`SCTLR_${level}`)],
        ["HCR_EL2", HCR_RW],
      ]);
      if (mmu.systemSpace().stage2 !== undefined) {
        registers.set("HCR_EL2", HCR_RW | HCR_VM);
        registers.set("VTCR_EL2", read("VTCR_EL2") & ~VTCR_HARDWARE_FLAGS);
        registers.set("VTTBR_EL2", read("VTTBR_EL2"));
      }
      return registers;
    },
    addressSpaces: () => mmu.context.addressSpaces(),
  };
}
