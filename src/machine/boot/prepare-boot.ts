import type { Compatibility } from "../../hypervisor/guest-services.ts";
import type { HypervisorSpec } from "../../platform/platform-spec.ts";
import type { VirtualMachineOptions } from "../virtual-machine-interface.ts";
import { type BootPlan, planBoot } from "./boot-plan.ts";
import { readKernelImage } from "./kernel-image.ts";

/** What booting needs of a virtual machine's options. */
export type BootOptions = Pick<
  VirtualMachineOptions,
  | "acpi"
  | "aliases"
  | "commandLine"
  | "compatibility"
  | "cpus"
  | "decompressors"
  | "deterministic"
  | "deviceTree"
  | "files"
  | "firmware"
  | "identity"
  | "initrd"
  | "kernel"
  | "memoryBytes"
  | "numaDomains"
  | "randomBytes"
  | "secure"
  | "time"
  | "variables"
  | "virtualization"
>;

/** How guests recognise the hypervisors whose interfaces we answer. */
const COMPATIBLE_HYPERVISORS: Record<Compatibility, HypervisorSpec> = {
  vmware: { compatible: ["vmware"], vendor: "VMware" },
};

/** Bytes of the seeds in a device tree. */
const RANDOM_SEED_SIZE = 32;
const ADDRESS_SEED_SIZE = 8;

/** From the options of a machine to its boot: kernels are recognised and unpacked, seeds are drawn. */
export async function prepareBoot(options: BootOptions): Promise<BootPlan> {
  const {
    kernel,
    initrd,
    commandLine,
    deviceTree,
    firmware,
    acpi,
    aliases,
    files,
    identity,
    secure = false,
  } = options;
  const seed = options.deterministic === true ? undefined : options.randomBytes;
  return planBoot({
    machine: {
      memoryBytes: options.memoryBytes,
      cpus: options.cpus,
      secure,
      virtualization: options.virtualization ?? false,
      numaDomains: options.numaDomains,
      maskVirtualTimer: options.time?.path === "trap",
      hypervisor: options.compatibility && COMPATIBLE_HYPERVISORS[options.compatibility],
      ...drawSeeds(seed ?? fixedBytes),
      ...(secure ? drawSecureSeeds(seed ?? fixedBytes) : {}),
    },
    kernel: kernel === undefined ? undefined : await readKernelImage(kernel, options.decompressors ?? {}),
    ...{ initrd, commandLine, deviceTree, firmware, acpi, aliases, files, identity },
    variables: options.variables?.contents,
  });
}

type RandomBytes = (length: number) => Uint8Array;

function drawSeeds(randomBytes: RandomBytes) {
  return { randomSeed: randomBytes(RANDOM_SEED_SIZE), addressSeed: drawNumber(randomBytes) };
}

function drawSecureSeeds(randomBytes: RandomBytes) {
  return { secureRandomSeed: randomBytes(RANDOM_SEED_SIZE), secureAddressSeed: drawNumber(randomBytes) };
}

function drawNumber(randomBytes: RandomBytes): bigint {
  return randomBytes(ADDRESS_SEED_SIZE).reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

/**
 * The seeds of a deterministic machine. Leaving them out would be deterministic, too, but a kernel without a
 * seed waits for entropy that such a machine is slow to give.
 */
function fixedBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 73 + 41) & 0xff);
}
