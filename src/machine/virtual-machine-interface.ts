import type { StateSink } from "../base/state-sink.ts";
import type { BlockStore } from "../devices/storage/block-store.ts";
import type { BalloonStatistics } from "../devices/virtio/balloon.ts";
import type { FileServer } from "../devices/virtio/file-system.ts";
import type { SocketConnection, SocketHandler } from "../devices/virtio/socket/connection.ts";
import type { SocketListener } from "../devices/virtio/socket/socket-device.ts";
import type { Compatibility } from "../hypervisor/guest-services.ts";
import type { ServiceAnswer, ServiceInputs, ServiceName } from "../hypervisor/services/host-calls.ts";
import type { ToolsOrder, ToolsState } from "../hypervisor/vmware/guest-tools.ts";
import type { Inspection } from "../introspection/inspection.ts";
import type { KernelSymbol } from "../introspection/kernel/kallsyms.ts";
import type {
  ProtectionDocument,
  ProtectionHandlers,
  ProtectionRequest,
} from "../introspection/protection/protection-document.ts";
import type { ScanDocument, ScanRequest } from "../introspection/scan/scan-document.ts";
import type { PublishedPort } from "../network/publish.ts";
import type { DeviceAlias } from "../platform/aliases/device-aliases.ts";
import type { SmbiosIdentity } from "../platform/smbios/identity.ts";
import type { BootFile } from "./boot/boot-file.ts";
import type { PlacedFile } from "./boot/boot-plan.ts";
import type { Decompressors } from "./boot/kernel-image.ts";
import type { AcpiChoice } from "./boot/system-description.ts";
import type { GuestTimeChoice } from "./machine.ts";

export type { SocketConnection, SocketHandler, SocketListener };

/**
 * Takes the bytes that a guest writes, a copy of its own each time. While a returned promise is pending, the
 * machine does not run: so a slow reader loses nothing and nothing piles up.
 */
export type ByteOutput = (bytes: Uint8Array) => void | Promise<void>;

/** Bytes on their way into the guest. */
export interface ByteInput {
  /** Resolves when the guest's device has taken all of `bytes`; until then the caller should send no more. */
  send(bytes: Uint8Array): Promise<void>;
}

/** A virtio console (hvc0 in Linux) that stands for one terminal. */
export interface VirtioConsole extends ByteInput {
  /** Tells the guest that the terminal has another size (VIRTIO_CONSOLE_F_SIZE, configuration change). */
  resize(columns: number, rows: number): void;
}

/** A named port of a virtio console device: plain bytes, in Linux /dev/vportNpM (VIRTIO_CONSOLE_F_MULTIPORT). */
export interface VirtioPort extends ByteInput {
  /**
   * Ends the input: after what has been sent, the guest reads an end of file. (The host's PORT_OPEN with
   * value 0, once all bytes lie in the guest's buffers.)
   */
  end(): void;
}

/** Where a virtio device sits: in one of the board's 32 MMIO slots, or on its PCIe bus, with MSI-X. */
export type VirtioBus = "mmio" | "pci";

/** Streams between ports of the guest and of the host (in Linux AF_VSOCK, the host being CID 2). */
export interface GuestSockets {
  /** Asks the guest for a connection to its port; the handler hears whether it takes it. */
  connect(port: number, handler: SocketHandler): SocketConnection;
  /** Takes connections to a port of the host. Returns how to stop that. */
  listen(port: number, listener: SocketListener): () => void;
}

/** A disk. What it reports as an error is an I/O error of the guest's. */
export interface Drive extends BlockStore {
  /** The machine's usual one, where nothing is said. */
  readonly bus?: VirtioBus | undefined;
}

/** Contents of flash 1, and where they are kept. */
export interface VariableStore {
  readonly contents: BootFile;
  /**
   * Keeps bytes that the guest's firmware wrote; false when that failed, which the flash then reports to the
   * guest. It must not call back into the machine.
   */
  readonly write: (offset: number, bytes: Uint8Array) => boolean;
}

/** The guest's network. */
export interface NetworkOptions {
  /**
   * Destinations that the guest may reach, as "HOST:PORT": HOST is a name, "*.NAME", an IPv4 address, or an IPv6 one
   * in brackets, PORT may be "*". Everything else is denied, other names are not resolved. Unless given, the guest
   * reaches what its host does.
   */
  readonly allow?: readonly string[] | undefined;
  /**
   * Ports of the host that lead into the guest, as "[ADDRESS:]HOSTPORT:GUESTPORT[/udp]". The address is 127.0.0.1
   * unless given; port 0 takes any that is free (see {@link VirtualMachine.publishedPorts}).
   */
  readonly publish?: readonly string[] | undefined;
  /** Such as "52:54:00:12:34:56". */
  readonly macAddress?: string | undefined;
}

/** How addresses are translated unless something else is asked for. */
export const DEFAULT_MMU = "walk";

/** What a machine is made of. Either a kernel or firmware is needed; what is not given is left out. */
export interface VirtualMachineOptions {
  readonly memoryBytes: number;
  /** Processing elements. */
  readonly cpus: number;
  /** NUMA domains that the machine says it has, each with a part of memory and processing elements. 1 unless given. */
  readonly numaDomains?: number | undefined;
  readonly kernel?: BootFile | undefined;
  readonly initrd?: BootFile | undefined;
  readonly commandLine?: string | undefined;
  /** A device tree instead of the machine's own. */
  readonly deviceTree?: BootFile | undefined;
  /** Contents of flash 0. */
  readonly firmware?: BootFile | undefined;
  /** Flash 1, where firmware keeps its variables; without it, they are gone when the machine ends. */
  readonly variables?: VariableStore | undefined;
  /** What describes the devices; unless given, ACPI to firmware and a device tree to kernels. */
  readonly acpi?: AcpiChoice | undefined;
  /** Ids under which the guest knows drivers for devices whose own ids it does not know. */
  readonly aliases?: readonly DeviceAlias[] | undefined;
  /** What else is put into memory before the start, and at each reset. ACPI tables in it go before converted ones. */
  readonly files?: readonly PlacedFile[] | undefined;
  /** What the machine says that it is (SMBIOS). */
  readonly identity?: SmbiosIdentity | undefined;
  /** What the host can unpack. */
  readonly decompressors?: Decompressors | undefined;
  /** EL3 and the Secure devices exist. */
  readonly secure?: boolean;
  /** EL2 exists. */
  readonly virtualization?: boolean;
  /** Time follows the instruction count and nothing is random. */
  readonly deterministic?: boolean;
  /**
   * "translator" (unless given): what is jumped to often becomes WebAssembly functions, the rest is
   * interpreted. "interpreter": everything is. Both do exactly the same.
   */
  readonly engine?: "interpreter" | "translator";
  /**
   * Where hot code is translated: on a thread of its own while the guest goes on ("background", unless given, where the
   * host has threads and time is not deterministic), or on the machine's ("inline"). The guest runs the same.
   */
  readonly translation?: "background" | "inline";
  /**
   * Where translated code is kept, so that later machines start with it: a directory's path, or false for nowhere. The
   * host's own place unless given. Deterministic machines neither keep nor use any.
   */
  readonly codeCache?: string | false | undefined;
  /** Write all code that was kept anew, and compare: slow, for finding defects. */
  readonly codeCacheCheck?: boolean | undefined;
  /**
   * False: translated code stores its registers after each block of code instead of where it is left, to see what
   * that is worth. The guest runs the same, only slower.
   */
  readonly registerTracking?: boolean;
  /**
   * False: the processor is asked for each count of the system counter, instead of translated code computing it. The
   * guest runs the same, only slower.
   */
  readonly inlineCounters?: boolean;
  /**
   * "shadow": misses of the soft TLB are answered from shadow tables, which follow the guest's tables by recorded
   * writes. "walk" (unless given): by walking the guest's tables. Both do exactly the same.
   */
  readonly mmu?: "walk" | "shadow";
  /**
   * With shadow tables, what TLBI of a regime or an ASID does: drop its translations ("full", unless given), or only
   * those that the guest has changed.
   */
  readonly tlbi?: "full" | "incremental";
  /** Compare every translation from shadow tables with a walk: slow, for finding defects. */
  readonly mmuCheck?: boolean;
  /**
   * Another hypervisor's guest interface, answered besides our own: "vmware" for open-vm-tools. The machine's
   * description then names it, so that guests look for it.
   */
  readonly compatibility?: Compatibility | undefined;
  /**
   * How fast the guest's counters and timers run, and how that is done: unless given at the host's pace, and "scaled".
   */
  readonly time?: GuestTimeChoice | undefined;
  /**
   * Ticks of the system counter in a second, 62,500,000 unless given. A machine that is restored keeps the frequency that
   * its guest knows: its counter then runs at the machine's, scaled.
   */
  readonly counterFrequency?: number | undefined;
  /** Whether the guest may call its hypervisor (docs/reference/services.md), at first; it may unless given. */
  readonly guestServices?: boolean | undefined;
  /** Lines that the guest logs with its host (service "log", VMware's "log"). */
  readonly onGuestLog?: ((text: string) => void) | undefined;
  /** Where virtio devices sit for which nothing else is said. "mmio" unless given. */
  readonly virtioBus?: VirtioBus | undefined;
  /** A memory balloon that is to hold so many bytes at first, where one is wanted. */
  readonly balloon?: { readonly bytes: number } | undefined;
  /** virtio-blk devices, in their order. */
  readonly drives?: readonly Drive[];
  /** virtio file system devices: directories of the host, which the guest mounts by their tags. */
  readonly shares?: readonly { readonly tag: string; readonly server: FileServer }[];
  /**
   * A virtio-net card, where wanted, with a network that speaks through the host's sockets. The guest is 10.0.2.15 (by
   * DHCP) and in fd00:10:0:2::/64; 10.0.2.2 is its gateway and, for its services, the host; 10.0.2.3 resolves names.
   */
  readonly net?: NetworkOptions | undefined;
  /** What the guest writes to its PL011. */
  readonly serial: ByteOutput;
  /** A virtio console device with one port, where wanted. The size is the terminal's at the start. */
  readonly console?:
    | { readonly output: ByteOutput; readonly columns: number; readonly rows: number }
    | undefined;
  /** A second virtio console device, with these named ports, where wanted. They are open on the host's side. */
  readonly ports?: readonly { readonly name: string; readonly output: ByteOutput }[] | undefined;
  /** A virtio socket device (vsock), where wanted. */
  readonly sockets?: boolean;
  /** What happens when the guest reboots: the machine starts again with the same inputs (the default), or ends. */
  readonly onReboot?: "restart" | "end";
  /**
   * The state stream of a machine with the same options, kept by {@link VirtualMachine.snapshot}: the machine goes on
   * from there instead of booting. Its drives must hold what they held then.
   */
  readonly restore?: AsyncIterable<Uint8Array> | undefined;
  /** Bytes from the host's source of randomness; not used by a deterministic machine. */
  readonly randomBytes?: (length: number) => Uint8Array;
}

/** Why a machine has ended. */
export type ExitReason =
  /** The guest switched the machine off (PSCI SYSTEM_OFF). */
  | { readonly kind: "power-off" }
  /** The guest rebooted, and `onReboot` is "end". */
  | { readonly kind: "reboot" }
  /** {@link VirtualMachine.stop} was called. */
  | { readonly kind: "stopped" }
  /** The machine can make no further progress; the sentence says why. */
  | { readonly kind: "failed"; readonly sentence: string };

/** Figures about a run, for people and for `--stats`: names with their units, such as `instructions`. */
export type MachineStatistics = Readonly<Record<string, number | string | boolean>>;

/** A balloon in the guest's memory. What it holds the guest does not use; the host's own use stays the same. */
export interface MemoryBalloon {
  /** Bytes it is to hold; the guest follows when it can. */
  readonly target: number;
  /** Bytes it holds. */
  readonly size: number;
  /** Whole pages of 4 KiB; what is beyond them does not count. */
  setTarget(bytes: number): void;
  /** The guest's figures about its memory. Empty when its driver has none. */
  statistics(): Promise<BalloonStatistics>;
}

/** What the guest's tools and its hypervisor tell each other. */
export interface GuestTools {
  /** Whether calls are answered. While not, their instructions do what the architecture says. */
  services: boolean;
  /** Named values that the guest or the host has set; bytes. */
  readonly info: ReadonlyMap<string, Uint8Array>;
  /** Sets a named value for the guest to read. A key or value that is too long is a UserError. */
  set(key: string, value: Uint8Array): void;
  /**
   * Calls a service of docs/reference/services.md from outside, as a kernel in the guest would:
   * `call("guestinfo-get", { key }).value`. An answer other than success is a UserError.
   */
  call<Name extends ServiceName>(name: Name, inputs: ServiceInputs<Name>): ServiceAnswer<Name>;
  /** What the tools have said of themselves. */
  state(): ToolsState;
  /** Whether the tools are to keep the guest's clock at the host's; not, at first. */
  syncTime(wanted: boolean): void;
  /** Gives the guest's tools an order; false while none listen. */
  order(order: ToolsOrder): boolean;
}

/** The eight lines of the board's GPIO controller, a PL061, as what hangs on them sees them. */
export interface GpioLines {
  /** Bit N is line N: what the guest drives, and what {@link set} drives into lines that are inputs of the guest's. */
  readonly levels: number;
  /** Drives a line, 0 to 7, from outside. Line 3 is the power button. */
  set(line: number, level: boolean): void;
}

/** Looks into the guest that need nothing inside it; where its kernel cannot be found, a UserError. */
export interface GuestIntrospection {
  /** Processes, modules and address spaces at this moment. */
  inspect(): Inspection & { readonly protection: ProtectionDocument };
  /** What is mapped in an address space, found by executing AT. */
  scan(request: ScanRequest): ScanDocument;
  /** Memory of the kernel's address space, or of a process's, as far as it can be read; nothing notices. */
  read(address: bigint, length: number, pid?: number): Uint8Array;
  /** Protects pages of its kernel, and tells of writes to protected pages. */
  protect(request: ProtectionRequest): ProtectionDocument;
  /** What is done about writes to protected pages with the actions callback and snapshot+pause; what is given replaces. */
  handle(handlers: ProtectionHandlers): void;
  /** Its kernel's symbols, as /proc/kallsyms has them, sorted by address. */
  kernelSymbols(): readonly KernelSymbol[];
}

/** The pace of the guest's clock. */
export interface GuestPace {
  /** Guest's seconds in a second of the host's; 0 when its time stands still. */
  readonly scale: number;
  /** Takes effect at once; the guest's clock neither jumps nor goes back. */
  setScale(scale: number): void;
}

/** A machine that has been put together but may not have started yet. */
export interface VirtualMachine {
  /** The serial port's input. */
  readonly serial: ByteInput;
  readonly console: VirtioConsole | undefined;
  readonly ports: ReadonlyMap<string, VirtioPort>;
  /** Where {@link VirtualMachineOptions.balloon} asked for one. */
  readonly balloon?: MemoryBalloon | undefined;
  readonly guest: GuestTools;
  /** Not where another machine than ours is behind this interface. */
  readonly gpio?: GpioLines | undefined;
  /** A look into the guest from outside, where the machine can give one. */
  readonly introspection?: GuestIntrospection | undefined;
  readonly pace: GuestPace;
  /** What `net.publish` asked for, with the ports that were bound. */
  readonly publishedPorts: readonly PublishedPort[];
  /** Where `sockets` was asked for. */
  readonly sockets?: GuestSockets | undefined;
  /** Runs, returning to the event loop often enough for input and timers, until the machine ends. */
  run(): Promise<ExitReason>;
  /** Ends {@link run} soon. */
  stop(): void;
  stats(): MachineStatistics;
  /**
   * Hands the machine's whole state over, piece by piece; it stands still meanwhile and goes on afterwards. What cannot
   * be kept, such as an open file of a shared directory, is a UserError. Connections through the network and the socket
   * device end where the state is restored. Not where another machine than ours is behind this interface.
   */
  snapshot?(sink: StateSink): Promise<void>;
}

/** Puts a machine together; unfit inputs are a UserError. */
export type VirtualMachineFactory = (options: VirtualMachineOptions) => Promise<VirtualMachine>;
