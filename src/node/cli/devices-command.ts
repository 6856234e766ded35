import type { AcpiChoice } from "../../machine/boot/system-description.ts";
import { openHostDevices } from "../../machine/host-devices.ts";
import { readAliases } from "../aliases/alias-file.ts";
import type { Host } from "./host.ts";
import { readInputFile } from "./user-files.ts";

/** The options of `elvisor devices`, read. */
export interface DevicesOptions {
  readonly memory: number;
  readonly cpus: number;
  readonly numa: number;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
  readonly dtb?: string | undefined;
  readonly acpi: AcpiChoice;
  readonly aliases?: string | undefined;
}

/** `elvisor devices`: which of its own drivers the hypervisor binds to a machine's devices, by their description. */
export async function devicesCommand(options: DevicesOptions, host: Host): Promise<void> {
  const deviceTree = options.dtb === undefined ? undefined : await readInputFile(options.dtb, "device tree");
  const machine = {
    memoryBytes: options.memory,
    cpus: options.cpus,
    numaDomains: options.numa,
    secure: options.secure ?? false,
    virtualization: options.virtualization ?? false,
  };
  const { manager } = openHostDevices({
    machine,
    deviceTree,
    acpi: options.acpi,
    aliases: await readAliases(options.aliases, deviceTree ?? machine),
    serial: () => {},
  });
  for (const line of manager.log()) host.stdout.write(`${line}\n`);
}
