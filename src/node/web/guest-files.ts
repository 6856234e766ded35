import { UserError } from "../../base/errors.ts";
import { unpackKernel } from "../../machine/boot/kernel-image.ts";
import { SERVED_GUEST_PATH, type ServedGuest } from "../../machine/served-guest.ts";
import { DEFAULT_KERNEL } from "../cli/defaults.ts";
import { prepareGuest } from "../cli/guest.ts";
import { describeImage } from "../images/catalogue.ts";
import type { PullSettings } from "../images/pull.ts";
import { KERNEL_DECOMPRESSORS } from "../kernel-decompressors.ts";
import type { StaticFile } from "./static-server.ts";

/** Which guest the page boots, on which machine. */
export interface PageGuestOptions extends Pick<ServedGuest, "memoryBytes" | "cpus" | "engine"> {
  /** A kernel that `elvisor pull` knows. */
  readonly image?: string | undefined;
  readonly append?: string | undefined;
}

/** The description of a guest and its files, by path. Pulls what is missing. */
export async function prepareGuestFiles(
  options: PageGuestOptions,
  settings: PullSettings,
): Promise<Map<string, StaticFile>> {
  const { image = DEFAULT_KERNEL, append, memoryBytes, cpus, engine } = options;
  if (describeImage(image).kind !== "kernel") {
    throw new UserError(
      `The page boots a kernel, which ${image} is not; name one, such as ${DEFAULT_KERNEL}.`,
      {
        exitStatus: 2,
      },
    );
  }
  const session = { kind: "shell", terminal: "xterm-256color", size: undefined } as const;
  const { kernel, initrd, commandLine } = await prepareGuest({ image, append }, session, settings);
  const { bytes } = await unpackKernel(kernel!, KERNEL_DECOMPRESSORS);
  const guest: ServedGuest = {
    ...{ name: image, memoryBytes, cpus, engine, commandLine: commandLine! },
    kernel: { name: image, path: "kernel", size: bytes.length },
    initrd: { name: initrd!.name, path: "initrd", size: initrd!.bytes.length },
  };
  const description = Buffer.from(JSON.stringify(guest));
  const type = "application/octet-stream";
  return new Map([
    [`/${SERVED_GUEST_PATH}`, { type: "application/json", bytes: description }],
    ["/guest/kernel", { type, bytes }],
    ["/guest/initrd", { type, bytes: initrd!.bytes }],
  ]);
}
