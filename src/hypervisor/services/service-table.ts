import type { GuestInfo } from "./guest-info.ts";

/** What guests may ask about pages that are protected for them; numbers are SERVICE_STATUS and results. */
export interface IntegrityServices {
  /** A tree whose root is the page at an address: a node that is there, or, where all is zero, a new one. */
  create(root: bigint): ServiceResult;
  /** Adds pages to a leaf of a tree that is not sealed. */
  add(handle: bigint, address: bigint, pagesAndAction: bigint, cookie: bigint): ServiceResult;
  /** Looks the tree through; from then on it is protected, and so are its pages. */
  seal(handle: bigint): ServiceResult;
  /** Forgets a tree that is not sealed. */
  remove(handle: bigint): ServiceResult;
  query(handle: bigint): ServiceResult;
}

/** What services do their work with. */
export interface ServiceHost {
  readonly integrity: IntegrityServices;
  readonly info: GuestInfo;
  /** Nanoseconds since 1970. */
  wallNanoseconds(): bigint;
  /** A line of the guest's for whoever watches the machine. */
  log(text: string): void;
}

/** An argument: a number, or memory of the caller's as an address in one register and a length in the next. */
export type ServiceArgument =
  | { readonly name: string; readonly kind: "number" }
  | { readonly name: string; readonly kind: "input" | "output"; readonly most: number };

/** What a service leaves: numbers for result registers, and bytes for its output argument. */
export interface ServiceResult {
  readonly status: ServiceStatus;
  readonly numbers?: readonly bigint[];
  readonly bytes?: Uint8Array;
}

/** The first result of every call, from programs as a negative number. */
export const SERVICE_STATUS = {
  SUCCESS: 0n,
  UNKNOWN: -1n,
  INVALID: -2n,
  DENIED: -3n,
  NOT_FOUND: -4n,
  TOO_MUCH: -5n,
} as const;
export type ServiceStatus = (typeof SERVICE_STATUS)[keyof typeof SERVICE_STATUS];

/** One call that guests can make of their host, by whichever door. */
export interface Service {
  readonly number: number;
  readonly name: string;
  readonly description: string;
  /** Who may call: programs too, or only kernels. */
  readonly privilege: "user" | "kernel";
  readonly arguments: readonly ServiceArgument[];
  /** Names of the numbers that it answers after the status. */
  readonly results: readonly string[];
  serve(host: ServiceHost, numbers: readonly bigint[], inputs: readonly Uint8Array[]): ServiceResult;
}

/** What each status says to people. */
export const STATUS_TEXTS: Readonly<Record<keyof typeof SERVICE_STATUS, string>> = {
  SUCCESS: "done",
  UNKNOWN: "the host does not know this service",
  INVALID: "an argument is not valid",
  DENIED: "only a kernel may call this service",
  NOT_FOUND: "there is no such value",
  TOO_MUCH: "an argument is too long, or there is too much already",
};

/** Counts changes of the table; what is there keeps its meaning. */
export const SERVICE_VERSION = 2n;

const { SUCCESS, INVALID, NOT_FOUND, TOO_MUCH } = SERVICE_STATUS;
const KEY = { name: "key", kind: "input", most: 128 } as const;
const VALUE_BYTES = 65_536;

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes);
}

/** All services: this table makes the doors, the guest's tool, the host's calls and the documentation. */
export const SERVICES = [
  {
    number: 0,
    name: "version",
    description: "The version of this table.",
    privilege: "user",
    arguments: [],
    results: ["version"],
    serve: () => ({ status: SUCCESS, numbers: [SERVICE_VERSION] }),
  },
  {
    number: 1,
    name: "clock",
    description: "The host's time: nanoseconds since 1970.",
    privilege: "user",
    arguments: [],
    results: ["nanoseconds"],
    serve: (host) => ({ status: SUCCESS, numbers: [host.wallNanoseconds()] }),
  },
  {
    number: 2,
    name: "log",
    description: "Writes a line to the host's log.",
    privilege: "user",
    arguments: [{ name: "text", kind: "input", most: 4096 }],
    results: [],
    serve(host, _, [line]) {
      host.log(text(line));
      return { status: SUCCESS };
    },
  },
  {
    number: 3,
    name: "guestinfo-get",
    description: "Reads a named value; answers its length, and as much of it as fits.",
    privilege: "user",
    arguments: [KEY, { name: "value", kind: "output", most: VALUE_BYTES }],
    results: ["length"],
    serve(host, _, [key]) {
      const value = host.info.get(text(key));
      if (value === undefined) return { status: NOT_FOUND };
      return { status: SUCCESS, numbers: [BigInt(value.length)], bytes: value };
    },
  },
  {
    number: 4,
    name: "guestinfo-set",
    description: "Sets a named value.",
    privilege: "user",
    arguments: [KEY, { name: "value", kind: "input", most: VALUE_BYTES }],
    results: [],
    serve(host, _, [key, value]) {
      if (key === undefined || value === undefined || key.length === 0) return { status: INVALID };
      return { status: host.info.set(text(key), value) ? SUCCESS : TOO_MUCH };
    },
  },
  {
    number: 16,
    name: "integrity-create",
    description:
      "Begins a tree of monitored pages in the page at a guest-physical address; answers its handle.",
    privilege: "kernel",
    arguments: [{ name: "root", kind: "number" }],
    results: ["handle"],
    serve: (host, [root = 0n]) => host.integrity.create(root),
  },
  {
    number: 17,
    name: "integrity-add",
    description:
      "Adds pages to a tree: the first one's guest-physical address, how many with the action's number in bits 47:32, and a cookie.",
    privilege: "kernel",
    arguments: [
      { name: "handle", kind: "number" },
      { name: "address", kind: "number" },
      { name: "pages", kind: "number" },
      { name: "cookie", kind: "number" },
    ],
    results: [],
    serve: (host, [handle = 0n, address = 0n, pages = 0n, cookie = 0n]) =>
      host.integrity.add(handle, address, pages, cookie),
  },
  {
    number: 18,
    name: "integrity-seal",
    description: "Protects a tree's pages and the tree itself; from then on only the host can take it away.",
    privilege: "kernel",
    arguments: [{ name: "handle", kind: "number" }],
    results: ["pages"],
    serve: (host, [handle = 0n]) => host.integrity.seal(handle),
  },
  {
    number: 19,
    name: "integrity-remove",
    description: "Forgets a tree that is not sealed.",
    privilege: "kernel",
    arguments: [{ name: "handle", kind: "number" }],
    results: [],
    serve: (host, [handle = 0n]) => host.integrity.remove(handle),
  },
  {
    number: 20,
    name: "integrity-query",
    description: "Answers 1 for a sealed tree, else 0, and the writes that its pages have had.",
    privilege: "kernel",
    arguments: [{ name: "handle", kind: "number" }],
    results: ["sealed", "writes"],
    serve: (host, [handle = 0n]) => host.integrity.query(handle),
  },
] as const satisfies readonly Service[];
