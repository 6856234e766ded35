import { generateDeviceTreeBlob } from "./device-tree-generator.ts";
import type { PlatformSpec } from "./platform-spec.ts";
import { highestLevel, kernelLevel, psciConduit } from "./psci-conduit.ts";
import { type VirtBoardOptions, virtBoard } from "./virt-board.ts";

/** Who is going to read a device tree: it decides whether the machine answers PSCI calls itself. */
export type DeviceTreeReader = "kernel" | "firmware";

/** The choices of a machine; how it is called for power follows from them and from the reader. */
export type VirtMachineOptions = Omit<VirtBoardOptions, "psciConduit" | "firmware">;

/** The platform that a kernel, or firmware, started with these options finds itself on. */
export function virtPlatform(options: VirtMachineOptions, reader: DeviceTreeReader = "kernel"): PlatformSpec {
  const startLevel = reader === "kernel" ? kernelLevel(options) : highestLevel(options);
  return virtBoard({
    ...options,
    psciConduit: psciConduit(options, startLevel),
    firmware: reader === "firmware",
  });
}

/** The device tree blob of that platform: what `elvisor dtb` writes. */
export function virtDeviceTreeBlob(
  options: VirtMachineOptions,
  reader: DeviceTreeReader = "kernel",
): Uint8Array {
  return generateDeviceTreeBlob(virtPlatform(options, reader));
}
