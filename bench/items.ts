/** What is measured, as data. */

/** Items whose ratios are averaged together; the keys are what the command line takes. */
export const GROUPS = {
  boot: {
    title: "Boot of Debian's 6.1 cloud kernel to the shell's prompt",
    floor: 0.5,
    goal: 1,
    least: undefined,
  },
  "boot-warm": {
    title: "The same boot, with the translated code that two earlier boots kept",
    floor: 0.83,
    goal: 2,
    least: undefined,
  },
  integer: { title: "Integer loops", floor: 1.5, goal: 2.5, least: 0.9 },
  vector: { title: "Floating point and SIMD loops", floor: 4, goal: 8, least: undefined },
  memory: { title: "Large memory", floor: undefined, goal: undefined, least: undefined },
  system: { title: "System calls, signals, processes, memory maps", floor: 1.5, goal: 4, least: undefined },
  disk: { title: "Disks, 4 KiB at a time", floor: 0.7, goal: 1, least: undefined },
  share: {
    title: "A directory of the host; QEMU's with virtiofsd",
    floor: 0.7,
    goal: 1,
    least: 0.7,
  },
  exec: {
    title: "Commands in a guest: by our agent; in QEMU a program for each connection to a forwarded port",
    floor: 0.7,
    goal: 1,
    least: undefined,
  },
  programs: { title: "Programs in a Debian userland", floor: 1, goal: 2, least: 0.5 },
  network: {
    title: "User-mode network, a server on the same computer",
    floor: 0.7,
    goal: 1,
    least: 0.7,
  },
  userland: { title: "Loops in a Linux process", floor: undefined, goal: undefined, least: undefined },
} as const satisfies Record<string, Group>;

interface Group {
  readonly title: string;
  /** How many times as fast as QEMU the group's geometric mean must be, where that is laid down. */
  readonly floor: number | undefined;
  readonly goal: number | undefined;
  /** What every single item must be. */
  readonly least: number | undefined;
}

export type GroupName = keyof typeof GROUPS;

interface ItemFacts {
  readonly name: string;
  readonly group: GroupName;
}

/** A bare program: `kernels/SOURCE.c` with the board's start code, and the same as a program of the host. */
export interface KernelItem extends ItemFacts {
  readonly kind: "kernel";
  readonly source: string;
  /** About three seconds of QEMU's on a computer of the year 2023, so that little of it is compilers' time. */
  readonly iterations: number;
  readonly element?: "int32_t" | "double" | "float";
  /** Let the compiler use vectors. */
  readonly vectorise?: boolean;
  /** The host may compute something else because it rounds more often (no fused multiply-add). */
  readonly rounds?: boolean;
  /** Needs FEAT_LSE, which Cortex-A57 does not have. */
  readonly largeSystemExtensions?: boolean;
}

/** A test of `guest/system.c`, which runs as process 1 of Debian's kernel and as a program of the host. */
export interface SystemItem extends ItemFacts {
  readonly kind: "system";
  readonly iterations: number;
}

/** A script in `programs/` that runs a program of Debian's, in the guest and on the host. */
export interface ProgramItem extends ItemFacts {
  readonly kind: "program";
  readonly iterations: number;
  /** It works for a time and counts; the time for this much is then its result. */
  readonly unit?: number;
}

/** A test of `guest/network.c` in the default guest, with the host's loopback address at the other end. */
export interface NetworkItem extends ItemFacts {
  readonly kind: "network";
  /** Mebibytes, or exchanges. */
  readonly iterations: number;
}

/** Debian's kernel with the default guest's initial file system, until the shell asks for a command. */
export interface BootItem extends ItemFacts {
  readonly kind: "boot";
  /** Our machine finds the code that earlier boots kept. */
  readonly warm?: boolean;
}

/** A test of `guest/disk.c`, in the default guest with a raw and a qcow2 disk. A repetition moves 4 KiB. */
export interface DiskItem extends ItemFacts {
  readonly kind: "disk";
  readonly iterations: number;
}

/** A test of `guest/share.c` in the default guest, with a directory of the host. */
export interface ShareItem extends ItemFacts {
  readonly kind: "share";
  /** Mebibytes, or files. */
  readonly iterations: number;
}

/** One command after the other in the default guest, from the host. */
export interface ExecItem extends ItemFacts {
  readonly kind: "exec";
  /** Commands. */
  readonly iterations: number;
}

export type Item =
  | KernelItem
  | SystemItem
  | ProgramItem
  | BootItem
  | DiskItem
  | NetworkItem
  | ShareItem
  | ExecItem;

type KernelOptions = Partial<
  Pick<KernelItem, "element" | "vectorise" | "rounds" | "largeSystemExtensions" | "source">
>;

function kernel(
  group: GroupName,
  name: string,
  iterations: number,
  { source = name, ...options }: KernelOptions = {},
): KernelItem {
  return { kind: "kernel", name, group, source, iterations, ...options };
}

function system(group: GroupName, name: string, iterations: number): SystemItem {
  return { kind: "system", name, group, iterations };
}

function program(name: string, iterations: number, unit?: number): ProgramItem {
  return { kind: "program", name, group: "programs", iterations, ...(unit !== undefined && { unit }) };
}

function disk(name: string, iterations: number): DiskItem {
  return { kind: "disk", name, group: "disk", iterations };
}

function share(name: string, iterations: number): ShareItem {
  return { kind: "share", name, group: "share", iterations };
}

function network(name: string, iterations: number): NetworkItem {
  return { kind: "network", name, group: "network", iterations };
}

export const ITEMS: readonly Item[] = [
  { kind: "boot", name: "boot", group: "boot" },
  { kind: "boot", name: "boot-warm", group: "boot-warm", warm: true },
  kernel("integer", "crc32", 1600),
  kernel("integer", "matrix-integer", 600, { source: "matrix", element: "int32_t" }),
  kernel("integer", "quicksort", 1600),
  kernel("integer", "linked-list", 400_000),
  kernel("integer", "sieve", 240),
  kernel("integer", "state-machine", 4000),
  kernel("integer", "bytecode", 600),
  kernel("integer", "indirect-calls", 16_000),
  kernel("integer", "recursion", 800),
  kernel("integer", "strings", 6000),
  kernel("integer", "atomics", 60_000),
  kernel("integer", "atomics-lse", 60_000, { source: "atomics", largeSystemExtensions: true }),
  kernel("integer", "multiply64", 60_000),
  kernel("integer", "divide64", 16_000),
  kernel("integer", "mixed", 12_000),
  kernel("vector", "nbody-double", 600, { source: "nbody", element: "double", rounds: true }),
  kernel("vector", "nbody-single", 600, { source: "nbody", element: "float", rounds: true }),
  kernel("vector", "mandelbrot-double", 160, { source: "mandelbrot", element: "double", rounds: true }),
  kernel("vector", "mandelbrot-single", 160, { source: "mandelbrot", element: "float", rounds: true }),
  kernel("vector", "matrix-double", 48, { source: "matrix", element: "double", rounds: true }),
  kernel("vector", "matrix-single", 48, { source: "matrix", element: "float", rounds: true }),
  kernel("vector", "saxpy", 20_000, { vectorise: true, rounds: true }),
  kernel("vector", "dot-product", 40_000, { vectorise: true }),
  kernel("vector", "pixels", 40_000, { vectorise: true }),
  kernel("memory", "memory-copy", 4, { vectorise: true }),
  kernel("memory", "pointer-chase", 150),
  system("system", "system-call", 100_000),
  system("system", "signal", 30_000),
  system("system", "ping-pong", 5000),
  system("system", "fork", 500),
  system("system", "fork-exec", 300),
  system("system", "map-touch-unmap", 100),
  disk("sequential-write", 32_768),
  disk("sequential-read", 32_768),
  disk("random-write", 40_000),
  disk("random-read", 40_000),
  disk("qcow2-sequential-write", 32_768),
  disk("qcow2-sequential-read", 32_768),
  disk("qcow2-random-write", 40_000),
  disk("qcow2-random-read", 40_000),
  share("share-write", 128),
  share("share-read", 128),
  share("share-files", 2000),
  { kind: "exec", name: "exec-round-trips", group: "exec", iterations: 500 },
  program("python3", 30),
  program("perl", 40),
  program("gzip", 1),
  program("xz", 1),
  program("gcc", 1),
  program("openssl-sha256", 5, 10_000),
  program("openssl-aes-128-gcm", 5, 10_000),
  program("openssl-rsa", 5, 10),
  network("network-receive", 300),
  network("network-send", 300),
  network("network-round-trips", 2000),
  network("network-connections", 500),
  system("userland", "clock", 5_000_000),
  system("userland", "string-functions", 10_000),
];

/** The items that names of groups and items stand for, in the table's order; all for no names. */
export function selectItems(names: readonly string[]): { items: Item[]; unknown: string[] } {
  const known = new Set<string>([...Object.keys(GROUPS), ...ITEMS.map(({ name }) => name)]);
  const wanted = new Set(names);
  return {
    items: ITEMS.filter(({ name, group }) => wanted.size === 0 || wanted.has(name) || wanted.has(group)),
    unknown: names.filter((name) => !known.has(name)),
  };
}
