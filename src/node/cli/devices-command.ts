import type { AcpiChoice } from "../../machine/boot/system-description.ts";
import { openHostDevices } from "../../machine/host-devices.ts";
import { readAliases } from "../aliases/alias-file.ts";
import { type BoardOptions, boardOf } from "./board-options.ts";
import type { Host } from "./host.ts";
import { readInputFile } from "./user-files.ts";

/** The options of `elvisor devices`, read. */
export interface DevicesOptions extends BoardOptions {
  readonly dtb?: string | undefined;
  readonly acpi: AcpiChoice;
  readonly aliases?: string | undefined;
}

/** `elvisor devices`: which of its own drivers the hypervisor binds to a machine's devices, by their description. */
export async function devicesCommand(options: DevicesOptions, host: Host): Promise<void> {
  const deviceTree = options.dtb === undefined ? undefined : await readInputFile(options.dtb, "device tree");
  const machine = boardOf(options);
  const { manager } = openHostDevices({
    machine,
    deviceTree,
    acpi: options.acpi,
    aliases: await readAliases(options.aliases, deviceTree ?? machine),
    serial: () => {},
  });
  for (const line of manager.log()) host.stdout.write(`${line}\n`);
}
