/**
 * The library entry: `import { VirtualMachine } from "elvisor"`. The command line is built from what stands
 * here.
 *
 * @example
 * ```ts
 * import { prepareGuest, VirtualMachine } from "elvisor";
 *
 * const guest = await prepareGuest({ image: "kernel:6.1-cloud" });
 * const machine = await VirtualMachine.create({
 *   ...guest,
 *   memoryBytes: 512 * 2 ** 20,
 *   cpus: 1,
 *   serial: (bytes) => void process.stdout.write(bytes),
 * });
 * const reason = await machine.run();
 * ```
 */
import type * as machine from "../machine/virtual-machine-interface.ts";
import { type Guest, type GuestChoice, prepareGuest as prepare } from "./cli/guest.ts";
import { stderrProgress } from "./cli/progress.ts";
import { createMachine } from "./create-machine.ts";
import { cacheDirectory, ImageCache } from "./images/cache.ts";
import type { GuestSession } from "./images/initramfs.ts";
import type { PullSettings } from "./images/pull.ts";

export { UserError } from "../base/errors.ts";
export type { BootFile } from "../machine/boot/boot-file.ts";
export type {
  ByteInput,
  ByteOutput,
  Drive,
  ExitReason,
  MachineStatistics,
  NetworkOptions,
  VirtioConsole,
  VirtioPort,
  VirtualMachineOptions,
} from "../machine/virtual-machine-interface.ts";
export type { Guest, GuestChoice } from "./cli/guest.ts";
export { type DriveFile, type DriveFileOptions, openDrive } from "./disks/drive-file.ts";
export { type CachedFile, type CachedImage, cacheDirectory, ImageCache } from "./images/cache.ts";
export { CATALOGUE, type ImageDescription } from "./images/catalogue.ts";
export { type Progress, SILENT_PROGRESS } from "./images/download.ts";
export { COMMAND_PORTS, INPUT_GREETING } from "./images/guest-scripts.ts";
export { buildInitramfs, type GuestSession, type ModuleFiles, readModuleFiles } from "./images/initramfs.ts";
export { ensureImages, type PullSettings, pullImages } from "./images/pull.ts";
export { KERNEL_DECOMPRESSORS } from "./kernel-decompressors.ts";
export { openShare, type Share, type ShareChoice } from "./share/share.ts";

/** An AArch64 machine. */
export type VirtualMachine = machine.VirtualMachine;

/** Makes machines with Node's clocks and event loop. */
export const VirtualMachine = {
  /** Puts a machine together, not yet running; unfit options are a `UserError`. */
  create: createMachine,
} as const;

/** The settings of this user: cache, mirror and keys as the command line finds them, progress on stderr. */
export function userSettings(change: Partial<PullSettings> = {}): PullSettings {
  return {
    cache: new ImageCache(cacheDirectory(process.env)),
    progress: stderrProgress(process.stderr),
    environment: process.env,
    ...change,
  };
}

/**
 * Reads, and pulls where missing, the files of a guest. Unless an initial file system is named, it is the
 * default one, with a shell on the virtio console or, by `session`, one command.
 */
export function prepareGuest(
  choice: GuestChoice = {},
  session: GuestSession = { kind: "shell", terminal: "vt100", size: undefined },
  settings: PullSettings = userSettings(),
): Promise<Guest> {
  return prepare(choice, session, settings);
}
