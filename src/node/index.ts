/**
 * The library entry: `import { VirtualMachine } from "elvisor"`. The command line is built from what stands
 * here.
 *
 * @example
 * ```ts
 * import { VirtualMachine } from "elvisor";
 *
 * await using machine = await VirtualMachine.create({ image: "debian:12" });
 * const { stdout, exitCode } = await machine.exec("uname -a");
 * ```
 */
import { type Guest, type GuestChoice, prepareGuest as prepare } from "./cli/guest.ts";
import type { GuestSession } from "./images/initramfs.ts";
import type { PullSettings } from "./images/pull.ts";
import { userSettings } from "./user-settings.ts";

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
  VirtualMachine as Machine,
  VirtualMachineOptions,
} from "../machine/virtual-machine-interface.ts";
export {
  Command,
  type CommandExit,
  CommandNotStarted,
  type CommandOptions,
  type CommandResult,
} from "./agent/command.ts";
export type { Guest, GuestChoice } from "./cli/guest.ts";
export { createMachine } from "./create-machine.ts";
export { type DriveFile, type DriveFileOptions, openDrive } from "./disks/drive-file.ts";
export { type GuestFileStatus, GuestFiles } from "./guest-files.ts";
export { type CachedFile, type CachedImage, cacheDirectory, ImageCache } from "./images/cache.ts";
export { CATALOGUE, type ImageDescription } from "./images/catalogue.ts";
export { type Progress, SILENT_PROGRESS } from "./images/download.ts";
export { COMMAND_PORTS, INPUT_GREETING } from "./images/guest-scripts.ts";
export { buildInitramfs, type GuestSession, readModuleFiles } from "./images/initramfs.ts";
export type { ModuleFiles } from "./images/initramfs-tree.ts";
export { ensureImages, type PullSettings, pullImages } from "./images/pull.ts";
export { KERNEL_DECOMPRESSORS } from "./kernel-decompressors.ts";
export { openShare, type Share, type ShareChoice } from "./share/share.ts";
export { userSettings } from "./user-settings.ts";
export { type CreateOptions, GuestConsole, type MachineEvents, VirtualMachine } from "./virtual-machine.ts";

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
