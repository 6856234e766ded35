import type { VirtualMachineOptions } from "./virtual-machine-interface.ts";

/** A file of a guest, as a page loads it. */
export interface ServedFile {
  /** What to call it in messages. */
  readonly name: string;
  /** Relative to the guest's description. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/**
 * A guest as a web server describes it to its page, in JSON at {@link SERVED_GUEST_PATH}. Everything is
 * unpacked: the page has no decompressors.
 */
export interface ServedGuest
  extends Required<Pick<VirtualMachineOptions, "memoryBytes" | "cpus" | "engine">> {
  /** Such as "kernel:6.1-cloud". */
  readonly name: string;
  readonly kernel: ServedFile;
  readonly initrd: ServedFile;
  readonly commandLine: string;
}

export const SERVED_GUEST_PATH = "guest/guest.json";
